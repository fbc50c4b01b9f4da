package store

import (
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/lovoo/goka/storage"
)

// Iterator goes over all committed rows, as of now.
func (p *Partition) Iterator() (storage.Iterator, error) { return p.IteratorWithRange(nil, nil) }

// IteratorWithRange goes over the committed rows from start up to, not including, limit; an empty one is no bound.
func (p *Partition) IteratorWithRange(start, limit []byte) (storage.Iterator, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if err := p.writeFollowed(); err != nil { // rows of the changelog are committed, only not written yet
		return nil, err
	}
	upper := append(append([]byte{}, p.prefix...), kindData+1)
	if len(limit) > 0 {
		upper = p.appendKey(nil, kindData, string(limit))
	}
	it, err := p.db.db.NewIter(&pebble.IterOptions{LowerBound: p.appendKey(nil, kindData, string(start)), UpperBound: upper})
	if err != nil {
		return nil, fmt.Errorf("store: %s: iterator: %w", p.name, p.db.check(err))
	}
	i := &iterator{p: p, it: it, skip: len(p.prefix) + 1}
	p.iters[i] = struct{}{}
	return i, nil
}

// iterator is closed by its partition if it outlives that, since Pebble may not be closed before.
type iterator struct {
	p    *Partition
	skip int // bytes before the row's key

	mu      sync.Mutex
	it      *pebble.Iterator // nil: released
	started bool
	err     error
}

func (i *iterator) Next() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.it == nil {
		return false
	}
	if !i.started {
		i.started = true
		return i.it.First()
	}
	return i.it.Next()
}

// Seek stands on the first row at or after the key, and tells whether there is one.
func (i *iterator) Seek(key []byte) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.it == nil {
		return false
	}
	i.started = true
	return i.it.SeekGE(i.p.appendKey(nil, kindData, string(key)))
}

func (i *iterator) Err() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.it == nil {
		return i.err
	}
	return i.p.db.check(i.it.Error())
}

func (i *iterator) Key() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.it == nil || !i.it.Valid() {
		return nil
	}
	return append([]byte{}, i.it.Key()[i.skip:]...)
}

func (i *iterator) Value() ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.it == nil || !i.it.Valid() {
		return nil, i.err
	}
	v, err := i.it.ValueAndErr()
	return append([]byte{}, v...), i.p.db.check(err)
}

func (i *iterator) Release() {
	i.p.mu.Lock()
	delete(i.p.iters, i)
	i.p.mu.Unlock()
	i.end(nil)
}

// close is Release by the partition, which holds its own lock.
func (i *iterator) close() { i.end(ErrClosed) }

func (i *iterator) end(why error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.it == nil {
		return
	}
	i.err = i.p.db.check(i.it.Close())
	if i.err == nil {
		i.err = why
	}
	i.it = nil
}

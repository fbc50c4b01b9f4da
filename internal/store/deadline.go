package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// never is after every deadline.
const never = int64(math.MaxInt64)

// Due is a row that wanted to be woken.
type Due struct {
	Key        string
	DeadlineMS int64
}

// known are the deadlines of rows as Pebble has them, of those rows that were read since the last write.
type known struct {
	mu sync.Mutex
	ms map[string]int64
}

func (k *known) set(key string, ms int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ms == nil {
		k.ms = map[string]int64{}
	}
	k.ms[key] = ms
}

func (k *known) get(key string) (int64, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ms, ok := k.ms[key]
	return ms, ok
}

func (k *known) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.ms)
}

// index brings a row's entry up to date. The row's earlier entry is taken away when its deadline is known, because the step
// read the row before; otherwise it stays until DueBy meets it. The caller holds mu.
func (p *Partition) index(b *pebble.Batch, key string, value []byte) error {
	var ms int64
	var wants bool
	if value != nil {
		ms, wants = p.deadline(value)
	}
	old, known := p.known.get(key)
	if known && (!wants || old != ms) {
		p.scratch = p.appendDeadline(p.scratch[:0], old, key)
		if err := b.Delete(p.scratch, nil); err != nil {
			return err
		}
	}
	if !wants || known && old == ms {
		return nil
	}
	p.scratch = p.appendDeadline(p.scratch[:0], ms, key)
	return b.Set(p.scratch, nil, nil)
}

// Wake is the time in milliseconds before which DueBy finds nothing new; 0 when that is not known.
func (p *Partition) Wake() int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.next
}

// DueBy answers, earliest first, at most limit rows whose deadline is not after nowMS, but for those that skip names. Each is
// what the committed row says: an entry that its row does not confirm is dropped. The transaction must be closed.
func (p *Partition) DueBy(nowMS int64, limit int, skip func(Due) bool) (due []Due, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if err := p.writeFollowed(); err != nil {
		return nil, err
	}
	first := append(append([]byte{}, p.prefix...), kindDeadline)
	it, err := p.db.db.NewIter(&pebble.IterOptions{LowerBound: first, UpperBound: append(append([]byte{}, p.prefix...), kindDeadline+1)})
	if err != nil {
		return nil, fmt.Errorf("store: %s: deadlines: %w", p.name, p.db.check(err))
	}
	stale := p.db.db.NewBatch()
	defer stale.Close()
	next := never
	for ok := it.First(); ok; ok = it.Next() {
		rest := it.Key()[len(first):]
		d := Due{Key: string(rest[8:]), DeadlineMS: int64(binary.BigEndian.Uint64(rest))}
		if d.DeadlineMS > nowMS || len(due) == limit {
			next = d.DeadlineMS
			break
		}
		if skip(d) {
			continue
		}
		row, err := p.stored(d.Key)
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		if row != nil {
			if ms, wants := p.deadline(row); wants && ms == d.DeadlineMS {
				due = append(due, d)
				continue
			}
		}
		if err := stale.Delete(it.Key(), nil); err != nil {
			return nil, errors.Join(err, it.Close())
		}
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("store: %s: deadlines: %w", p.name, p.db.check(err))
	}
	if err := p.db.check(stale.Commit(pebble.NoSync)); err != nil {
		return nil, err
	}
	p.next = next
	return due, nil
}

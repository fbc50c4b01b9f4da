package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// none is the offset of a partition that holds no record.
const none = int64(-1)

// Committed rows gather in memory and are written together, up to so many rows or bytes of a partition: a row may be small or as large as a Kafka batch. Most rows change several
// times within seconds, and so do their deadlines; written once, they cost Pebble a third. A kill takes no more than without: what Pebble was given is in its memory too.
const (
	gatheredRows  = 8192
	gatheredBytes = 4 << 20
)

// Partition is the state of one table partition. It implements goka's storage.Storage: any number of readers, one writer.
//
// Rows come in by two ways. A step writes Set and Delete, and the transaction's end moves them by DB.Commit; what
// is not committed ends with Close. A follower of the changelog (recovery, standby) calls SetOffset after each row. What an offset
// stands for is committed; it gathers, and the partition writes it by itself.
type Partition struct {
	db       *DB
	prefix   []byte
	name     string                           // for errors: topic/partition
	deadline func([]byte) (ms int64, ok bool) // nil: no index

	mu       sync.RWMutex
	closed   bool
	overlay  map[string][]byte // rows of the open transaction, or one that its offset will follow; nil: deleted
	behind   map[string][]byte // rows of the changelog up to followed, not in Pebble yet
	waiting  int               // bytes of the values behind
	followed int64             // none: no offset has come since the last write
	known    known             // written while mu is held for reading
	next     int64             // no committed row has an earlier deadline, in ms; 0: not known
	scratch  []byte            // of the writer, under mu, as the next
	order    []string
	iters    map[*iterator]struct{}
}

// Partition is the state of a partition of topic as owner keeps it. The deadline function, which may be nil, finds in a
// row's bytes the time in milliseconds at which the row wants to be woken. Only one Partition of a place may be open.
func (db *DB) Partition(owner, topic string, partition int32, deadline func(value []byte) (ms int64, ok bool)) *Partition {
	return &Partition{db: db, prefix: prefix(owner, topic, partition), name: fmt.Sprintf("%s/%d", topic, partition), deadline: deadline,
		overlay: map[string][]byte{}, behind: map[string][]byte{}, followed: none, closed: true, iters: map[*iterator]struct{}{}}
}

// Open makes the partition ready. A closed one may be opened again.
func (p *Partition) Open() error {
	p.db.mu.Lock()
	defer p.db.mu.Unlock()
	if p.db.closed {
		return ErrClosed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = false
	p.db.partitions[p] = struct{}{}
	return nil
}

// Close drops what is not committed, and writes what was followed. Every later call answers ErrClosed; Close itself may come again.
func (p *Partition) Close() error {
	p.db.mu.Lock() // to the end: a DB that closes must find each partition that still uses Pebble
	defer p.db.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	delete(p.db.partitions, p)
	var err error
	if p.db.Fault() == nil { // which was told already
		err = p.writeFollowed()
	}
	p.closed = true
	p.drop()
	for it := range p.iters {
		it.close()
	}
	clear(p.iters)
	return err
}

// Has tells whether the key has a row.
func (p *Partition) Has(key string) (bool, error) {
	v, err := p.Get(key)
	return v != nil, err
}

// keys are buffers for reading.
var keys = sync.Pool{New: func() any { return new([]byte) }}

// Get answers a copy of the row, the open transaction's if it has one; nil when there is none.
func (p *Partition) Get(key string) ([]byte, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return nil, ErrClosed
	}
	v, ok := p.overlay[key]
	if !ok {
		v, ok = p.behind[key]
	}
	if ok {
		if v == nil {
			return nil, nil
		}
		return append([]byte{}, v...), nil
	}
	v, err := p.stored(key)
	if v != nil {
		p.know(key, v)
	}
	return v, err
}

// stored reads Pebble. The caller holds mu.
func (p *Partition) stored(key string) ([]byte, error) {
	buf := keys.Get().(*[]byte)
	defer keys.Put(buf)
	*buf = p.appendKey((*buf)[:0], kindData, key)
	v, c, err := p.db.db.Get(*buf)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: %s: row %q: %w", p.name, key, p.db.check(err))
	}
	defer c.Close()
	return append([]byte{}, v...), nil
}

// Set puts the row into the overlay. The value belongs to the store from then on.
func (p *Partition) Set(key string, value []byte) error {
	if value == nil {
		return fmt.Errorf("store: %s: row %q: a nil value; Delete deletes", p.name, key)
	}
	return p.put(key, value)
}

// Replace is Set of a row that was read before the open transaction began, by Get or as an earlier value: before is what is committed, nil when there was none.
func (p *Partition) Replace(key string, before, value []byte) error {
	if before != nil {
		p.mu.RLock()
		if _, gathered := p.behind[key]; !gathered { // or Pebble has an older one still
			p.know(key, before)
		}
		p.mu.RUnlock()
	}
	return p.Set(key, value)
}

// know notes the deadline of a row as Pebble has it.
func (p *Partition) know(key string, row []byte) {
	if p.deadline == nil {
		return
	}
	if ms, wants := p.deadline(row); wants {
		p.known.set(key, ms)
	}
}

// Delete puts the row's absence into the overlay. The empty key is no row: with it the follower of a changelog passes
// transaction markers, for the sake of their offsets.
func (p *Partition) Delete(key string) error { return p.put(key, nil) }

func (p *Partition) put(key string, value []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if key != "" || value != nil {
		p.overlay[key] = value
	}
	return nil
}

// GetOffset is the offset of the last changelog record that the partition holds, or def when it holds none.
func (p *Partition) GetOffset(def int64) (int64, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return 0, ErrClosed
	}
	if p.followed != none {
		return p.followed, nil
	}
	v, c, err := p.db.db.Get(p.appendKey(nil, kindOffset, ""))
	if errors.Is(err, pebble.ErrNotFound) {
		return def, nil
	}
	if err != nil {
		return 0, fmt.Errorf("store: %s: offset: %w", p.name, p.db.check(err))
	}
	defer c.Close()
	if len(v) != 8 {
		return 0, p.db.check(fmt.Errorf("%w: store: %s: the offset has %d bytes, not 8", pebble.ErrCorruption, p.name, len(v)))
	}
	return int64(binary.BigEndian.Uint64(v)), nil
}

// SetOffset says that all rows so far are the changelog up to this offset.
func (p *Partition) SetOffset(offset int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	return p.gather(offset)
}

// gather takes the rows of the overlay for committed, up to the offset. The caller holds mu.
func (p *Partition) gather(offset int64) error {
	for key, value := range p.overlay {
		p.waiting += len(value) - len(p.behind[key])
		p.behind[key] = value
		if value != nil && p.deadline != nil {
			if ms, wants := p.deadline(value); wants {
				p.next = min(p.next, ms)
			}
		}
	}
	clear(p.overlay)
	p.followed = offset
	if len(p.behind) < gatheredRows && p.waiting < gatheredBytes {
		return nil
	}
	return p.writeFollowed()
}

// MarkRecovered writes what was followed. It may come after Close: goka does not wait for it when a recovery is cancelled.
func (p *Partition) MarkRecovered() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	return p.writeFollowed()
}

func (p *Partition) flushFollowed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		_ = p.writeFollowed() // noted as the store's fault
	}
}

func (p *Partition) writeFollowed() error {
	if p.followed == none {
		return nil
	}
	if err := p.db.Fault(); err != nil {
		return err
	}
	b := p.db.db.NewBatch(pebble.WithMaxRetainedSizeBytes(batchBytes))
	defer b.Close()
	if err := errors.Join(p.write(b), p.writeOffset(b, p.followed)); err != nil {
		return p.db.check(err)
	}
	if err := p.db.check(b.Commit(pebble.NoSync)); err != nil {
		return err
	}
	clear(p.behind)
	p.waiting = 0
	p.known.forget()
	p.followed = none
	return nil
}

// Reset forgets the partition: rows, index and offset. It may be called before Open. It is durable when it returns: what was
// wrong with the state might no longer be seen after a kill, once its changelog has grown.
func (p *Partition) Reset() error {
	p.db.mu.Lock()
	defer p.db.mu.Unlock()
	if p.db.closed {
		return ErrClosed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
	end := append(append([]byte{}, p.prefix...), kindEnd)
	if err := p.db.db.DeleteRange(p.prefix, end, pebble.NoSync); err != nil {
		return p.db.check(err)
	}
	return p.db.flush()
}

// StoredOffset is GetOffset of a partition that is not open.
func (p *Partition) StoredOffset() (offset int64, ok bool, err error) {
	if err := p.Open(); err != nil {
		return 0, false, err
	}
	offset, err = p.GetOffset(none)
	return offset, offset != none, errors.Join(err, p.Close())
}

func (p *Partition) drop() {
	clear(p.overlay)
	clear(p.behind)
	p.waiting = 0
	p.known.forget()
	p.followed, p.next = none, 0
}

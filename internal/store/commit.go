package store

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Written is what a committed transaction left in a partition.
type Written struct {
	*Partition
	Offset int64 // of its last record in the changelog; −1: it wrote none there
}

// Commit moves the overlays of a transaction that Kafka has committed into the store, all or nothing.
func (db *DB) Commit(parts []Written) error {
	b := db.db.NewBatch()
	defer b.Close()
	for _, w := range parts {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.closed {
			return fmt.Errorf("store: %s: %w", w.name, ErrClosed)
		}
		if w.Offset < 0 && len(w.overlay) > 0 {
			return fmt.Errorf("store: %s: %d rows without a changelog record", w.name, len(w.overlay))
		}
		if w.Offset < 0 {
			w.known.forget()
			continue
		}
		if err := w.drain(b, w.Offset); err != nil {
			return err
		}
	}
	if b.Empty() {
		return nil
	}
	return db.check(b.Commit(pebble.NoSync))
}

// drain moves the overlay into the batch together with the offset that it stands for. The caller holds mu.
func (p *Partition) drain(b *pebble.Batch, offset int64) error {
	for key, value := range p.overlay {
		p.scratch = p.appendKey(p.scratch[:0], kindData, key)
		var err error
		if value == nil {
			err = b.Delete(p.scratch, nil)
		} else {
			err = b.Set(p.scratch, value, nil)
		}
		if err != nil {
			return p.db.check(err)
		}
		if p.deadline == nil {
			continue
		}
		if err := p.index(b, key, value); err != nil {
			return p.db.check(err)
		}
	}
	p.scratch = p.appendKey(p.scratch[:0], kindOffset, "")
	if err := b.Set(p.scratch, binary.BigEndian.AppendUint64(nil, uint64(offset)), nil); err != nil {
		return p.db.check(err)
	}
	clear(p.overlay)
	p.known.forget()
	p.followed = none
	return nil
}

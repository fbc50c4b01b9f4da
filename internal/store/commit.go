package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"oms/internal/planted"
)

// Written is what a committed transaction left in a partition.
type Written struct {
	*Partition
	Offset int64 // of its last record in the changelog; −1: it wrote none there
}

// Commit moves the overlays of a transaction that Kafka has committed into the store, all or nothing: on an error they are as
// they were.
func (db *DB) Commit(parts []Written) error {
	if err := db.Fault(); err != nil {
		return err
	}
	for _, w := range parts {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.closed {
			return fmt.Errorf("store: %s: %w", w.name, ErrClosed)
		}
		if w.Offset < 0 && len(w.overlay) > 0 {
			return fmt.Errorf("store: %s: %d rows without a changelog record", w.name, len(w.overlay))
		}
		if err := w.writeFollowed(); err != nil { // stands, whatever becomes of the transaction
			return err
		}
	}
	b := db.db.NewBatch(pebble.WithMaxRetainedSizeBytes(batchBytes))
	defer b.Close()
	for _, w := range parts {
		if w.Offset < 0 {
			continue
		}
		if err := errors.Join(w.write(b, w.overlay), w.writeOffset(b, w.Offset)); err != nil {
			return db.check(err)
		}
	}
	if !b.Empty() {
		if err := db.check(b.Commit(pebble.NoSync)); err != nil {
			return err
		}
	}
	for _, w := range parts {
		w.known.forget()
		clear(w.overlay)
	}
	return nil
}

// batchBytes of memory a batch keeps for the next one. Pebble's own measure is 1 MiB, and to grow beyond it from 1 KiB each time was a tenth of all that is allocated.
const batchBytes = 8 << 20

// write puts rows into the batch, and what they change in the index. The caller holds mu.
func (p *Partition) write(b *pebble.Batch, rows map[string][]byte) error {
	for key, value := range rows {
		p.scratch = p.appendKey(p.scratch[:0], kindData, key)
		var err error
		if value == nil {
			err = b.Delete(p.scratch, nil)
		} else {
			err = b.Set(p.scratch, value, nil)
		}
		if err != nil {
			return err
		}
		if p.deadline == nil || planted.On(planted.DeadlinesNotIndexed) {
			continue
		}
		if err := p.index(b, key, value); err != nil {
			return err
		}
	}
	return nil
}

// writeOffset puts the offset that the partition's rows stand for into the batch. The caller holds mu.
func (p *Partition) writeOffset(b *pebble.Batch, offset int64) error {
	if planted.On(planted.StateAhead) {
		offset += 2 // behind the last row stands the marker of its transaction
	}
	p.scratch = p.appendKey(p.scratch[:0], kindOffset, "")
	return b.Set(p.scratch, binary.BigEndian.AppendUint64(nil, uint64(offset)), nil)
}

package store

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"oms/internal/planted"
)

// Written is what a committed transaction left in a partition.
type Written struct {
	*Partition
	Offset int64 // of its last record in the changelog; −1: it wrote none there
}

// Commit takes the rows of a transaction that Kafka has committed for the state. They are in Pebble some time later, each partition's by themselves, with the offset that they
// stand for. An error is the store's fault, or a partition's that is closed.
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
	}
	for _, w := range parts {
		if w.Offset < 0 {
			continue
		}
		if err := w.gather(w.Offset); err != nil {
			return err
		}
	}
	return nil
}

// batchBytes of memory a batch keeps for the next one. Pebble's own measure is 1 MiB, and to grow beyond it from 1 KiB each time was a tenth of all that is allocated.
const batchBytes = 8 << 20

// write puts the rows behind into the batch, and what they change in the index, in the order of their keys, which Pebble finds places for sooner. The caller holds mu.
func (p *Partition) write(b *pebble.Batch) error {
	p.order = slices.AppendSeq(p.order[:0], maps.Keys(p.behind))
	slices.Sort(p.order)
	for _, key := range p.order {
		value := p.behind[key]
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

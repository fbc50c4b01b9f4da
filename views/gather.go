package views

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"oms/internal/kafka"
)

// gatheredBytes of records gather in memory before they are written. Most orders are decided within seconds: what their rows and index entries go through meanwhile costs the
// disk nothing. A kill takes no more than without, for what Pebble was given is in its memory too, until the next flush.
const gatheredBytes = 24 << 20

// gather is what was read and is not on disk yet. It is seen as if it were.
type gather struct {
	turn sync.Mutex // of the one who writes; before mu

	mu      sync.RWMutex
	young   *fetch        // is added to
	old     *fetch        // is being written; nil: none
	reached kafka.Offsets // with young

	written kafka.Offsets // of the turn: with what is on disk
	fresh   kafka.Offsets // of the turn: ends of the log when the reading began
}

// row is the newest value of a row that is not on disk yet; not there: the disk has it, or nobody.
func (g *gather) row(at rowAt) (value []byte, there bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, f := range []*fetch{g.young, g.old} {
		if f != nil {
			if r, ok := f.rows[at]; ok {
				return r.last, true
			}
		}
	}
	return nil, false
}

// begin gathers behind what is on disk, from a log that ends at ends.
func (g *gather) begin(at, ends kafka.Offsets) {
	g.turn.Lock()
	defer g.turn.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.young, g.reached, g.written, g.fresh = newFetch(), at, at, ends
}

// add a fetch, after which the positions are next; enough tells that it is time to write.
func (g *gather) add(f *fetch, next kafka.Offsets) (enough bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.young.add(f)
	g.reached = next
	return g.young.bytes >= gatheredBytes
}

// take begins to write: what was gathered so far, and the positions with it. The caller has the turn.
func (g *gather) take() (*fetch, kafka.Offsets) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.old, g.young = g.young, newFetch()
	return g.old, g.reached
}

// stands notes that what was taken is on disk. The caller has the turn.
func (g *gather) stands(at kafka.Offsets) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.old, g.written = nil, at
}

// settle writes all that is gathered.
func (v *Views) settle() error {
	v.gather.turn.Lock()
	defer v.gather.turn.Unlock()
	return v.write()
}

// settleBeside writes beside the reading, when the write before has ended. Its error is the disk's fault.
func (v *Views) settleBeside() {
	v.gather.turn.Lock()
	go func() {
		defer v.gather.turn.Unlock()
		_ = v.write()
	}()
}

// write puts what is gathered on disk, and makes its end the place where the disk stands. The caller has the turn.
func (v *Views) write() error {
	if err := v.disk.fault(); err != nil {
		return err
	}
	start := time.Now()
	f, next := v.gather.take()
	err := v.disk.use(func(db *pebble.DB) error {
		b := db.NewBatchWithSize(f.bytes+f.bytes/4, pebble.WithMaxRetainedSizeBytes(batchBytes))
		defer b.Close()
		if err := v.fold(db, b, f); err != nil {
			return err
		}
		if err := writePositions(b, v.gather.written, next); err != nil || b.Empty() {
			return err
		}
		return b.Commit(pebble.NoSync)
	})
	if err != nil {
		return err
	}
	v.gather.stands(next)
	v.metrics.commits.Observe(time.Since(start).Seconds())
	return nil
}

// batchBytes of memory a batch keeps for the next one: that of a busy moment is larger than Pebble's 1 MiB, and growing there from 1 KiB each time was a tenth of all that is allocated.
const batchBytes = 8 << 20

// stored is the value of a row's newest record; nil: there is no such row.
func (v *Views) stored(s source, key string) ([]byte, error) {
	partition, ok := v.home(s, key)
	if !ok {
		return nil, nil
	}
	if value, there := v.gather.row(rowAt{s, partition, key}); there {
		return value, nil
	}
	raw, err := v.disk.get(rowKey(nil, s, partition, key))
	if err != nil || raw == nil || s != ordersTable {
		return raw, err
	}
	return cutRow(raw)
}

package views

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/topics"
)

var sourceOf = func() map[string]source {
	m := map[string]source{}
	for s := range sources {
		m[following[s].topic.Name] = s
	}
	return m
}()

// follow reads from where the views stand until something fails.
func (v *Views) follow(ctx context.Context) error {
	r, err := v.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	target, err := r.Ends(ctx)
	if err != nil {
		return err
	}
	at := r.Next()
	for topic, parts := range at {
		v.partitions[sourceOf[topic]].Store(int32(len(parts)))
	}
	for {
		stands := at // at moves on while others read this
		v.next.Store(&stands)
		if r.Reached(target) {
			v.ready.Store(true)
		}
		f := newFetch()
		err := r.Poll(ctx, func(rec *kgo.Record) error {
			f.take(rec)
			return topics.Newer(rec.Topic, rec.Value, func(name string) []byte { return kafka.HeaderOf(rec, name) })
		})
		if err != nil {
			return err // what this fetch brought is read again
		}
		next := r.Next()
		if err := v.commit(f, at, next); err != nil {
			return err
		}
		at = next
	}
}

// open a reader where the views stand. What came from a partition is dropped first when its log no longer holds that place: it ends before (it lost its end), or
// begins after (rows may have gone in between).
func (v *Views) open(ctx context.Context) (*kafka.Reader, error) {
	v.cards = map[string]card{} // some may be of a fetch that was not written
	stored, err := v.disk.positions()
	if err != nil {
		return nil, err
	}
	for {
		r, err := v.cfg.Kafka.NewReader(ctx, kafka.From{Offsets: stored}, followed()...)
		if err != nil {
			return nil, err
		}
		ends, err := r.Ends(ctx)
		if err != nil {
			r.Close()
			return nil, err
		}
		lost := 0
		for topic, parts := range r.Next() {
			for p, at := range parts {
				was, known := stored[topic][p]
				if !known || at == was && was <= ends[topic][p] {
					continue
				}
				v.log.Warn("views: the log no longer holds the place where a partition was read; it is read again from its start", "topic", topic, "partition", p, "offset", was, "end", ends[topic][p])
				if err := v.forget(sourceOf[topic], p); err != nil {
					r.Close()
					return nil, err
				}
				delete(stored[topic], p)
				lost++
			}
		}
		if lost == 0 {
			return r, nil
		}
		v.ready.Store(false)
		r.Close()
	}
}

// forget drops everything that came from a partition.
func (v *Views) forget(s source, partition int32) error {
	return v.disk.use(func(db *pebble.DB) error {
		b := db.NewBatch()
		defer b.Close()
		rows := shelf(nil, kindRow, s, partition)
		var failed error
		err := scan(db, rows, above(rows), func(key, value []byte) bool {
			failed = unindex(b, s, string(key[len(rows):]), value)
			return failed == nil
		})
		facts := shelf(nil, kindFact, s, partition)
		return errors.Join(err, failed,
			b.DeleteRange(rows, above(rows), nil),
			b.DeleteRange(facts, above(facts), nil),
			b.Delete(shelf(nil, kindPosition, s, partition), nil),
			b.Commit(pebble.NoSync),
			v.disk.flush(db)) // in memory alone a kill would bring the rows back, under a position that the log may have reached again
	})
}

// batchBytes of memory a batch keeps for the next one: that of a busy moment is larger than Pebble's 1 MiB, and growing there from 1 KiB each time was a tenth of all that is allocated.
const batchBytes = 8 << 20

// commit writes a fetch, makes its end the place where the views stand, and tells who waits for its rows.
func (v *Views) commit(f *fetch, at, next kafka.Offsets) error {
	start := time.Now()
	err := v.disk.use(func(db *pebble.DB) error {
		b := db.NewBatch(pebble.WithMaxRetainedSizeBytes(batchBytes))
		defer b.Close()
		if err := v.write(db, b, f); err != nil {
			return err
		}
		if err := writePositions(b, at, next); err != nil || b.Empty() {
			return err
		}
		return b.Commit(pebble.NoSync)
	})
	if err != nil {
		return err
	}
	v.watch.tell(f.changed())
	v.metrics.committed(f.records, time.Since(start))
	return nil
}

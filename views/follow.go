package views

import (
	"context"
	"errors"

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
	v.gather.begin(at, target)
	for topic, parts := range at {
		v.partitions[sourceOf[topic]].Store(int32(len(parts)))
	}
	v.watch.tellAll() // who looked before could not find a row without its partition
	for {
		stands := at // at moves on while others read this
		v.next.Store(&stands)
		if r.Reached(target) {
			v.ready.Store(true)
		}
		f, records := newFetch(), 0
		err := r.Poll(ctx, func(rec *kgo.Record) error {
			records++
			v.take(f, rec)
			return topics.Newer(rec.Topic, rec.Value, func(name string) []byte { return kafka.HeaderOf(rec, name) })
		})
		if err != nil {
			return err // what this fetch brought is read again
		}
		at = r.Next()
		if v.gather.add(f, at) {
			v.settleBeside()
		}
		v.watch.tell(f.changed())
		v.metrics.records.Add(float64(records))
	}
}

// open a reader where the views stand. What came from a partition is dropped first when its log no longer holds that place: it ends before (it lost its end), or
// begins after (rows may have gone in between).
func (v *Views) open(ctx context.Context) (*kafka.Reader, error) {
	if err := v.settle(); err != nil { // or what is read again would be older than what is seen
		return nil, err
	}
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
	v.gather.turn.Lock()
	defer v.gather.turn.Unlock()
	clear(v.cards)
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

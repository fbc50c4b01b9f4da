package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/topics"
)

// topicNames of every source.
func topicNames() []string {
	var all []string
	for _, t := range followed {
		all = append(all, t.Name)
	}
	return all
}

// read hands out batches of what the tables lack, in the order of each partition, until something fails. done is where the tables stand; it is kept up to date.
// One goroutine fetches and decodes, and this one maps. spare are batches whose memory may be used again.
func (s *Sink) read(ctx context.Context, done map[*table]kafka.Offsets, out chan<- *batch, spare <-chan *batch) error {
	r, err := s.open(ctx, done)
	if err != nil {
		return err
	}
	defer r.Close()
	r.MaxPoll = maxPoll
	next := r.Next()
	advance(done, next) // a topic need not begin at offset 0
	f := &fetcher{reader: r, polls: make(chan polled, 1), failed: make(chan error, 1)}
	fetching, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.failed <- f.run(fetching)
	}()
	defer func() { stop(); <-ended }()
	look := func() {
		if ends := f.ends.Load(); ends != nil {
			s.state.behind(lag(*ends, done))
		}
	}
	for b := newBatch(); ; {
		if b.full() || !b.empty() && time.Since(b.since) >= s.cfg.Interval {
			b.seal(done, next)
			if err := s.hand(ctx, b, out, look); err != nil {
				return err
			}
			advance(done, next)
			select {
			case b = <-spare:
				b.reset()
			default:
				b = newBatch()
			}
		}
		select {
		case p := <-f.polls:
			for _, rec := range p.records {
				b.take(rec, func(t *table) bool { return rec.Offset >= done[t][rec.Topic][rec.Partition] })
			}
			next = p.next
		case err := <-f.failed:
			return err
		case <-time.After(wait(b, s.cfg.Interval)):
			look()
		}
	}
}

// polled is what one poll brought, and where the reader stood after it.
type polled struct {
	records []incoming
	next    kafka.Offsets
}

// fromNewer answers ErrSchema for a record that a newer build wrote: it belongs into tables, but this build cannot say which.
func fromNewer(rec *kgo.Record) error {
	if err := topics.Newer(rec.Topic, rec.Value, func(name string) []byte { return kafka.HeaderOf(rec, name) }); err != nil {
		return fmt.Errorf("%w: %s/%d@%d: %w", ErrSchema, rec.Topic, rec.Partition, rec.Offset, err)
	}
	return nil
}

// fetcher reads and decodes ahead by a poll, so that mapping does not wait for it.
type fetcher struct {
	reader *kafka.Reader
	polls  chan polled
	failed chan error
	ends   atomic.Pointer[kafka.Offsets] // of the topics, a second old at most
}

func (f *fetcher) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	look := func() error {
		ends, err := f.reader.Ends(ctx)
		if err == nil {
			f.ends.Store(&ends)
		}
		return err
	}
	if err := look(); err != nil {
		return err
	}
	for {
		var p polled
		waiting, cancel := context.WithTimeout(ctx, time.Second)
		err := f.reader.Poll(waiting, func(rec *kgo.Record) error {
			if err := fromNewer(rec); err != nil {
				return err
			}
			p.records = append(p.records, open(rec))
			return nil
		})
		cancel()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		p.next = f.reader.Next()
		for sent := false; !sent; {
			select {
			case f.polls <- p:
				sent = true
			case <-tick.C:
				if err := look(); err != nil {
					return err
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		select {
		case <-tick.C:
			if err := look(); err != nil {
				return err
			}
		default:
		}
	}
}

// hand a batch to the writer. While it is busy, meanwhile is done once a second.
func (s *Sink) hand(ctx context.Context, b *batch, out chan<- *batch, meanwhile func()) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := int64(b.records); ; { // counted before: the writer has the batch then
		s.state.underway.Add(n)
		select {
		case out <- b:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		s.state.underway.Add(-n) // what is not done already counts as behind
		meanwhile()
	}
}

// wait is how long the batch may still wait for records.
func wait(b *batch, interval time.Duration) time.Duration {
	if b.empty() {
		return 200 * time.Millisecond // to look how far behind the tables are
	}
	return max(interval-time.Since(b.since), time.Millisecond)
}

// advance moves the tables to where the reader is.
func advance(done map[*table]kafka.Offsets, next kafka.Offsets) {
	for t, at := range done {
		for topic, parts := range next {
			for p, to := range parts {
				if t.fills(topic) && to > at[topic][p] {
					set(at, topic, p, to)
				}
			}
		}
	}
}

// lag is how many offsets the table that is furthest behind lacks, transaction markers included, summed over the partitions.
func lag(ends kafka.Offsets, done map[*table]kafka.Offsets) (n int64) {
	for topic, parts := range ends {
		for p, end := range parts {
			least := end
			for t, at := range done {
				if t.fills(topic) {
					least = min(least, at[topic][p])
				}
			}
			n += end - least
		}
	}
	return n
}

// slowest is where the table that is furthest behind stands, of each partition that any table knows; a topic of which a table knows nothing is not in it.
func slowest(done map[*table]kafka.Offsets) kafka.Offsets {
	least := kafka.Offsets{}
	for _, topic := range followed {
		least[topic.Name] = map[int32]int64{}
		for t := range done {
			for p := range done[t][topic.Name] {
				at := int64(-1)
				for other := range done {
					if !other.fills(topic.Name) {
						continue
					}
					if to := done[other][topic.Name][p]; at < 0 || to < at {
						at = to
					}
				}
				least[topic.Name][p] = at
			}
		}
	}
	return least
}

// open a reader where the slowest table stands. A partition whose log no longer holds that place (it lost its end, so other records will stand at those offsets) is taken out
// of the tables and read again from its start. Where a log has lost its beginning, what went is named and the rest goes on.
func (s *Sink) open(ctx context.Context, done map[*table]kafka.Offsets) (*kafka.Reader, error) {
	for {
		at := slowest(done)
		r, err := s.cfg.Kafka.NewReader(ctx, kafka.From{Offsets: at, Gather: max(min(s.cfg.Interval/20, time.Second), 10*time.Millisecond)}, topicNames()...)
		if err != nil {
			return nil, err
		}
		ends, err := r.Ends(ctx)
		if err != nil {
			r.Close()
			return nil, err
		}
		forgotten := 0
		for topic, parts := range r.Next() {
			for p, first := range parts {
				for _, t := range tables {
					if stands, known := done[t][topic][p]; known && stands > ends[topic][p] {
						if err := s.forget(ctx, t, topic, p, stands, ends[topic][p]); err != nil {
							r.Close()
							return nil, err
						}
						delete(done[t][topic], p)
						forgotten++
					}
				}
				if was, known := at[topic][p]; known && first > was && topic != topics.OrdersTable.Name {
					s.stats.gone.Add(float64(first - was))
					s.log.Error("analytics: records were removed from a topic before the tables had them", "topic", topic, "partition", p, "first_offset", was, "next_offset", first)
				}
			}
		}
		if forgotten == 0 {
			return r, nil
		}
		r.Close()
	}
}

// forget takes what came from a partition out of a table.
func (s *Sink) forget(ctx context.Context, t *table, topic string, partition int32, stands, end int64) error {
	s.log.Warn("analytics: the log ends before the place where a table stands; the partition is read again from its start", "table", t.name, "topic", topic, "partition", partition, "offset", stands, "end", end)
	if err := s.conn.Exec(ctx, fmt.Sprintf(`ALTER TABLE %s DELETE WHERE _topic = {topic:String} AND _partition = {partition:Int64} SETTINGS mutations_sync = 2`, t.name),
		named("topic", topic), named("partition", int64(partition))); err != nil {
		return err
	}
	return s.rewind(ctx, t, []span{{topic, partition, 0, 0}})
}

// rewind makes a table stand at the ends of the spans, whatever was noted before.
func (s *Sink) rewind(ctx context.Context, t *table, to []span) error {
	s.seq++
	return note(ctx, s.conn, []intent{{table: t, seq: s.seq, spans: to}}, nil)
}

// repeat does the inserts of which nobody knows the outcome, with exactly their spans and tokens, and notes that they are done.
func (s *Sink) repeat(ctx context.Context, m memory) error {
	for _, i := range m.undone {
		b, err := s.reread(ctx, i)
		if err != nil {
			return err
		}
		if b.rows(i.table) > 0 {
			if err := s.insertAgain(ctx, i, b.blocks[i.table]); err != nil {
				return err
			}
		}
		if err := note(ctx, s.conn, []intent{i}, nil); err != nil {
			return err
		}
		for _, sp := range i.spans {
			set(m.done[i.table], sp.topic, sp.partition, sp.next)
		}
		s.log.Info("analytics: an insert without a known outcome was repeated", "table", i.table.name, "rows", b.rows(i.table), "token", i.token)
	}
	return nil
}

// insertAgain inserts under the token, which ClickHouse takes once, and then looks: it notes a token before its part gets its name, and one that is killed between the two
// has the token and no rows.
func (s *Sink) insertAgain(ctx context.Context, i intent, b *block) error {
	if err := insert(ctx, s.conn, i.table.name, b, i.token); err != nil {
		return err
	}
	from, to := i.bounds()
	var there uint64
	if err := s.conn.QueryRow(ctx, fmt.Sprintf("SELECT count() FROM %s FINAL WHERE %s", i.table.name, between(from, to))).Scan(&there); err != nil || there >= uint64(b.rows) {
		return err
	}
	s.log.Warn("analytics: ClickHouse has the token of an insert and not its rows; they are inserted without it", "table", i.table.name, "token", i.token, "rows", b.rows, "there", there)
	return insert(ctx, s.conn, i.table.name, b, "")
}

// reread makes the block of an intent again.
func (s *Sink) reread(ctx context.Context, i intent) (*batch, error) {
	from, to := i.bounds()
	r, err := s.cfg.Kafka.NewReader(ctx, kafka.From{End: true, Offsets: from}, slices.Collect(maps.Keys(from))...)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := newBatch()
	if err := r.To(ctx, to, func(rec *kgo.Record) error { // a log that lost its end is seen to by open
		if err := fromNewer(rec); err != nil { // its build notes it as done, with its rows
			return err
		}
		if first, ok := from[rec.Topic][rec.Partition]; ok && rec.Offset >= first && rec.Offset < to[rec.Topic][rec.Partition] {
			b.take(open(rec), func(t *table) bool { return t == i.table })
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for _, rec := range b.now {
		b.put(rec, func(t *table) bool { return t == i.table })
	}
	return b, nil
}

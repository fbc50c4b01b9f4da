package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Offsets are places to read from or up to: topic, partition, offset.
type Offsets map[string]map[int32]int64

// From says where a Reader starts.
type From struct {
	End     bool    // partitions that Offsets does not name start at their end as it is now, otherwise at their start
	Offsets Offsets // these partitions start here

	// Gather is how long the broker may wait for a megabyte before it answers, 10 ms at least; 0: it answers as soon as there is anything. It spares both sides a fetch for
	// each small transaction.
	Gather time.Duration

	// Whole names topics of which no record may be missed: one that is removed before it was read is an error then. Otherwise the Reader goes on behind it.
	Whole []string

	// Before are records that come before those of the topics. Readers of it have no End. nil: none.
	Before *Beginning
}

// Beginning is what a Reader hands out before the records of the topics, which have let it go, or need not be asked for it.
type Beginning struct {
	Ends Offsets                 // per partition, behind its last record: from there on the topic is read
	Next func() (*Record, error) // answers one record after the other, those of a partition in order, from where the Reader starts; io.EOF behind the last
}

// end of a partition; 0: nothing comes before it.
func (b *Beginning) end(topic string, p int32) int64 {
	if b == nil {
		return 0
	}
	return b.Ends[topic][p]
}

// Reader reads committed records of whole topics, without a group: for audits, replays, compaction and waiting clients.
// Records of one partition come in order. It is for one goroutine.
type Reader struct {
	cl     *kgo.Client
	adm    *kadm.Client
	topics []string
	next   Offsets // per partition, where the next record to deliver may lie
	whole  map[string]bool
	before *Beginning         // nil: none, or all of it was delivered
	later  map[string][]int32 // partitions that are read once it was

	// MaxPoll is how many records one Poll hands out at most, an even number; 0: all that its fetches have brought. While there is something before the topics, half of them are of that.
	MaxPoll int
}

// NewReader reads the topics, all of which must exist.
func (s Settings) NewReader(ctx context.Context, from From, topics ...string) (*Reader, error) {
	return s.newReader(ctx, from, func(partition) bool { return true }, topics...)
}

// NewPartitionReader reads one partition of a topic.
func (s Settings) NewPartitionReader(ctx context.Context, from From, topic string, number int32) (*Reader, error) {
	return s.newReader(ctx, from, func(p partition) bool { return p.number == number }, topic)
}

// newReader reads those partitions of the topics that only accepts.
func (s Settings) newReader(ctx context.Context, from From, only func(partition) bool, topics ...string) (*Reader, error) {
	if len(topics) == 0 {
		return nil, errors.New("kafka: a reader needs a topic")
	}
	// Control records are delivered to us, and dropped here: they are how a reader sees that it has passed a trailing marker.
	opts := []kgo.Opt{kgo.KeepControlRecords(), kgo.FetchMaxBytes(4 << 20), kgo.FetchMaxPartitionBytes(1 << 20)}
	if from.Gather > 0 {
		opts = append(opts, kgo.FetchMinBytes(1<<20), kgo.FetchMaxWait(from.Gather))
	}
	cl, err := s.client(opts...)
	if err != nil {
		return nil, err
	}
	r := &Reader{cl: cl, adm: kadm.NewClient(cl), topics: topics, next: Offsets{}, whole: map[string]bool{}, later: map[string][]int32{}}
	for _, t := range from.Whole {
		r.whole[t] = true
	}
	if err := r.seek(ctx, from, only); err != nil {
		cl.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) seek(ctx context.Context, from From, only func(partition) bool) error {
	starts, err := flat(r.adm.ListStartOffsets(ctx, r.topics...))
	if err != nil {
		return fmt.Errorf("kafka: where the topics start: %w", err)
	}
	ends, err := flat(r.adm.ListCommittedOffsets(ctx, r.topics...))
	if err != nil {
		return fmt.Errorf("kafka: where the topics end: %w", err)
	}
	assign := map[string]map[int32]kgo.Offset{}
	for topic, parts := range starts {
		r.next[topic], assign[topic] = map[int32]int64{}, map[int32]kgo.Offset{}
		for p, at := range parts {
			if !only(partition{topic, p}) {
				continue
			}
			named, ok := from.Offsets[topic][p]
			if end := from.Before.end(topic, p); named < end {
				if end < at {
					return fmt.Errorf("kafka: %s/%d starts at offset %d, and what comes before it ends at %d: the records between are in neither", topic, p, at, end)
				}
				r.before, r.later[topic] = from.Before, append(r.later[topic], p)
				r.next[topic][p], assign[topic][p] = named, kgo.NewOffset().At(end)
				continue
			}
			if ok {
				at = max(at, named)
			} else if from.End {
				at = ends[topic][p]
			}
			r.next[topic][p], assign[topic][p] = at, kgo.NewOffset().At(at)
		}
	}
	r.cl.PauseFetchPartitions(r.later)
	r.cl.AddConsumePartitions(assign)
	return nil
}

// flat makes kadm's answer, an error for any partition included, our own.
func flat(listed kadm.ListedOffsets, err error) (Offsets, error) {
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, err
	}
	all := Offsets{}
	listed.Each(func(o kadm.ListedOffset) {
		if all[o.Topic] == nil {
			all[o.Topic] = map[int32]int64{}
		}
		all[o.Topic][o.Partition] = o.Offset
	})
	return all, nil
}

// Ends asks where the committed records of each partition that it reads end now: the offset after the last one.
func (r *Reader) Ends(ctx context.Context) (Offsets, error) {
	ends, err := flat(r.adm.ListCommittedOffsets(ctx, r.topics...))
	if err != nil {
		return nil, fmt.Errorf("kafka: where the topics end: %w", err)
	}
	return r.own(ends), nil
}

// Starts asks where each partition that it reads starts now: what is before has been removed.
func (r *Reader) Starts(ctx context.Context) (Offsets, error) {
	starts, err := flat(r.adm.ListStartOffsets(ctx, r.topics...))
	if err != nil {
		return nil, fmt.Errorf("kafka: where the topics start: %w", err)
	}
	return r.own(starts), nil
}

// Taken asks up to where groups have committed what they read of the topics; partitions of which nothing was committed are left out.
func (r *Reader) Taken(ctx context.Context, groups ...string) (Offsets, error) {
	all := Offsets{}
	for _, group := range groups {
		have, err := r.adm.FetchOffsets(ctx, group)
		if err == nil {
			err = have.Error()
		}
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return nil, fmt.Errorf("kafka: offsets of group %s: %w", group, err)
		}
		have.Each(func(o kadm.OffsetResponse) {
			if o.At < 0 {
				return
			}
			if all[o.Topic] == nil {
				all[o.Topic] = map[int32]int64{}
			}
			all[o.Topic][o.Partition] = o.At
		})
	}
	return r.own(all), nil
}

// own leaves out the partitions that it does not read.
func (r *Reader) own(all Offsets) Offsets {
	for topic, parts := range all {
		for p := range parts {
			if _, ok := r.next[topic][p]; !ok {
				delete(parts, p)
			}
		}
	}
	return all
}

// Next is where the next record of each partition may lie: all before it were delivered, aborted or removed. A copy.
func (r *Reader) Next() Offsets {
	all := Offsets{}
	for topic, parts := range r.next {
		all[topic] = map[int32]int64{}
		for p, at := range parts {
			all[topic][p] = at
		}
	}
	return all
}

// Reached tells whether everything before the ends was delivered.
func (r *Reader) Reached(ends Offsets) bool {
	for topic, parts := range ends {
		for p, end := range parts {
			if r.next[topic][p] < end {
				return false
			}
		}
	}
	return true
}

// Poll waits for the next records and hands them to take, which may keep them. It comes back after at least one fetch, which
// may have held no record at all, or with the first error of take or of the context.
func (r *Reader) Poll(ctx context.Context, take func(*kgo.Record) error) error {
	if err := ctx.Err(); err != nil { // also when records wait to be handed out
		return err
	}
	wait, most := ctx, r.MaxPoll
	if r.before != nil {
		wait, most = nil, most/2 // for nothing: there are records
	}
	fetches := r.cl.PollRecords(wait, most)
	for _, e := range fetches.Errors() {
		if !errors.Is(e.Err, context.Canceled) && !errors.Is(e.Err, context.DeadlineExceeded) {
			return fmt.Errorf("kafka: reading %s/%d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	if err := ctx.Err(); err != nil && fetches.NumRecords() == 0 {
		return err
	}
	if err := r.missed(fetches); err != nil {
		return err
	}
	for it := fetches.RecordIter(); !it.Done(); {
		rec := it.Next()
		if at := r.next[rec.Topic][rec.Partition]; rec.Offset < at { // its log has lost its end, and the client has found another
			return fmt.Errorf("kafka: %s/%d went back from offset %d to %d", rec.Topic, rec.Partition, at, rec.Offset)
		}
		if !rec.Attrs.IsControl() {
			if err := take(rec); err != nil {
				return err
			}
		}
		r.next[rec.Topic][rec.Partition] = rec.Offset + 1
	}
	return r.pollBefore(most, take)
}

// missed finds out whether records were removed before they were read.
func (r *Reader) missed(fetches kgo.Fetches) (err error) {
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if at := r.next[p.Topic][p.Partition]; r.whole[p.Topic] && p.LogStartOffset > at && err == nil {
			err = fmt.Errorf("kafka: %s/%d starts at offset %d now, and was read up to %d: the records between were removed meanwhile", p.Topic, p.Partition, p.LogStartOffset, at)
		}
	})
	return err
}

// beforePoll is how many records one Poll without a MaxPoll hands out of what comes before the topics.
const beforePoll = 1_000

func (r *Reader) pollBefore(most int, take func(*kgo.Record) error) error {
	if r.before == nil {
		return nil
	}
	for range cmp.Or(most, beforePoll) {
		rec, err := r.before.Next()
		if errors.Is(err, io.EOF) {
			for topic, parts := range r.later {
				for _, p := range parts {
					r.next[topic][p] = r.before.end(topic, p)
				}
			}
			r.cl.ResumeFetchPartitions(r.later)
			r.before = nil
			return nil
		} else if err != nil {
			return err
		}
		if err := take(rec); err != nil {
			return err
		}
		r.next[rec.Topic][rec.Partition] = rec.Offset + 1
	}
	return nil
}

// ToEnd polls until everything that was committed when it was called has been handed to take.
func (r *Reader) ToEnd(ctx context.Context, take func(*kgo.Record) error) error {
	ends, err := r.Ends(ctx)
	if err != nil {
		return err
	}
	return r.until(ctx, ends, take)
}

// To polls until everything before the ends has been handed to take, or everything that is committed now where a log ends before that. The ends are of partitions
// that it reads.
func (r *Reader) To(ctx context.Context, ends Offsets, take func(*kgo.Record) error) error {
	have, err := r.Ends(ctx)
	if err != nil {
		return err
	}
	to := Offsets{}
	for topic, parts := range ends {
		to[topic] = map[int32]int64{}
		for p, at := range parts {
			to[topic][p] = min(at, have[topic][p])
		}
	}
	return r.until(ctx, to, take)
}

func (r *Reader) until(ctx context.Context, ends Offsets, take func(*kgo.Record) error) error {
	for !r.Reached(ends) {
		if err := r.Poll(ctx, take); err != nil {
			return err
		}
	}
	return nil
}

// Close ends it.
func (r *Reader) Close() { r.cl.Close() }

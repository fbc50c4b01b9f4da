package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Trimmer removes the beginnings of topics.
type Trimmer struct {
	cl  *kgo.Client
	adm *kadm.Client
}

// NewTrimmer connects.
func (s Settings) NewTrimmer() (*Trimmer, error) {
	cl, err := s.client()
	if err != nil {
		return nil, err
	}
	return &Trimmer{cl, kadm.NewClient(cl)}, nil
}

// Close ends it.
func (t *Trimmer) Close() { t.cl.Close() }

// Limit is up to where a partition may be removed.
type Limit struct {
	Start  int64  // of what is there
	Offset int64  // from which on it has to stay; Start or less: all has
	Why    string // it has to; empty: nothing is there
}

func (l *Limit) lower(to int64, why string, args ...any) {
	if to < l.Offset {
		l.Offset, l.Why = to, fmt.Sprintf(why, args...)
	}
}

// Limits of each partition of a topic: what is older than a moment and was taken by the group, and by every other group that has ever taken anything of it, may go. The last
// record may not: an embedded broker has nothing else that tells, after a start, where the partition was.
func (t *Trimmer) Limits(ctx context.Context, topic, group string, before time.Time) (map[int32]*Limit, error) {
	starts, err := flat(t.adm.ListStartOffsets(ctx, topic))
	if err != nil {
		return nil, fmt.Errorf("kafka: where %s starts: %w", topic, err)
	}
	younger, err := flat(t.adm.ListOffsetsAfterMilli(ctx, before.UnixMilli(), topic))
	if err != nil {
		return nil, fmt.Errorf("kafka: how old the records of %s are: %w", topic, err)
	}
	ends, err := flat(t.adm.ListEndOffsets(ctx, topic))
	if err != nil {
		return nil, fmt.Errorf("kafka: where %s ends: %w", topic, err)
	}
	limits := map[int32]*Limit{}
	for p, start := range starts[topic] {
		limits[p] = &Limit{Start: start, Offset: start}
		if end := ends[topic][p]; end > start {
			limits[p].Offset, limits[p].Why = end-1, "it is the last record"
		}
		limits[p].lower(younger[topic][p], "it is younger than %s", before.UTC().Format(time.RFC3339))
	}
	return limits, t.taken(ctx, topic, group, limits)
}

// taken lowers the limits to what the groups have taken.
func (t *Trimmer) taken(ctx context.Context, topic, owner string, limits map[int32]*Limit) error {
	listed, err := t.adm.ListGroups(ctx)
	if err != nil {
		return fmt.Errorf("kafka: who reads %s: %w", topic, err)
	}
	names := listed.Groups()
	if !slices.Contains(names, owner) {
		names = append(names, owner)
	}
	fetched := t.adm.FetchManyOffsets(ctx, names...)
	for _, name := range names {
		have := fetched[name]
		if err := have.Err; err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return fmt.Errorf("kafka: offsets of group %s: %w", name, err)
		}
		for p, l := range limits {
			switch o, ok := have.Fetched.Lookup(topic, p); {
			case ok && o.Err != nil:
				return fmt.Errorf("kafka: offsets of group %s: %w", name, o.Err)
			case ok && o.At >= 0:
				l.lower(o.At, "group %s has not taken it", name)
			case name == owner:
				l.lower(l.Start, "group %s has taken nothing", name)
			}
		}
	}
	return nil
}

// Trim removes the records of a partition before an offset.
func (t *Trimmer) Trim(ctx context.Context, topic string, partition int32, before int64) error {
	at := kadm.Offsets{}
	at.AddOffset(topic, partition, before, -1)
	deleted, err := t.adm.DeleteRecords(ctx, at)
	if err == nil {
		err = deleted.Error()
	}
	if err != nil {
		return fmt.Errorf("kafka: removing %s/%d before offset %d: %w", topic, partition, before, err)
	}
	return nil
}

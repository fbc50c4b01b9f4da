package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"oms/internal/kafka"
)

// Compare demands that what archive and topics both have is the same; starts are where the topics start.
func (a *Archive) Compare(ctx context.Context, k kafka.Settings, starts kafka.Offsets) error {
	for _, p := range slices.SortedFunc(maps.Keys(a.files), partition.compare) {
		start, ok := starts[p.topic][p.number]
		if !ok {
			return fmt.Errorf("archive: %s has records of %s, which is not there", a.dir, p)
		}
		if start >= a.end(p, len(a.files[p])) {
			continue
		}
		t := &taking{Config: Config{Kafka: k}, Archive: a}
		if err := t.compare(ctx, p, start); err != nil {
			return err
		}
	}
	return nil
}

// compare the records of a partition, from an offset to the end of its files, with those of its topic.
func (t *taking) compare(ctx context.Context, p partition, from int64) error {
	end := t.end(p, len(t.files[p]))
	r, err := t.Kafka.NewPartitionReader(ctx, kafka.From{Offsets: kafka.Offsets{p.topic: {p.number: from}}, Whole: []string{p.topic}}, p.topic, p.number)
	if err != nil {
		return err
	}
	defer r.Close()
	mine := t.tail(p, from)
	differ := func(at int64, how string) error {
		return fmt.Errorf("archive: %s and the files of %s disagree at offset %d: %s; one of them is of another life of the cluster", p, t.dir, at, how)
	}
	err = r.To(ctx, kafka.Offsets{p.topic: {p.number: end}}, func(rec *kafka.Record) error {
		if rec.Offset >= end {
			return nil
		}
		t.tell(func() string { return fmt.Sprintf("%s compared up to offset %d of %d", p, rec.Offset, end) })
		own, err := mine.next()
		switch {
		case errors.Is(err, io.EOF):
			return differ(rec.Offset, "the topic has a record that they have not")
		case err != nil:
			return err
		case own.Offset != rec.Offset:
			return differ(min(own.Offset, rec.Offset), "only one of them has a record there")
		case !same(own, rec):
			return differ(rec.Offset, "they have different records")
		}
		return nil
	})
	if err != nil {
		return err
	}
	switch own, err := mine.next(); {
	case err == nil:
		return differ(own.Offset, "the topic has no record there")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

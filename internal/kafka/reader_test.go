package kafka_test

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
)

func TestAReaderDeliversEachPartitionInOrderAndKnowsWhenItHasReachedTheEnd(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		ctx := context.Background()
		topic := kafkatest.Name("reader")
		cl := ensure(t, b.Settings, kafka.Topic{Name: topic, Partitions: 3})
		for i := range 300 {
			cl.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(i % 3), Value: []byte{byte(i)}}, nil)
		}
		if err := cl.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		r, err := b.NewReader(ctx, kafka.From{}, topic)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		n, last := 0, map[int32]int64{0: -1, 1: -1, 2: -1}
		if err := r.ToEnd(ctx, func(rec *kgo.Record) error {
			if n++; rec.Offset != last[rec.Partition]+1 {
				t.Errorf("partition %d: offset %d after %d", rec.Partition, rec.Offset, last[rec.Partition])
			}
			last[rec.Partition] = rec.Offset
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if n != 300 {
			t.Errorf("%d of 300 records", n)
		}
	})
}

// transact writes values to a topic in one transaction.
func transact(t *testing.T, s kafka.Settings, topic string, commit bool, values ...string) {
	t.Helper()
	ctx := context.Background()
	cl, err := kgo.NewClient(s.Options(kgo.TransactionalID(kafkatest.Name("txn")), kgo.DefaultProduceTopic(topic))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if err := cl.ProduceSync(ctx, kgo.StringRecord(v)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cl.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		t.Fatal(err)
	}
}

func TestAReaderSeesCommittedRecordsOnlyAndPassesMarkersAndAbortedOnesToTheEnd(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		topic := kafkatest.Name("marked")
		ensure(t, b.Settings, kafka.Topic{Name: topic, Partitions: 1}, kafka.Topic{Name: topic + ".empty", Partitions: 2})
		transact(t, b.Settings, topic, true, "a", "b")
		transact(t, b.Settings, topic, false, "x", "y")
		transact(t, b.Settings, topic, true, "c")
		transact(t, b.Settings, topic, false, "z") // the log ends in a record nobody sees, and its marker
		read := func(from kafka.From) (values []string) {
			r, err := b.NewReader(ctx, from, topic, topic+".empty")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if err := r.ToEnd(ctx, func(rec *kgo.Record) error { values = append(values, string(rec.Value)); return nil }); err != nil {
				t.Fatal(err)
			}
			if ends, err := r.Ends(ctx); err != nil || !r.Reached(ends) {
				t.Error("it is not at the end:", r.Next(), ends, err)
			}
			return values
		}
		for _, c := range []struct {
			from kafka.From
			want []string
		}{
			{kafka.From{}, []string{"a", "b", "c"}},
			{kafka.From{Offsets: kafka.Offsets{topic: {0: 1}}}, []string{"b", "c"}},
			{kafka.From{Offsets: kafka.Offsets{topic: {0: 4}}, End: true}, []string{"c"}},
			{kafka.From{End: true}, nil},
		} {
			if got := read(c.from); !slices.Equal(got, c.want) {
				t.Errorf("from %+v: %v, not %v", c.from, got, c.want)
			}
		}
	})
}

func TestAReaderFromTheEndDeliversWhatIsWrittenAfterIt(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		topic := kafkatest.Name("tail")
		ensure(t, b.Settings, kafka.Topic{Name: topic, Partitions: 1})
		transact(t, b.Settings, topic, true, "before")
		r, err := b.NewReader(ctx, kafka.From{End: true}, topic)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		transact(t, b.Settings, topic, true, "after")
		var got []string
		for len(got) == 0 {
			if err := r.Poll(ctx, func(rec *kgo.Record) error { got = append(got, string(rec.Value)); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, []string{"after"}) {
			t.Error(got)
		}
		short, stop := context.WithCancel(ctx)
		stop()
		if err := r.Poll(short, func(*kgo.Record) error { return nil }); err != context.Canceled {
			t.Error("Poll under a context that has ended:", err)
		}
	})
}

func TestAReaderOfATopicThatIsNotThereIsRefused(t *testing.T) {
	e := kafkatest.Embedded(t)
	for _, topics := range [][]string{nil, {"nowhere"}} {
		if r, err := e.Settings().NewReader(context.Background(), kafka.From{}, topics...); err == nil {
			r.Close()
			t.Error("a reader of", topics)
		}
	}
}

// More than one fetch brings is removed behind a reader's back, and before it was read.
func TestAReaderThatMayMissNothingSaysWhatItMissed(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		topic := kafkatest.Name("missed")
		cl := ensure(t, b.Settings, kafka.Topic{Name: topic, Partitions: 1})
		for range 64 {
			value := make([]byte, 100<<10)
			rand.Read(value)
			if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		count := func(_ *kgo.Record) error { return nil }
		var readers []*kafka.Reader
		for _, whole := range [][]string{nil, {topic}} {
			r, err := b.NewReader(ctx, kafka.From{Whole: whole}, topic)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if err := r.Poll(ctx, count); err != nil {
				t.Fatal(err)
			}
			readers = append(readers, r)
		}
		trimmer, err := b.NewTrimmer()
		if err != nil {
			t.Fatal(err)
		}
		defer trimmer.Close()
		if err := trimmer.Trim(ctx, topic, 0, 63); err != nil {
			t.Fatal(err)
		}
		if err := readers[0].ToEnd(ctx, count); err != nil {
			t.Errorf("the one that may: %v", err)
		}
		if err := readers[1].ToEnd(ctx, count); err == nil || !strings.Contains(err.Error(), topic+"/0 starts at offset 63 now") {
			t.Errorf("the one that may not: %v", err)
		}
	})
}

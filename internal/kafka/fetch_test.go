package kafka_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
)

// A consumer whose fetches end in the middle of a partition still sees no record of an aborted transaction.
func TestAFetchThatIsFullShowsNothingAborted(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		topic := "full-" + strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
		cl, err := b.NewProducer(kgo.TransactionalID(topic), kgo.ProducerBatchMaxBytes(4<<10), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		if _, err := kafka.EnsureTopics(ctx, kadm.NewClient(cl), []kafka.Topic{{Name: topic, Partitions: 2}}, false); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			word, end := "committed", kgo.TryCommit
			if i%2 == 0 {
				word, end = "aborted", kgo.TryAbort
			}
			for n := range 20 {
				cl.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(n % 2), Value: []byte(word + strings.Repeat("x", 1<<10))}, nil)
			}
			if err := cl.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			if err := cl.EndTransaction(ctx, end); err != nil {
				t.Fatal(err)
			}
		}
		reader, err := kgo.NewClient(b.Options(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.FetchMaxBytes(10<<10), kgo.FetchMaxPartitionBytes(1<<20))...)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		for seen := 0; seen < 200; {
			fetches := reader.PollFetches(ctx)
			if err := fetches.Err0(); err != nil {
				t.Fatal(err)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				if seen++; !strings.HasPrefix(string(r.Value), "committed") {
					t.Fatalf("partition %d offset %d is of a transaction that was aborted", r.Partition, r.Offset)
				}
			})
		}
	})
}

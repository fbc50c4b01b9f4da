package kafka_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
)

// doors are the two ways to an embedded broker.
func doors(b *testing.B, run func(b *testing.B, e *kafka.Embedded, s kafka.Settings)) {
	for _, door := range []string{"memory", "network"} {
		b.Run(door, func(b *testing.B) {
			e := kafkatest.Embedded(b)
			s := e.Settings()
			if door == "network" {
				s = kafka.Settings{Brokers: []string{e.Addr()}}
			}
			cl, err := s.NewProducer()
			if err != nil {
				b.Fatal(err)
			}
			defer cl.Close()
			if _, err := kafka.EnsureTopics(context.Background(), kadm.NewClient(cl), []kafka.Topic{{Name: "t", Partitions: 12}}, false); err != nil {
				b.Fatal(err)
			}
			run(b, e, s)
		})
	}
}

// One record from a producer to a reader that waits for it.
func BenchmarkHop(b *testing.B) {
	doors(b, func(b *testing.B, _ *kafka.Embedded, s kafka.Settings) {
		ctx := context.Background()
		r, err := s.NewReader(ctx, kafka.From{End: true}, "t")
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		cl, err := s.NewProducer()
		if err != nil {
			b.Fatal(err)
		}
		defer cl.Close()
		n := 0
		for b.Loop() {
			cl.Produce(ctx, &kgo.Record{Topic: "t", Key: fmt.Append(nil, n), Value: make([]byte, 500)}, nil)
			for n++; ; {
				got := 0
				if err := r.Poll(ctx, func(*kgo.Record) error { got++; return nil }); err != nil {
					b.Fatal(err)
				}
				if got > 0 {
					break
				}
			}
		}
	})
}

// Transactions with so many records over twelve partitions, journal included.
func BenchmarkTransaction(b *testing.B) {
	for _, records := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			doors(b, func(b *testing.B, e *kafka.Embedded, s kafka.Settings) {
				ctx := context.Background()
				cl, err := kgo.NewClient(s.Options(kgo.TransactionalID("t"), kgo.ProducerLinger(0))...)
				if err != nil {
					b.Fatal(err)
				}
				defer cl.Close()
				for b.Loop() {
					if err := cl.BeginTransaction(); err != nil {
						b.Fatal(err)
					}
					out := make([]*kgo.Record, records)
					for i := range out {
						out[i] = &kgo.Record{Topic: "t", Key: fmt.Append(nil, i), Value: make([]byte, 500)}
					}
					if err := cl.ProduceSync(ctx, out...).FirstErr(); err != nil {
						b.Fatal(err)
					}
					t := kafka.Transaction{ID: "t"}
					for _, r := range out {
						t.Records = append(t.Records, kafka.Place{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset})
					}
					seq, err := e.Journal().Begin(t)
					if err == nil {
						err = cl.EndTransaction(ctx, kgo.TryCommit)
					}
					if err == nil {
						err = e.Journal().Done(seq)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

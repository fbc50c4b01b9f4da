package ingest

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
	"oms/internal/seal"
	"oms/internal/web"
	"oms/schemas"
	"oms/topics"
)

// rowsOf answers every PlaceOrder of the inbox with its OrderCreated, as group orders would.
func rowsOf(t *testing.T, s kafka.Settings) {
	ctx, stop := context.WithCancel(context.Background())
	out, err := s.NewProducer()
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.NewReader(ctx, kafka.From{}, topics.OrderCommands.Name)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer out.Close()
		defer r.Close()
		for r.Poll(ctx, func(rec *kgo.Record) error {
			m := accept(schemas.Decode(rec.Value)).(*schemas.OrderCreated)
			m.Cause = schemas.CauseOf(schemas.Decode(rec.Value))
			value, err := schemas.Encode(m)
			if err != nil {
				return err
			}
			said := &kgo.Record{Topic: topics.OrderEvents.Name, Key: rec.Key, Value: value}
			for name, v := range topics.HeadersOf(m, "test", 0, nil) {
				said.Headers = append(said.Headers, kgo.RecordHeader{Key: name, Value: v})
			}
			return out.ProduceSync(ctx, said).FirstErr()
		}) == nil {
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
}

func TestOrdersArePlacedThroughKafkaAndAnsweredByTheirFacts(t *testing.T) {
	broker := kafkatest.Embedded(t).Settings()
	var wanted []kafka.Topic
	for _, topic := range topics.All {
		wanted = append(wanted, kafka.Topic{Name: topic.Name, Partitions: 3})
	}
	admin, err := broker.NewProducer()
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := kafka.EnsureTopics(t.Context(), kadm.NewClient(admin), wanted, false); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.Open(seal.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	s, err := New(Config{Kafka: broker, Views: shown{}, Seal: keys, Secret: bytes.Repeat([]byte{1}, 32), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	go func() { ended <- s.Run(ctx) }()
	rowsOf(t, broker)
	for deadline := time.Now().Add(10 * time.Second); !s.Ready(); {
		if time.Now().After(deadline) {
			t.Fatal("not ready within 10 s")
		}
		<-time.After(time.Millisecond)
	}
	app := web.New(web.Config{Authenticator: always(staff), Log: slog.New(slog.DiscardHandler)})
	s.Routes(app)
	const n = 50
	start := time.Now()
	for range n {
		req := httptest.NewRequest("POST", "/api/orders", strings.NewReader(goodOrder))
		req.Header.Set("Content-Type", "application/json")
		resp, err := app.Test(req, 10_000)
		if err != nil || resp.StatusCode != 201 {
			t.Fatalf("%v %v", resp, err)
		}
	}
	t.Logf("%v an order, one after the other, two hops", time.Since(start)/n)
	if left := s.waiters.n.Load(); left != 0 {
		t.Errorf("%d still wait", left)
	}
}

package processors

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
	"oms/internal/store"
	"oms/internal/stream"
	"oms/schemas"
	"oms/topics"
)

// shop runs one group on an embedded broker.
type shop struct {
	t   *testing.T
	s   kafka.Settings
	out *kgo.Client
}

func open(t *testing.T, g Group) *shop {
	t.Helper()
	e := kafkatest.Embedded(t)
	sh := &shop{t: t, s: e.Settings()}
	var err error
	if sh.out, err = sh.s.NewProducer(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sh.out.Close)
	var want []kafka.Topic
	for _, topic := range topics.All {
		want = append(want, kafka.Topic{Name: topic.Name, Partitions: 1, Replicas: 1, Compact: topic.Policy == topics.Compact})
	}
	if _, err := kafka.EnsureTopics(t.Context(), kadm.NewClient(sh.out), want, false); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	engine, err := stream.New(stream.Config{Kafka: sh.s, Group: g.Name, Inbox: g.Inbox.Name, DeadLetter: g.DeadLetters.Name, Instance: "test", Life: e.Life(), Journal: e.Journal(),
		Store: db, Log: kafkatest.Log(t), Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- NewShell(g, slog.New(slog.DiscardHandler), metrics).Run(ctx, engine, sh.s.Brokers) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the group ended: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return sh
}

// put writes a raw record into the inbox of products.
func (s *shop) put(key, value []byte) {
	s.t.Helper()
	r := &kgo.Record{Topic: topics.ProductCommands.Name, Key: key, Value: value, Headers: []kgo.RecordHeader{{Key: topics.HeaderTrace, Value: []byte("00-trace-01")}}}
	if err := s.out.ProduceSync(s.t.Context(), r).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) say(m schemas.Message) {
	s.t.Helper()
	b, err := schemas.Encode(m)
	if err != nil {
		s.t.Fatal(err)
	}
	s.put([]byte(m.Key()), b)
}

// read answers the first n records of a topic.
func (s *shop) read(topic topics.Topic, n int) (all []*kgo.Record) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	in, err := kgo.NewClient(s.s.Options(kgo.ConsumeTopics(topic.Name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		s.t.Fatal(err)
	}
	defer in.Close()
	for len(all) < n {
		fetched := in.PollFetches(ctx)
		if ctx.Err() != nil {
			s.t.Fatalf("%s holds %d records, want %d", topic.Name, len(all), n)
		}
		all = append(all, fetched.Records()...)
	}
	return all
}

func header(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

func add(id string) *schemas.AddProduct {
	return &schemas.AddProduct{Command: schemas.Command{CommandID: "cmd_" + id, Tenant: schemas.DefaultTenant}, ProductID: id, Name: id, PriceMinor: 100, Currency: "EUR", Fingerprint: []byte{1}}
}

func productsGroup() Group {
	for _, g := range Groups {
		if g.Name == "products" {
			return g
		}
	}
	panic("no group products")
}

func TestWhatCannotBeTakenBecomesADeadLetterAndThePartitionGoesOn(t *testing.T) {
	g := productsGroup()
	decide := g.Step
	g.Step = func(row Row, in schemas.Input) []schemas.Message {
		if m, ok := in.Message.(*schemas.AddProduct); ok && m.ProductID == "panics" {
			row.RowHead().Version++
			panic("a defect of ours")
		}
		return decide(row, in)
	}
	s := open(t, g)
	order, err := schemas.Encode(&schemas.CancelOrder{OrderID: "ord_1"})
	if err != nil {
		t.Fatal(err)
	}
	bad := []struct {
		key, value []byte
		why        string
	}{
		{[]byte("p"), []byte("garbage"), "Confluent frame"},
		{[]byte("p"), []byte{0, 0xff, 0xff, 0xff, 0xff, 1}, "is not released"},
		{[]byte("p"), nil, "Confluent frame"},
		{[]byte("ord_1"), order, "oms.order.CancelOrder is not said on oms.product.commands"},
	}
	for _, b := range bad {
		s.put(b.key, b.value)
	}
	good, err := schemas.Encode(add("p1"))
	if err != nil {
		t.Fatal(err)
	}
	s.put(nil, good)
	s.put([]byte("p2"), good)
	s.say(add("panics"))
	s.say(add("p1"))
	if got := schemas.Decode(s.read(topics.ProductEvents, 1)[0].Value).(*schemas.ProductAdded); got.ProductID != "p1" || got.Sequence != 1 {
		t.Errorf("the good record after the bad ones led to %+v", got)
	}
	dead := s.read(topics.ProductDeadLetters, 7)
	want := append([]string{}, bad[0].why, bad[1].why, bad[2].why, bad[3].why, "must be equal and not empty", "must be equal and not empty", "a defect of ours")
	for i, r := range dead {
		if why := header(r, stream.HeaderError); !strings.Contains(why, want[i]) {
			t.Errorf("dead letter %d: %q, want %q", i, why, want[i])
		}
		if header(r, stream.HeaderOriginTopic) != topics.ProductCommands.Name || header(r, stream.HeaderOriginOffset) == "" || header(r, stream.HeaderAttempt) == "" || header(r, topics.HeaderTrace) != "00-trace-01" {
			t.Errorf("dead letter %d has headers %v", i, r.Headers)
		}
		if i < len(bad) && string(r.Value) != string(bad[i].value) {
			t.Errorf("dead letter %d holds %q, came as %q", i, r.Value, bad[i].value)
		}
	}
	refused := schemas.Decode(s.read(topics.ProductOutcomes, 1)[0].Value)
	for _, r := range s.read(topics.ProductOutcomes, 3) {
		if m := schemas.Decode(r.Value).(*schemas.CommandRefused); m.CommandID == "cmd_panics" {
			refused = m
		}
	}
	if m := refused.(*schemas.CommandRefused); m.CommandID != "cmd_panics" || m.Code != schemas.RefusalCodeDeadLettered {
		t.Errorf("who waits for the command is told %+v", m)
	}
	rows := s.read(topics.ProductsTable, 1)
	if row := schemas.Decode(rows[0].Value).(*schemas.ProductRow); len(rows) != 1 || row.ProductID != "p1" || row.Version != 1 {
		t.Errorf("the table holds %d rows, first %+v", len(rows), row)
	}
}

func TestAFactCarriesTheTimeOfItsStepAsItsTimestamp(t *testing.T) {
	s := open(t, productsGroup())
	s.say(add("p1"))
	in := s.read(topics.ProductCommands, 1)[0]
	fact := s.read(topics.ProductEvents, 1)[0]
	if !fact.Timestamp.Equal(in.Timestamp) {
		t.Errorf("the fact is of %s, its command of %s", fact.Timestamp, in.Timestamp)
	}
	if h := header(fact, stream.HeaderTimestamp); h != "" {
		t.Errorf("the engine's own header went out: %q", h)
	}
	if header(fact, topics.HeaderCause) != "cmd_p1" || header(fact, topics.HeaderTrace) != "00-trace-01" || header(fact, topics.HeaderType) != "oms.product.ProductAdded" {
		t.Errorf("headers %v", fact.Headers)
	}
}

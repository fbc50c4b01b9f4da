package gateways

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/gateways/payment"
	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
	"oms/schemas"
	"oms/topics"
)

func TestMain(m *testing.M) { os.Exit(kafkatest.Main(m)) }

// rig is a broker with the dispatcher's topics, somebody who asks, and the replies as they come.
type rig struct {
	testing.TB
	kafka   kafka.Settings
	cl      *kgo.Client
	mu      sync.Mutex
	heard   []*schemas.PaymentReply
	buried  []*kgo.Record
	arrived chan struct{}
}

func newRig(t testing.TB, s kafka.Settings) *rig {
	t.Helper()
	r := &rig{TB: t, kafka: s, arrived: make(chan struct{}, 1)}
	var err error
	if r.cl, err = s.NewProducer(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.cl.Close)
	var want []kafka.Topic
	for _, topic := range []topics.Topic{topics.PaymentRequests, topics.OrderCommands, topics.PaymentDeadLetters} {
		want = append(want, kafka.Topic{Name: topic.Name, Partitions: 12})
	}
	if _, err := kafka.EnsureTopics(context.Background(), kadm.NewClient(r.cl), want, false); err != nil {
		t.Fatal(err)
	}
	reader, err := s.NewReader(context.Background(), kafka.From{End: true}, topics.OrderCommands.Name, topics.PaymentDeadLetters.Name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var reading sync.WaitGroup
	reading.Go(func() {
		for ctx.Err() == nil {
			if err := reader.Poll(ctx, r.hear); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	t.Cleanup(func() {
		stop()
		reading.Wait()
		reader.Close()
	})
	return r
}

func (r *rig) hear(rec *kgo.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec.Topic == topics.PaymentDeadLetters.Name {
		r.buried = append(r.buried, rec)
	} else if m, ok := schemas.Decode(rec.Value).(*schemas.PaymentReply); ok && string(rec.Key) == m.OrderID {
		r.heard = append(r.heard, m)
	} else {
		r.Errorf("%s/%d@%d is no reply to its key %q", rec.Topic, rec.Partition, rec.Offset, rec.Key)
	}
	select {
	case r.arrived <- struct{}{}:
	default:
	}
	return nil
}

// until waits for a condition on what was heard.
func (r *rig) until(what string, ok func() bool) {
	r.Helper()
	late := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		fine := ok()
		r.mu.Unlock()
		if fine {
			return
		}
		select {
		case <-r.arrived:
		case <-late:
			r.mu.Lock()
			defer r.mu.Unlock()
			r.Fatalf("waited 20 s for %s; heard %d replies, %d dead letters", what, len(r.heard), len(r.buried))
		}
	}
}

// replies waits for n and answers them in the order of the log; replies to one order keep it.
func (r *rig) replies(n int) []*schemas.PaymentReply {
	r.Helper()
	r.until(fmt.Sprintf("%d replies", n), func() bool { return len(r.heard) >= n })
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*schemas.PaymentReply(nil), r.heard...)
}

// ask puts requests into the log, in order.
func (r *rig) ask(ms ...schemas.Message) {
	r.Helper()
	var records []*kgo.Record
	for _, m := range ms {
		b, err := schemas.Encode(m)
		if err != nil {
			r.Fatal(err)
		}
		records = append(records, &kgo.Record{Topic: topics.Of(m).Name, Key: []byte(m.Key()), Value: b, Headers: []kgo.RecordHeader{{Key: topics.HeaderCorrelation, Value: []byte("cmd_1")}}})
	}
	if err := r.cl.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		r.Fatal(err)
	}
}

// run starts a dispatcher; the func it answers stops it in order.
func (r *rig) run(c Config) (d *Dispatcher, stop func()) {
	r.Helper()
	c.Kafka, c.Log = r.kafka, kafkatest.Log(r)
	d, err := New(c)
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				r.Error(err)
			}
		case <-time.After(10 * time.Second):
			r.Error("the dispatcher does not stop")
		}
		if d.Ready() {
			r.Error("a stopped dispatcher says that it is ready")
		}
	})
	r.Cleanup(stop)
	return d, stop
}

func ids(n int) (order, pay, request string) {
	return fmt.Sprintf("ord_%d", n), fmt.Sprintf("pay_%d.1", n), fmt.Sprintf("pay_%d.1.A.1", n)
}

func authorize(n int, provider, token string, capture schemas.CapturePolicy) *schemas.AuthorizePayment {
	order, pay, request := ids(n)
	return &schemas.AuthorizePayment{Said: schemas.Said{ID: order + ".3.1", Tenant: "default"}, OrderID: order, PaymentID: pay, RequestID: request, Provider: provider,
		Method: schemas.PaymentMethodCard, Token: token, AmountMinor: 1999, Currency: "EUR", Capture: capture}
}

func void(n int, provider string) *schemas.VoidPayment {
	order, pay, request := ids(n)
	return &schemas.VoidPayment{Said: schemas.Said{ID: order + ".5.0", Tenant: "default"}, OrderID: order, PaymentID: pay, RequestID: pay + ".V.1", Provider: provider,
		AuthorizationID: request, AmountMinor: 1999, Currency: "EUR"}
}

// stub is a provider that does what the test says.
type stub func(ctx context.Context, r payment.Request) (payment.Answer, error)

func (s stub) Do(ctx context.Context, r payment.Request) (payment.Answer, error) { return s(ctx, r) }

var good = map[schemas.PaymentOperation]schemas.PaymentOutcome{schemas.PaymentOperationAuthorize: schemas.PaymentOutcomeAuthorized, schemas.PaymentOperationVoid: schemas.PaymentOutcomeVoided}

func yes(r payment.Request) (payment.Answer, error) {
	return payment.Answer{Outcome: good[r.Operation], AmountMinor: r.AmountMinor, ProviderRef: "p"}, nil
}

func TestEveryRequestIsAnsweredOnceAndItsHeadersFollow(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r := newRig(t, b.Settings)
		d, stop := r.run(Config{Providers: map[string]payment.Provider{"a": stub(func(_ context.Context, q payment.Request) (payment.Answer, error) { return yes(q) })}})
		const n = 200
		for i := range n {
			r.ask(authorize(i, "a", "tok", ""))
		}
		answered := map[string]bool{}
		for _, m := range r.replies(n) {
			if m.Outcome != schemas.PaymentOutcomeAuthorized || m.AmountMinor != 1999 || m.Operation != schemas.PaymentOperationAuthorize || m.ID != m.OrderID+".3.1.reply" || m.Tenant != "default" {
				t.Fatalf("reply %+v", m)
			}
			answered[m.RequestID] = true
		}
		if len(answered) != n || !d.Ready() {
			t.Fatalf("%d requests are answered, want %d; ready %v", len(answered), n, d.Ready())
		}
		stop()
		// A second life has nothing left to do but what is new.
		r.run(Config{Providers: map[string]payment.Provider{"a": stub(func(_ context.Context, q payment.Request) (payment.Answer, error) { return yes(q) })}})
		r.ask(authorize(n, "a", "tok", ""))
		if all := r.replies(n + 1); len(all) != n+1 || all[n].OrderID != "ord_200" {
			t.Errorf("after a stop in order %d replies came, the last to %s; want one more than %d", len(all), all[len(all)-1].OrderID, n)
		}
	})
}

func TestRequestsOfOnePaymentAreAskedOneAfterTheOtherInLogOrder(t *testing.T) {
	r := newRig(t, kafkatest.Embedded(t).Settings())
	var mu sync.Mutex
	inFlight, asked := map[string]int{}, map[string][]schemas.PaymentOperation{}
	slow := stub(func(ctx context.Context, q payment.Request) (payment.Answer, error) {
		mu.Lock()
		inFlight[q.PaymentID]++
		if inFlight[q.PaymentID] > 1 {
			t.Errorf("%s: two requests at once", q.PaymentID)
		}
		asked[q.PaymentID] = append(asked[q.PaymentID], q.Operation)
		mu.Unlock()
		if q.Operation == schemas.PaymentOperationAuthorize {
			time.Sleep(20 * time.Millisecond) // the provider takes its time, so that a void could overtake
		}
		mu.Lock()
		inFlight[q.PaymentID]--
		mu.Unlock()
		return yes(q)
	})
	const n = 40
	for i := range n {
		r.ask(authorize(i, "a", "tok", ""), void(i, "a"))
	}
	r.run(Config{Providers: map[string]payment.Provider{"a": slow}})
	seen := map[string][]schemas.PaymentOutcome{}
	for _, m := range r.replies(2 * n) {
		seen[m.OrderID] = append(seen[m.OrderID], m.Outcome)
	}
	for order, outcomes := range seen {
		if len(outcomes) != 2 || outcomes[0] != schemas.PaymentOutcomeAuthorized || outcomes[1] != schemas.PaymentOutcomeVoided {
			t.Errorf("%s: replies %v", order, outcomes)
		}
	}
	for pay, operations := range asked {
		if len(operations) != 2 || operations[0] != schemas.PaymentOperationAuthorize {
			t.Errorf("%s: asked %v", pay, operations)
		}
	}
}

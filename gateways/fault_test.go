package gateways

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/gateways/payment"
	"oms/internal/kafka/kafkatest"
	"oms/internal/stream"
	"oms/proof/sandbox"
	"oms/schemas"
	"oms/topics"
)

// world is a sandbox and its client.
func world(t testing.TB, b sandbox.Behaviour) (p *payment.Sandbox, ledger func() []sandbox.Entry) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.jsonl")
	s, err := sandbox.Start(context.Background(), sandbox.Config{Ledger: path, Behaviour: b})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if p, err = payment.NewSandbox(s.URL(), nil); err != nil {
		t.Fatal(err)
	}
	return p, func() (all []sandbox.Entry) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
			var e sandbox.Entry
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
		return all
	}
}

// quick shortens every wait of a dispatcher.
var quick = Timing{Hold: 400 * time.Millisecond, Attempt: 100 * time.Millisecond, Open: 50 * time.Millisecond}

func TestADeadProviderDoesNotStopAnother(t *testing.T) {
	r := newRig(t, kafkatest.Embedded(t).Settings())
	release := make(chan struct{})
	dead := stub(func(context.Context, payment.Request) (payment.Answer, error) {
		<-release // deaf: it does not even hear that the time is over
		return payment.Answer{}, &payment.Fault{Class: payment.Unknown, Err: errors.New("no answer")}
	})
	live := stub(func(_ context.Context, q payment.Request) (payment.Answer, error) { return yes(q) })
	r.run(Config{Providers: map[string]payment.Provider{"dead": dead, "live": live}, Timing: quick})
	const n = 300
	for i := range n {
		r.ask(authorize(2*i, "dead", "tok", ""), authorize(2*i+1, "live", "tok", ""))
	}
	for _, m := range r.replies(n) {
		if m.Outcome != schemas.PaymentOutcomeAuthorized {
			t.Errorf("%s: %s %s", m.OrderID, m.Outcome, m.Reason)
		}
	}
	close(release)
	for _, m := range r.replies(2 * n)[n:] {
		if m.Outcome != schemas.PaymentOutcomeUnknown && m.Outcome != schemas.PaymentOutcomeUnavailable {
			t.Errorf("the dead provider's %s is answered %s", m.OrderID, m.Outcome)
		}
	}
}

func TestWhatWasSentIsUnknownAndWhatWasNotIsUnavailable(t *testing.T) {
	r := newRig(t, kafkatest.Embedded(t).Settings())
	fails := func(class payment.Class) stub {
		return func(context.Context, payment.Request) (payment.Answer, error) {
			return payment.Answer{}, &payment.Fault{Class: class, Err: errors.New("as told")}
		}
	}
	r.run(Config{Timing: quick, Providers: map[string]payment.Provider{
		"silent": fails(payment.Unknown), "closed": fails(payment.Transient), "strict": fails(payment.Permanent),
		"broken": stub(func(context.Context, payment.Request) (payment.Answer, error) { panic("a defect") }),
	}})
	want := map[string]schemas.PaymentOutcome{"silent": schemas.PaymentOutcomeUnknown, "closed": schemas.PaymentOutcomeUnavailable, "strict": schemas.PaymentOutcomeRefused,
		"broken": schemas.PaymentOutcomeUnknown, "nobody": schemas.PaymentOutcomeUnavailable}
	by := map[string]string{}
	for name := range want {
		m := authorize(len(by), name, "tok", "")
		by[m.OrderID] = name
		r.ask(m)
	}
	for _, m := range r.replies(len(want)) {
		if name := by[m.OrderID]; m.Outcome != want[name] {
			t.Errorf("%s is answered %s (%s), want %s", name, m.Outcome, m.Reason, want[name])
		}
	}
}

func TestAFaultThatPassesIsRetriedUnderTheSameKey(t *testing.T) {
	r := newRig(t, kafkatest.Embedded(t).Settings())
	var keys sync.Map
	var asked atomic.Int32
	shaky := stub(func(_ context.Context, q payment.Request) (payment.Answer, error) {
		keys.Store(q.RequestID, true)
		if asked.Add(1) < 4 {
			return payment.Answer{}, &payment.Fault{Class: payment.Unknown, Err: errors.New("hung up")}
		}
		return yes(q)
	})
	r.run(Config{Providers: map[string]payment.Provider{"a": shaky}})
	r.ask(authorize(1, "a", "tok", ""))
	if m := r.replies(1)[0]; m.Outcome != schemas.PaymentOutcomeAuthorized || asked.Load() != 4 {
		t.Errorf("after %d askings: %s", asked.Load(), m.Outcome)
	}
	n := 0
	keys.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("asked under %d keys", n)
	}
}

func TestTheBreakerOpensShowsItAndClosesAgain(t *testing.T) {
	r := newRig(t, kafkatest.Embedded(t).Settings())
	var well atomic.Bool
	var asked atomic.Int32
	sick := stub(func(_ context.Context, q payment.Request) (payment.Answer, error) {
		asked.Add(1)
		if well.Load() {
			return yes(q)
		}
		return payment.Answer{}, &payment.Fault{Class: payment.Transient, Err: errors.New("refused")}
	})
	metrics := prometheus.NewRegistry()
	timing := quick
	timing.Open = time.Second
	r.run(Config{Providers: map[string]payment.Provider{"a": sick}, Timing: timing, Metrics: metrics})
	const n = 500
	for i := range n {
		r.ask(authorize(i, "a", "tok", ""))
	}
	r.replies(n)
	if got := asked.Load(); got > 300 {
		t.Errorf("a provider that refuses was asked %d times for %d requests: the breaker did not open", got, n)
	}
	if state := breakerState(t, metrics); state == 0 {
		t.Error("the breaker is shown as closed")
	}
	well.Store(true)
	for next := n; ; next++ { // as the machine does: ask again later
		r.ask(authorize(next, "a", "tok", ""))
		if all := r.replies(next + 1); all[next].Outcome == schemas.PaymentOutcomeAuthorized {
			break
		} else if next > 100*n {
			t.Fatal("the breaker stays open")
		}
	}
	if state := breakerState(t, metrics); state != 0 {
		t.Errorf("the breaker of a provider that is well is shown as %v", state)
	}
}

func breakerState(t *testing.T, metrics *prometheus.Registry) float64 {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "oms_payment_breaker_state" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("the breaker is not shown")
	return 0
}

func TestAKillBetweenAnswerAndReplyAsksAgainAndChargesOnce(t *testing.T) {
	r := newRig(t, kafkatest.Embedded(t).Settings())
	p, ledger := world(t, sandbox.Behaviour{})
	charged := make(chan struct{}, 100)
	// The first life hears the answer and dies before it can say so: nothing of it comes back, and nothing is committed.
	dies := stub(func(ctx context.Context, q payment.Request) (payment.Answer, error) {
		if _, err := p.Do(ctx, q); err != nil {
			t.Error(err)
		}
		charged <- struct{}{}
		<-ctx.Done()
		return payment.Answer{}, &payment.Fault{Class: payment.Unknown, Err: ctx.Err()}
	})
	_, kill := r.run(Config{Providers: map[string]payment.Provider{"sandbox": dies}, Timing: Timing{Hold: time.Minute, Attempt: time.Minute}})
	const n = 20
	for i := range n {
		r.ask(authorize(i, "sandbox", "tok", schemas.CapturePolicyAtPlacing))
	}
	for range n {
		<-charged
	}
	kill()
	r.run(Config{Providers: map[string]payment.Provider{"sandbox": p}})
	for _, m := range r.replies(n) {
		if m.Outcome != schemas.PaymentOutcomeCaptured {
			t.Errorf("%s: %s %s", m.OrderID, m.Outcome, m.Reason)
		}
	}
	times := map[string]int{}
	for _, e := range ledger() {
		times[e.RequestID]++
	}
	for id, k := range times {
		if k != 1 {
			t.Errorf("%s was charged %d times", id, k)
		}
	}
	if len(times) != n {
		t.Errorf("%d were charged, want %d", len(times), n)
	}
}

func TestAnAnswerThatComesTwiceIsNotTakenForAnothers(t *testing.T) {
	r := newRig(t, kafkatest.Embedded(t).Settings())
	p, ledger := world(t, sandbox.Behaviour{DuplicatePercent: 5, DeclinePercent: 30})
	r.run(Config{Providers: map[string]payment.Provider{"sandbox": p}})
	const n = 1000
	for i := range n {
		r.ask(authorize(i, "sandbox", "tok", schemas.CapturePolicyAtPlacing))
	}
	said := map[string]schemas.PaymentOutcome{}
	for _, m := range r.replies(n) {
		said[m.RequestID] = m.Outcome
	}
	did := map[string]schemas.PaymentOutcome{}
	for _, e := range ledger() {
		did[e.RequestID] = map[string]schemas.PaymentOutcome{"CAPTURE": schemas.PaymentOutcomeCaptured, "DECLINE": schemas.PaymentOutcomeDeclined}[e.Operation]
	}
	sure := 0
	for id, outcome := range said {
		if outcome == schemas.PaymentOutcomeUnknown || outcome == schemas.PaymentOutcomeUnavailable {
			continue // nothing is claimed: the order asks again
		}
		sure++
		if did[id] != outcome {
			t.Errorf("%s: the ledger has %q, the reply says %s", id, did[id], outcome)
		}
	}
	if len(said) != n || sure < n/10 {
		t.Errorf("%d of %d requests have a reply, %d a sure one", len(said), n, sure)
	}
}

func TestATimeoutAfterChargeIsUnknownAndReconcileFindsIt(t *testing.T) {
	r := newRig(t, kafkatest.Embedded(t).Settings())
	p, ledger := world(t, sandbox.Behaviour{})
	r.run(Config{Providers: map[string]payment.Provider{"sandbox": p}, Timing: quick})
	m := authorize(1, "sandbox", sandbox.TokenTimeoutAfterCharge, schemas.CapturePolicyAtPlacing)
	r.ask(m)
	if got := r.replies(1)[0]; got.Outcome != schemas.PaymentOutcomeUnknown {
		t.Fatalf("a charge without an answer is %s", got.Outcome)
	}
	r.ask(&schemas.ReconcilePayment{Said: schemas.Said{ID: "ord_1.4.0"}, OrderID: m.OrderID, PaymentID: m.PaymentID, RequestID: m.RequestID, Provider: "sandbox", Operation: schemas.PaymentOperationAuthorize})
	if got := r.replies(2)[1]; got.Outcome != schemas.PaymentOutcomeCaptured || got.AmountMinor != 1999 || got.Operation != schemas.PaymentOperationReconcile || got.RequestID != m.RequestID {
		t.Errorf("reconcile finds %+v", got)
	}
	r.ask(&schemas.CancelPayment{Said: schemas.Said{ID: "ord_1.5.0"}, OrderID: m.OrderID, PaymentID: m.PaymentID, RequestID: m.RequestID, Provider: "sandbox"})
	if got := r.replies(3)[2]; got.Outcome != schemas.PaymentOutcomeRefunded || got.AmountMinor != 1999 {
		t.Errorf("cancel answers %+v", got)
	}
	if all := ledger(); len(all) != 2 || all[0].Operation != "CAPTURE" || all[1].Operation != "REFUND" {
		t.Errorf("the ledger has %+v", all)
	}
}

func TestWhatIsNoRequestGoesToTheDeadLettersAndThePartitionGoesOn(t *testing.T) {
	r := newRig(t, kafkatest.Embedded(t).Settings())
	r.run(Config{Providers: map[string]payment.Provider{"a": stub(func(_ context.Context, q payment.Request) (payment.Answer, error) { return yes(q) })}})
	other, err := schemas.Encode(&schemas.PaymentReply{Said: schemas.Said{ID: "i"}, OrderID: "ord_1"})
	if err != nil {
		t.Fatal(err)
	}
	good, err := schemas.Encode(authorize(7, "a", "tok", ""))
	if err != nil {
		t.Fatal(err)
	}
	bad := []*kgo.Record{{Key: []byte("ord_1"), Value: []byte("garbage")}, {Key: nil, Value: nil}, {Key: []byte("ord_1"), Value: other}, {Key: []byte("ord_1"), Value: []byte{0, 0xff, 0, 0, 1, 2}}, {Key: nil, Value: good}}
	for _, rec := range bad {
		rec.Topic = topics.PaymentRequests.Name
	}
	if err := r.cl.ProduceSync(context.Background(), bad...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	const n = 50
	for i := range n {
		r.ask(authorize(i, "a", "tok", ""))
	}
	r.replies(n)
	r.until("the dead letters", func() bool { return len(r.buried) == len(bad) })
	for _, rec := range r.buried {
		h := map[string]string{}
		for _, x := range rec.Headers {
			h[x.Key] = string(x.Value)
		}
		if h[stream.HeaderOriginTopic] != topics.PaymentRequests.Name || h[stream.HeaderError] == "" || h[stream.HeaderOriginOffset] == "" {
			t.Errorf("dead letter %q has headers %v", rec.Value, h)
		}
	}
}

func TestPartitionsMoveBetweenDispatchersAndNothingIsAskedUnderAnotherKeyOrLost(t *testing.T) {
	r := newRig(t, kafkatest.Embedded(t).Settings())
	p, ledger := world(t, sandbox.Behaviour{})
	providers := Config{Providers: map[string]payment.Provider{"sandbox": p}}
	const n = 600
	next := 0
	some := func() {
		for range n / 4 {
			r.ask(authorize(next, "sandbox", "tok", schemas.CapturePolicyAtPlacing))
			next++
		}
	}
	_, stopFirst := r.run(providers)
	some()
	second, stopSecond := r.run(providers)
	for !second.Ready() {
		runtime.Gosched()
	}
	some()
	stopFirst()
	some()
	r.run(providers)
	some()
	stopSecond()
	r.until("an answer to every request", func() bool {
		answered := map[string]bool{}
		for _, m := range r.heard {
			answered[m.RequestID] = true
		}
		return len(answered) == n
	})
	if got := len(ledger()); got != n {
		t.Errorf("%d charges for %d orders", got, n)
	}
}

package gateways

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"oms/gateways/payment"
	"oms/schemas"
)

// faults answers with one fault after the other, the last for ever; 0 stands for an answer.
func faults(asked *int, classes ...payment.Class) stub {
	return func(_ context.Context, q payment.Request) (payment.Answer, error) {
		c := classes[min(*asked, len(classes)-1)]
		if *asked++; c == 0 {
			return yes(q)
		}
		return payment.Answer{}, &payment.Fault{Class: c, Err: errors.New("as told")}
	}
}

var aRequest = payment.Request{Operation: schemas.PaymentOperationAuthorize, RequestID: "r", AmountMinor: 500, Currency: "EUR"}

func TestWhatIsSaidOfARequestFollowsFromItsAskings(t *testing.T) {
	const often = -1 // three times at least: the delays before them end after 150 ms
	timing := quick
	timing.Hold = time.Second
	for name, c := range map[string]struct {
		classes []payment.Class
		since   time.Duration // before now
		open    bool
		outcome schemas.PaymentOutcome
		asked   int
		fault   error // nil: as told, unless it was answered
	}{
		"answered":                          {classes: []payment.Class{0}, outcome: schemas.PaymentOutcomeAuthorized, asked: 1},
		"answered at last":                  {classes: []payment.Class{payment.Unknown, payment.Transient, 0}, outcome: schemas.PaymentOutcomeAuthorized, asked: 3},
		"refused":                           {classes: []payment.Class{payment.Permanent}, outcome: schemas.PaymentOutcomeRefused, asked: 1},
		"refused after an asking in doubt":  {classes: []payment.Class{payment.Unknown, payment.Permanent}, outcome: schemas.PaymentOutcomeRefused, asked: 2},
		"never sent":                        {classes: []payment.Class{payment.Transient}, outcome: schemas.PaymentOutcomeUnavailable, asked: often},
		"once in doubt":                     {classes: []payment.Class{payment.Transient, payment.Unknown, payment.Transient}, outcome: schemas.PaymentOutcomeUnknown, asked: often},
		"its time was over before its turn": {classes: []payment.Class{payment.Transient}, since: time.Hour, outcome: schemas.PaymentOutcomeUnavailable, asked: 1},
		"the breaker is open":               {open: true, outcome: schemas.PaymentOutcomeUnavailable, fault: circuitbreaker.ErrOpen},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			l := newLane("a", faults(&asked, c.classes...), timing, 1, func(circuitbreaker.State) {})
			if c.open {
				l.breaker.Open()
			}
			a, fault := l.ask(context.Background(), aRequest, time.Now().Add(-c.since))
			if a.Outcome != c.outcome || asked != c.asked && !(c.asked == often && asked >= 3) {
				t.Errorf("asked %d times: %s (%s)", asked, a.Outcome, a.Reason)
			}
			if answered := a.Outcome == schemas.PaymentOutcomeAuthorized; answered != (fault == nil) || c.fault != nil && !errors.Is(fault, c.fault) {
				t.Errorf("%s with fault %v", a.Outcome, fault)
			}
		})
	}
}

func TestARequestIsHeldNoLongerThanAgreed(t *testing.T) {
	asked := 0
	l := newLane("a", faults(&asked, payment.Transient), quick, 1, func(circuitbreaker.State) {})
	began := time.Now()
	l.ask(context.Background(), aRequest, began)
	if took := time.Since(began); took < quick.Hold || took > 10*quick.Hold {
		t.Errorf("held for %v, want %v", took, quick.Hold)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.provider = stub(func(context.Context, payment.Request) (payment.Answer, error) {
		cancel()
		return payment.Answer{}, &payment.Fault{Class: payment.Transient, Err: errors.New("as told")}
	})
	l.timing.Hold = time.Hour
	if a, fault := l.ask(ctx, aRequest, time.Now()); fault == nil {
		t.Errorf("a dispatcher that stops has the answer %+v", a)
	}
}

// What the provider answered is done, whatever the clock says.
func TestAnAnswerCountsEvenWhenTheTimeIsOver(t *testing.T) {
	l := newLane("a", stub(func(ctx context.Context, q payment.Request) (payment.Answer, error) {
		<-ctx.Done()
		return yes(q)
	}), quick, 1, func(circuitbreaker.State) {})
	for _, since := range []time.Duration{0, quick.Hold - quick.Attempt/2, time.Hour} {
		if a, fault := l.ask(context.Background(), aRequest, time.Now().Add(-since)); a.Outcome != schemas.PaymentOutcomeAuthorized {
			t.Errorf("%+v, %v", a, fault)
		}
	}
}

func TestOnlyFaultsThatMayPassOpenTheBreaker(t *testing.T) {
	for class, want := range map[payment.Class]circuitbreaker.State{0: circuitbreaker.ClosedState, payment.Permanent: circuitbreaker.ClosedState, payment.Transient: circuitbreaker.OpenState, payment.Unknown: circuitbreaker.OpenState} {
		asked := 0
		timing := quick
		timing.Open = time.Hour
		l := newLane("a", faults(&asked, class), timing, 1, func(circuitbreaker.State) {})
		for range 2 * breakerWindow {
			l.ask(context.Background(), aRequest, time.Now().Add(-time.Hour)) // each asks once
		}
		if got := l.breaker.State(); got != want {
			t.Errorf("after %d faults of class %d the breaker is %s, want %s", asked, class, got, want)
		}
		if want == circuitbreaker.OpenState && asked >= breakerWindow {
			t.Errorf("it opened after %d faults of class %d, want %d", asked, class, breakerFailures)
		}
	}
}

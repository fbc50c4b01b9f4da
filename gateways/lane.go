package gateways

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"oms/gateways/payment"
	"oms/schemas"
)

// lane is one provider with its own workers, so that a dead provider takes nobody's place but its own.
type lane struct {
	name     string
	provider payment.Provider
	jobs     chan *job
	breaker  circuitbreaker.CircuitBreaker[payment.Answer]
	timing   Timing
}

// Timing bounds how long a provider is waited for.
type Timing struct {
	Hold    time.Duration // a request is held with all its retries; then it is answered UNKNOWN or UNAVAILABLE
	Attempt time.Duration // one asking
	Open    time.Duration // an open breaker stays so, before it lets one request try
}

const (
	workers = 64 // requests at one provider at once

	firstDelay, maxDelay = 50 * time.Millisecond, time.Second // upper ends of the delays before the second and any later asking

	// The breaker opens when half of the last askings, and no fewer than these, failed.
	breakerFailures, breakerWindow = 20, 40
)

func newLane(name string, p payment.Provider, timing Timing, room int, onState func(circuitbreaker.State)) *lane {
	breaker := circuitbreaker.NewBuilder[payment.Answer]().WithFailureThresholdRatio(breakerFailures, breakerWindow).
		WithDelay(timing.Open).WithSuccessThreshold(1).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) { onState(e.NewState) }).Build()
	return &lane{name: name, provider: p, jobs: make(chan *job, room), breaker: breaker, timing: timing}
}

// fullJitter is a delay after the n-th failed asking, anywhere between none and the doubled-up end: callers that failed together do not come back together.
func fullJitter(n int) time.Duration {
	end := min(maxDelay, firstDelay<<min(max(n-1, 0), 10))
	return rand.N(end)
}

// ask holds a request, that waits since then, until the provider answers or the time is over, and always has an answer. lastFault is why the provider gave none.
//
// The breaker is the library's; its chain of policies is not used, since it is built anew for every request, and nearly every request is answered at once.
func (l *lane) ask(ctx context.Context, r payment.Request, since time.Time) (a payment.Answer, lastFault error) {
	until := since.Add(l.timing.Hold)
	doubt := false // some asking may have been heard
	for n := 1; ; n++ {
		if !l.breaker.TryAcquirePermit() {
			lastFault = cmp.Or(lastFault, circuitbreaker.ErrOpen)
			break
		}
		a, err := l.once(ctx, r, until)
		if err == nil {
			l.breaker.RecordSuccess()
			return a, nil
		}
		class := payment.ClassOf(err)
		if class == payment.Permanent {
			l.breaker.RecordSuccess() // it is well, and understood us
			return payment.Answer{Outcome: schemas.PaymentOutcomeRefused, Reason: err.Error()}, err
		}
		l.breaker.RecordFailure()
		lastFault, doubt = err, doubt || class == payment.Unknown
		if !pause(ctx, fullJitter(n), until) {
			break
		}
	}
	if doubt {
		return payment.Answer{Outcome: schemas.PaymentOutcomeUnknown, Reason: "no answer"}, lastFault
	}
	return payment.Answer{Outcome: schemas.PaymentOutcomeUnavailable, Reason: "not reached"}, lastFault
}

// pause waits between two askings, and tells whether there is time for another.
func pause(ctx context.Context, d time.Duration, until time.Time) bool {
	select {
	case <-time.After(min(d, time.Until(until))):
		return time.Now().Before(until)
	case <-ctx.Done():
		return false
	}
}

// once asks one time. A panic in a provider's client costs that request, not the process and every request after the restart.
func (l *lane) once(ctx context.Context, r payment.Request, until time.Time) (a payment.Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &payment.Fault{Class: payment.Unknown, Err: fmt.Errorf("%s: panic: %v\n%s", l.name, p, debug.Stack())}
		}
	}()
	if end := time.Now().Add(l.timing.Attempt); end.Before(until) {
		until = end
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	return payment.Ask(ctx, l.provider, r)
}

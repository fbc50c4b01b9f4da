package gateways

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"oms/gateways/payment"
	"oms/schemas"
)

// lane is one provider with its own workers, so that a dead provider takes nobody's place but its own.
type lane struct {
	name     string
	provider payment.Provider
	jobs     chan *job
	policy   failsafe.Executor[payment.Answer]
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
	failed := func(_ payment.Answer, err error) bool { return err != nil && payment.ClassOf(err) != payment.Permanent }
	breaker := circuitbreaker.NewBuilder[payment.Answer]().HandleIf(failed).WithFailureThresholdRatio(breakerFailures, breakerWindow).
		WithDelay(timing.Open).WithSuccessThreshold(1).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) { onState(e.NewState) }).Build()
	// No limit of attempts: the context's deadline is the limit.
	retry := retrypolicy.NewBuilder[payment.Answer]().HandleIf(failed).AbortOnErrors(circuitbreaker.ErrOpen).WithMaxAttempts(-1).ReturnLastFailure().
		WithDelayFunc(func(e failsafe.ExecutionAttempt[payment.Answer]) time.Duration { return fullJitter(e.Attempts()) }).Build()
	return &lane{name: name, provider: p, jobs: make(chan *job, room), policy: failsafe.With(retry, breaker), timing: timing}
}

// fullJitter is a delay after the n-th failed asking, anywhere between none and the doubled-up end: callers that failed together do not come back together.
func fullJitter(n int) time.Duration {
	end := min(maxDelay, firstDelay<<min(max(n-1, 0), 10))
	return rand.N(end)
}

// ask holds a request, that waits since then, until the provider answers or the time is over, and always has an answer. lastFault is why the provider gave none.
func (l *lane) ask(ctx context.Context, r payment.Request, since time.Time) (a payment.Answer, lastFault error) {
	ctx, cancel := context.WithDeadline(ctx, since.Add(l.timing.Hold))
	defer cancel()
	doubt := false // some asking may have been heard
	answered := false
	_, err := l.policy.WithContext(ctx).Get(func() (payment.Answer, error) {
		got, err := l.once(ctx, r)
		if err == nil {
			a, answered = got, true
		} else {
			lastFault = err
			doubt = doubt || payment.ClassOf(err) == payment.Unknown
		}
		return got, err
	})
	switch {
	case answered: // even when the time was over just then
		return a, nil
	case payment.ClassOf(err) == payment.Permanent:
		return payment.Answer{Outcome: schemas.PaymentOutcomeRefused, Reason: err.Error()}, err
	case lastFault == nil:
		lastFault = err // the breaker is open, or the time was over before it began
	}
	if doubt {
		return payment.Answer{Outcome: schemas.PaymentOutcomeUnknown, Reason: "no answer"}, lastFault
	}
	return payment.Answer{Outcome: schemas.PaymentOutcomeUnavailable, Reason: "not reached"}, lastFault
}

// once asks one time. A panic in a provider's client costs that request, not the process and every request after the restart.
func (l *lane) once(ctx context.Context, r payment.Request) (a payment.Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &payment.Fault{Class: payment.Unknown, Err: fmt.Errorf("%s: panic: %v\n%s", l.name, p, debug.Stack())}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, l.timing.Attempt)
	defer cancel()
	return payment.Ask(ctx, l.provider, r)
}

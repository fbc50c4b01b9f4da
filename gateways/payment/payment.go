// Package payment is the port to payment providers: what they are asked, what they answer, and one file a provider.
package payment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"oms/schemas"
)

// Provider is a payment provider. It honours RequestID as idempotency key: asking again moves no money again.
type Provider interface {
	// Do asks once, within ctx. The error is a *Fault; any other counts as Unknown.
	Do(ctx context.Context, r Request) (Answer, error)
}

// Dial connects to a provider that runs in this process.
type Dial func(context.Context) (net.Conn, error)

// Register is every provider that this build knows, by the name that orders carry. The text is where its API begins; dial is nil for one that is reached over the network.
var Register = map[string]func(url string, dial Dial) (Provider, error){
	"sandbox": func(url string, dial Dial) (Provider, error) { return NewSandbox(url, dial) },
}

// Answer is what a provider did.
type Answer struct {
	Outcome     schemas.PaymentOutcome
	AmountMinor int64  // how much money moved
	ProviderRef string // the provider's own number
	Reason      string // of a decline
}

// Class sorts what can go wrong outside.
type Class uint8

const (
	Transient Class = iota + 1 // nothing was done; it may work in a moment
	Permanent                  // the provider rejects the request itself; asking again changes nothing
	Unknown                    // it was asked, and whether it did it is not known
)

// Fault is why there is no answer.
type Fault struct {
	Class Class
	Err   error
}

func (f *Fault) Error() string { return f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

func fault(c Class, format string, args ...any) error {
	return &Fault{c, fmt.Errorf(format, args...)}
}

// ClassOf an error of Do or Ask.
func ClassOf(err error) Class {
	var f *Fault
	if errors.As(err, &f) {
		return f.Class
	}
	return Unknown
}

// answers lists what may be answered to an operation. An answer that does not fit would be booked by nobody, so it counts as none.
var answers = map[schemas.PaymentOperation][]schemas.PaymentOutcome{
	schemas.PaymentOperationAuthorize: {schemas.PaymentOutcomeAuthorized, schemas.PaymentOutcomeCaptured, schemas.PaymentOutcomeDeclined, schemas.PaymentOutcomeRequiresAction, schemas.PaymentOutcomeCancelled},
	schemas.PaymentOperationCapture:   {schemas.PaymentOutcomeCaptured, schemas.PaymentOutcomeDeclined},
	schemas.PaymentOperationVoid:      {schemas.PaymentOutcomeVoided, schemas.PaymentOutcomeDeclined},
	schemas.PaymentOperationRefund:    {schemas.PaymentOutcomeRefunded, schemas.PaymentOutcomeDeclined},
	schemas.PaymentOperationCancel:    {schemas.PaymentOutcomeCancelled, schemas.PaymentOutcomeVoided, schemas.PaymentOutcomeRefunded},
}

// Ask asks the provider once and checks that what it says answers the question.
func Ask(ctx context.Context, p Provider, r Request) (Answer, error) {
	a, err := p.Do(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	operation := r.Operation
	if operation == schemas.PaymentOperationReconcile {
		if a.Outcome == schemas.PaymentOutcomeNotFound || a.Outcome == schemas.PaymentOutcomeCancelled {
			return a, nil
		}
		operation = r.About
	}
	if !slices.Contains(answers[operation], a.Outcome) {
		return Answer{}, fault(Unknown, "outcome: %q does not answer %s", a.Outcome, operation)
	}
	moved := a.Outcome == schemas.PaymentOutcomeAuthorized || a.Outcome == schemas.PaymentOutcomeCaptured
	if a.AmountMinor < 0 || moved && a.AmountMinor == 0 || r.AmountMinor > 0 && a.AmountMinor > r.AmountMinor {
		return Answer{}, fault(Unknown, "amount_minor: %d %s, asked for %d", a.AmountMinor, a.Outcome, r.AmountMinor)
	}
	return a, nil
}

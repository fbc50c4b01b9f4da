// Package provider is a payment provider in memory, at its dumbest: it does what it is asked, once a request id, and remembers everything. It is what the sandbox is
// over HTTP, for who tests machines and needs no network, no file and no clock.
package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"oms/gateways/payment"
	"oms/schemas"
)

// Provider implements payment.Provider.
type Provider struct {
	// Verdict is what becomes of an authorization that was not met before: AUTHORIZED or CAPTURED of an amount, DECLINED, or REQUIRES_ACTION, which Act ends.
	Verdict func(payment.Request) (schemas.PaymentOutcome, int64)
	// Declines tells of a capture or refund that it is declined, and of a void that the hold lapsed just before it, which leaves nothing to void; nil: none is.
	Declines func(payment.Request) bool
	// Frank providers answer CANCELLED when asked what became of a request that was cancelled later; the others tell what they said first.
	Frank bool
	// Ledger gets a line for every movement of money, as the sandbox writes its own; nil: none is kept.
	Ledger io.Writer
	NowMS  func() int64 // time of the ledger's lines; needed with a ledger

	charges map[string]*charge        // by request id of the authorization
	answers map[string]payment.Answer // by request id; of a cancellation by that with a suffix
	lines   int
}

type charge struct {
	request     payment.Request
	held, taken int64
}

const cancelled = ".cancelled"

// Do does what is asked and answers what was done. Its faults are permanent: the request is not one that could be done.
func (p *Provider) Do(_ context.Context, r payment.Request) (payment.Answer, error) {
	if p.answers == nil {
		p.charges, p.answers = map[string]*charge{}, map[string]payment.Answer{}
	}
	if r.Operation == schemas.PaymentOperationReconcile {
		return p.look(r.RequestID), nil
	}
	key := r.RequestID
	if r.Operation == schemas.PaymentOperationCancel {
		key += cancelled
	}
	if then, known := p.answers[key]; known {
		return then, nil
	}
	a, err := p.perform(r)
	if err != nil {
		return a, err
	}
	a.ProviderRef = "ref"
	p.answers[key] = a
	return a, nil
}

// look tells what became of a request.
func (p *Provider) look(requestID string) payment.Answer {
	if _, gone := p.answers[requestID+cancelled]; gone && p.Frank {
		return payment.Answer{Outcome: schemas.PaymentOutcomeCancelled}
	}
	if then, known := p.answers[requestID]; known {
		return then
	}
	return payment.Answer{Outcome: schemas.PaymentOutcomeNotFound}
}

func (p *Provider) perform(r payment.Request) (payment.Answer, error) {
	switch r.Operation {
	case schemas.PaymentOperationAuthorize:
		outcome, amount := p.Verdict(r)
		p.charges[r.RequestID] = &charge{request: r}
		return p.authorize(p.charges[r.RequestID], outcome, amount), nil
	case schemas.PaymentOperationCancel:
		return p.cancel(r), nil
	}
	c := p.charges[r.AuthorizationID]
	a := payment.Answer{AmountMinor: r.AmountMinor}
	switch {
	case c == nil:
	case p.Declines != nil && p.Declines(r):
		if r.Operation != schemas.PaymentOperationVoid {
			return payment.Answer{Outcome: schemas.PaymentOutcomeDeclined}, nil
		}
		p.note(r.AuthorizationID, c, r.Operation, c.held)
		c.held = 0
	case r.Operation == schemas.PaymentOperationCapture && c.held >= r.AmountMinor:
		c.held, c.taken, a.Outcome = c.held-r.AmountMinor, c.taken+r.AmountMinor, schemas.PaymentOutcomeCaptured
	case r.Operation == schemas.PaymentOperationVoid && c.held >= r.AmountMinor:
		c.held, a.Outcome = c.held-r.AmountMinor, schemas.PaymentOutcomeVoided
	case r.Operation == schemas.PaymentOperationRefund && c.taken >= r.AmountMinor:
		c.taken, a.Outcome = c.taken-r.AmountMinor, schemas.PaymentOutcomeRefunded
	}
	if a.Outcome == "" {
		return payment.Answer{}, &payment.Fault{Class: payment.Permanent, Err: fmt.Errorf("%s of %d: not so much of %q can be had", r.Operation, r.AmountMinor, r.AuthorizationID)}
	}
	p.note(r.RequestID, c, r.Operation, a.AmountMinor)
	return a, nil
}

// authorize does as the verdict says; only money that moves is noted.
func (p *Provider) authorize(c *charge, outcome schemas.PaymentOutcome, amount int64) payment.Answer {
	a := payment.Answer{Outcome: outcome}
	switch outcome {
	case schemas.PaymentOutcomeAuthorized:
		c.held, a.AmountMinor = amount, amount
		p.note(c.request.RequestID, c, schemas.PaymentOperationAuthorize, amount)
	case schemas.PaymentOutcomeCaptured:
		c.taken, a.AmountMinor = amount, amount
		p.note(c.request.RequestID, c, schemas.PaymentOperationCapture, amount)
	}
	return a
}

// cancel undoes what a request did, or sees to it that it never does anything.
func (p *Provider) cancel(r payment.Request) payment.Answer {
	c := p.charges[r.RequestID]
	switch {
	case c != nil && c.taken > 0:
		a := payment.Answer{Outcome: schemas.PaymentOutcomeRefunded, AmountMinor: c.taken}
		c.taken = 0
		p.note(r.RequestID, c, schemas.PaymentOperationRefund, a.AmountMinor)
		return a
	case c != nil && c.held > 0:
		a := payment.Answer{Outcome: schemas.PaymentOutcomeVoided, AmountMinor: c.held}
		c.held = 0
		p.note(r.RequestID, c, schemas.PaymentOperationVoid, a.AmountMinor)
		return a
	}
	if _, met := p.answers[r.RequestID]; !met {
		p.answers[r.RequestID] = payment.Answer{Outcome: schemas.PaymentOutcomeCancelled}
	}
	return payment.Answer{Outcome: schemas.PaymentOutcomeCancelled}
}

// Act lets the buyer do what an authorization required. The answer is what a callback would tell; false: there is nothing to act on any more.
func (p *Provider) Act(requestID string) (payment.Answer, bool) {
	then, known := p.answers[requestID]
	_, gone := p.answers[requestID+cancelled]
	if !known || gone || then.Outcome != schemas.PaymentOutcomeRequiresAction {
		return payment.Answer{}, false
	}
	c := p.charges[requestID]
	a := p.authorize(c, schemas.PaymentOutcomeAuthorized, c.request.AmountMinor)
	a.ProviderRef = then.ProviderRef
	p.answers[requestID] = a
	return a, true
}

// Charge is what is held and what is kept under an authorization, minor units; false: it never came, or was forbidden before it did.
func (p *Provider) Charge(requestID string) (held, taken int64, known bool) {
	c := p.charges[requestID]
	if c == nil {
		return 0, 0, false
	}
	return c.held, c.taken, true
}

func (p *Provider) note(requestID string, c *charge, o schemas.PaymentOperation, amount int64) {
	if p.Ledger == nil {
		return
	}
	p.lines++
	line, err := json.Marshal(struct {
		Seq         int                      `json:"seq"`
		At          time.Time                `json:"at"`
		RequestID   string                   `json:"request_id"`
		OrderID     string                   `json:"order_id"`
		Operation   schemas.PaymentOperation `json:"operation"`
		AmountMinor int64                    `json:"amount_minor"`
		Currency    string                   `json:"currency"`
	}{p.lines, time.UnixMilli(p.NowMS()).UTC(), requestID, c.request.OrderID, o, amount, c.request.Currency})
	if err == nil {
		_, err = p.Ledger.Write(append(line, '\n'))
	}
	if err != nil {
		panic(fmt.Sprintf("provider: its ledger: %v", err)) // an effect that is not in the ledger would blame who asked for it
	}
}

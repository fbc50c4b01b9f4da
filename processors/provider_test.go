package processors

import (
	"oms/schemas"
)

// provider is a payment provider at its dumbest: it does what it is asked, once a request id, and remembers everything.
type provider struct {
	charges map[string]*charge // by request id of the authorization
	answers map[string]*schemas.PaymentReply
	verdict func(*schemas.AuthorizePayment) (schemas.PaymentOutcome, int64)
}

type charge struct {
	held, taken int64
	authorized  int64 // ever held or taken
}

func newProvider(verdict func(*schemas.AuthorizePayment) (schemas.PaymentOutcome, int64)) *provider {
	return &provider{charges: map[string]*charge{}, answers: map[string]*schemas.PaymentReply{}, verdict: verdict}
}

// perform does what a request asks and answers what was done.
func (p *provider) perform(w *world, request schemas.Message) *schemas.PaymentReply {
	r := w.reply(request, "", 0)
	if q, ok := request.(*schemas.ReconcilePayment); ok {
		r.Outcome = schemas.PaymentOutcomeNotFound
		if then := p.answers[q.RequestID]; then != nil {
			r.Outcome, r.AmountMinor = then.Outcome, then.AmountMinor
		}
		return r
	}
	key := r.RequestID
	if r.Operation == schemas.PaymentOperationCancel {
		key += ".cancelled"
	}
	if then := p.answers[key]; then != nil {
		r.Outcome, r.AmountMinor = then.Outcome, then.AmountMinor
		return r
	}
	switch q := request.(type) {
	case *schemas.AuthorizePayment:
		outcome, amount := p.verdict(q)
		r.Outcome = outcome
		c := &charge{}
		switch r.Outcome {
		case schemas.PaymentOutcomeAuthorized:
			c.held = amount
		case schemas.PaymentOutcomeCaptured:
			c.taken = amount
		}
		c.authorized, r.AmountMinor = c.held+c.taken, c.held+c.taken
		p.charges[q.RequestID] = c
	case *schemas.CapturePayment:
		c := p.charges[q.AuthorizationID]
		r.Outcome, r.AmountMinor = schemas.PaymentOutcomeCaptured, q.AmountMinor
		if c == nil || c.held < q.AmountMinor {
			r.Outcome = schemas.PaymentOutcomeRefused
			break
		}
		c.held, c.taken = c.held-q.AmountMinor, c.taken+q.AmountMinor
	case *schemas.VoidPayment:
		c := p.charges[q.AuthorizationID]
		r.Outcome, r.AmountMinor = schemas.PaymentOutcomeVoided, q.AmountMinor
		if c == nil || c.held < q.AmountMinor {
			r.Outcome = schemas.PaymentOutcomeRefused
			break
		}
		c.held -= q.AmountMinor
	case *schemas.RefundPayment:
		c := p.charges[q.AuthorizationID]
		r.Outcome, r.AmountMinor = schemas.PaymentOutcomeRefunded, q.AmountMinor
		if c == nil || c.taken < q.AmountMinor {
			r.Outcome = schemas.PaymentOutcomeRefused
			break
		}
		c.taken -= q.AmountMinor
	case *schemas.CancelPayment:
		p.forget(q, r)
	}
	p.answers[key] = r
	return r
}

// forget undoes what a request did, or sees to it that it never does anything.
func (p *provider) forget(q *schemas.CancelPayment, r *schemas.PaymentReply) {
	c := p.charges[q.RequestID]
	switch {
	case c != nil && c.taken > 0:
		r.Outcome, r.AmountMinor, c.taken = schemas.PaymentOutcomeRefunded, c.taken, 0
	case c != nil && c.held > 0:
		r.Outcome, r.AmountMinor, c.held = schemas.PaymentOutcomeVoided, c.held, 0
	default:
		r.Outcome = schemas.PaymentOutcomeCancelled
		if p.answers[q.RequestID] == nil {
			p.answers[q.RequestID] = &schemas.PaymentReply{Outcome: schemas.PaymentOutcomeCancelled}
		}
	}
}

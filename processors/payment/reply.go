package payment

import (
	"fmt"

	"oms/internal/planted"
	"oms/schemas"
)

// reply takes what the gateway found out. An answer to another request than the one under way came late or twice, and changes nothing.
func (d *decision) reply(m *schemas.PaymentReply) {
	p := d.find(m)
	if m.RequestID != p.RequestID {
		d.unchanged()
		return
	}
	switch p.Status {
	case schemas.PaymentStatusCreated, schemas.PaymentStatusAuthorizing, schemas.PaymentStatusUnknown, schemas.PaymentStatusRequiresAction:
		if m.Operation == schemas.PaymentOperationReconcile {
			d.reconciled(p, m)
		} else {
			d.authorization(p, m)
		}
	case schemas.PaymentStatusCapturing, schemas.PaymentStatusVoiding, schemas.PaymentStatusRefunding:
		if m.Operation != p.Operation {
			d.unchanged()
			return
		}
		d.operation(p, m)
	default:
		if planted.On(planted.UndoneTwice) && m.Operation == p.Operation {
			d.fact(p, m, m.Outcome, m.AmountMinor)
			return
		}
		d.unchanged()
	}
}

func (d *decision) find(m *schemas.PaymentReply) *schemas.PaymentState {
	for i := range d.Payments {
		if d.Payments[i].PaymentID == m.PaymentID {
			return &d.Payments[i]
		}
	}
	panic(schemas.Impossible{Machine: "payment", Message: m, Why: "payment_id " + m.PaymentID + " is none of the order's"})
}

// authorization takes the answer to AuthorizePayment, or what a reconciliation found that it did.
func (d *decision) authorization(p *schemas.PaymentState, m *schemas.PaymentReply) {
	asking, outcome := p.Status == schemas.PaymentStatusAuthorizing, m.Outcome
	if planted.On(planted.UnknownIsDeclined) && outcome == schemas.PaymentOutcomeUnknown {
		outcome = schemas.PaymentOutcomeDeclined
	}
	switch outcome {
	case schemas.PaymentOutcomeAuthorized, schemas.PaymentOutcomeCaptured:
		d.authorized(p, m)
	case schemas.PaymentOutcomeDeclined, schemas.PaymentOutcomeRefused, schemas.PaymentOutcomeCancelled:
		d.fact(p, m, m.Outcome, p.AmountMinor)
		d.end(p, schemas.PaymentStatusDeclined)
		if p.Undo {
			d.settled()
		} else {
			d.say(&schemas.PaymentDeclined{Inside: d.inside()})
		}
	case schemas.PaymentOutcomeRequiresAction:
		d.fact(p, m, m.Outcome, p.AmountMinor)
		d.end(p, schemas.PaymentStatusRequiresAction) // the order's own deadline bounds the wait for the buyer
		if p.Undo {
			d.cancel(p)
		}
	case schemas.PaymentOutcomeUnknown:
		if !asking {
			d.unchanged()
			return
		}
		p.Status = schemas.PaymentStatusUnknown
		d.pause(p)
	case schemas.PaymentOutcomeUnavailable:
		switch {
		case !asking:
			d.unchanged()
		case p.Undo:
			d.cancel(p) // an earlier asking may have been sent, by a gateway that died before it could say so
		default:
			p.Status = schemas.PaymentStatusCreated
			d.pause(p)
		}
	default:
		d.impossible(p, m, "outcome %s does not answer an authorization", m.Outcome)
	}
}

// authorized books what is held or taken. Less than the order costs does not pay for it: it goes back, and the order hears of a decline.
func (d *decision) authorized(p *schemas.PaymentState, m *schemas.PaymentReply) {
	if m.AmountMinor < 1 || m.AmountMinor > p.AmountMinor {
		switch {
		case p.Undo:
			d.cancel(p)
		case p.Status == schemas.PaymentStatusAuthorizing || m.Operation == schemas.PaymentOperationReconcile && p.Status == schemas.PaymentStatusUnknown:
			p.Status = schemas.PaymentStatusUnknown
			d.doubt(p, m, p.AmountMinor)
		default:
			d.unchanged()
		}
		return
	}
	d.hold(p, m)
	status := schemas.PaymentStatusAuthorized
	if m.Outcome == schemas.PaymentOutcomeCaptured {
		d.take(p, m)
		status = schemas.PaymentStatusCaptured
	}
	d.fact(p, m, m.Outcome, m.AmountMinor)
	if m.AmountMinor < p.AmountMinor && !p.Undo && !planted.On(planted.LessIsEnough) {
		p.Undo = true
		d.say(&schemas.PaymentDeclined{Inside: d.inside()})
	}
	d.stands(p, status)
}

// doubt: an answer of an amount that cannot be booked is none. It is asked for again, and nothing is booked until it makes sense.
func (d *decision) doubt(p *schemas.PaymentState, m *schemas.PaymentReply, want int64) {
	p.Reason = fmt.Sprintf("%s of %d, want %d", m.Outcome, m.AmountMinor, want)
	d.pause(p)
}

// reconciled takes the answer to ReconcilePayment.
func (d *decision) reconciled(p *schemas.PaymentState, m *schemas.PaymentReply) {
	switch m.Outcome {
	case schemas.PaymentOutcomeUnknown, schemas.PaymentOutcomeUnavailable, schemas.PaymentOutcomeRefused:
		if p.Status != schemas.PaymentStatusUnknown {
			d.unchanged()
			return
		}
		d.pause(p)
	case schemas.PaymentOutcomeNotFound:
		switch {
		case p.Status != schemas.PaymentStatusUnknown:
			d.unchanged()
		case p.Undo:
			d.cancel(p)
		default:
			d.ask(p)
		}
	default:
		d.authorization(p, m)
	}
}

// operation takes the answer to a capture, void, refund or cancellation.
func (d *decision) operation(p *schemas.PaymentState, m *schemas.PaymentReply) {
	cancelling := p.Operation == schemas.PaymentOperationCancel
	switch m.Outcome {
	case schemas.PaymentOutcomeCaptured:
		if held(p) < 1 || m.AmountMinor != held(p) {
			d.doubt(p, m, held(p))
			return
		}
		d.take(p, m)
		d.fact(p, m, m.Outcome, m.AmountMinor)
		d.stands(p, schemas.PaymentStatusCaptured)
	case schemas.PaymentOutcomeVoided, schemas.PaymentOutcomeRefunded, schemas.PaymentOutcomeCancelled:
		if cancelling {
			d.cancelled(p, m)
		} else {
			d.undone(p, m)
		}
	case schemas.PaymentOutcomeUnknown, schemas.PaymentOutcomeUnavailable:
		d.pause(p)
	case schemas.PaymentOutcomeDeclined, schemas.PaymentOutcomeRefused, schemas.PaymentOutcomeNotFound:
		switch {
		case cancelling:
			d.pause(p)
		case p.Operation == schemas.PaymentOperationCapture:
			d.fact(p, m, m.Outcome, held(p))
			d.stands(p, schemas.PaymentStatusAuthorized)
		default:
			d.cancel(p) // what we believe to stand does not: let the provider undo whatever there is
		}
	default:
		d.impossible(p, m, "outcome %s does not answer %s", m.Outcome, p.Operation)
	}
}

// cancelled: nothing of the authorization is left at the provider. What we were never told that it had done is booked first.
func (d *decision) cancelled(p *schemas.PaymentState, m *schemas.PaymentReply) {
	answer := *m
	switch booked := held(p) > 0 || taken(p) > 0; {
	case !booked && m.Outcome == schemas.PaymentOutcomeCancelled:
		d.fact(p, m, m.Outcome, 0)
		d.end(p, schemas.PaymentStatusVoided)
		d.settled()
		return
	case !booked && (m.AmountMinor < 1 || m.AmountMinor > p.AmountMinor):
		d.doubt(p, m, p.AmountMinor)
		return
	case !booked:
		answer.Operation, answer.Outcome = schemas.PaymentOperationAuthorize, schemas.PaymentOutcomeAuthorized
		d.hold(p, &answer)
		if m.Outcome == schemas.PaymentOutcomeRefunded {
			answer.Outcome = schemas.PaymentOutcomeCaptured
			d.take(p, &answer)
		}
		d.fact(p, &answer, answer.Outcome, answer.AmountMinor)
		answer.Operation = m.Operation
	case m.Outcome == schemas.PaymentOutcomeCancelled && taken(p) == 0:
		answer.AmountMinor = held(p) // there was nothing to undo any more: the hold had lapsed
	}
	d.undone(p, &answer)
}

// undone books what was let go or given back, as what it was: the whole of what stood.
func (d *decision) undone(p *schemas.PaymentState, m *schemas.PaymentReply) {
	stood := held(p) + taken(p) // never both
	if m.AmountMinor != stood {
		d.doubt(p, m, stood)
		return
	}
	if m.Outcome == schemas.PaymentOutcomeRefunded && taken(p) == 0 { // it had been taken, and nobody told us
		answer := *m
		answer.Operation = schemas.PaymentOperationCapture
		d.take(p, &answer)
		d.fact(p, &answer, schemas.PaymentOutcomeCaptured, answer.AmountMinor)
	}
	if taken(p) > 0 {
		d.refund(p, m)
		d.fact(p, m, schemas.PaymentOutcomeRefunded, m.AmountMinor)
		d.end(p, schemas.PaymentStatusRefunded)
	} else {
		d.void(p, m)
		d.fact(p, m, schemas.PaymentOutcomeVoided, m.AmountMinor)
		d.end(p, schemas.PaymentStatusVoided)
	}
	d.settled()
}

// stands: money is held or taken. The first time it covers the order; when the order is gone it goes back.
func (d *decision) stands(p *schemas.PaymentState, s schemas.PaymentStatus) {
	answers := p.Operation == schemas.PaymentOperationAuthorize
	d.end(p, s)
	switch {
	case p.Undo:
		if !planted.On(planted.LateMoneyKept) {
			d.giveBack(p)
		}
	case answers:
		if p.Capture == schemas.CapturePolicyAtPlacing && held(p) > 0 {
			d.begin(p, schemas.PaymentOperationCapture)
		}
		d.say(&schemas.PaymentCovered{Inside: d.inside()})
	}
}

func (d *decision) fact(p *schemas.PaymentState, m *schemas.PaymentReply, o schemas.PaymentOutcome, amount int64) {
	if p.Reason = m.Reason; m.ProviderRef != "" {
		p.ProviderRef = m.ProviderRef
	}
	operation := m.Operation
	if operation == schemas.PaymentOperationReconcile {
		operation = p.Operation // the fact is what was done, however we came to know
	}
	d.say(&schemas.PaymentProcessed{OrderID: d.id, PaymentID: p.PaymentID, RequestID: p.RequestID, Operation: operation, Outcome: o, Method: p.Method,
		Provider: p.Provider, AmountMinor: amount, Currency: p.Currency, ProviderRef: p.ProviderRef, Reason: m.Reason})
}

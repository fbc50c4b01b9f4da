// Package payment decides the life of an order's payments.
//
//	CREATED ─> AUTHORIZING ─┬─> AUTHORIZED ─> CAPTURING ─> CAPTURED
//	    ^          ^        ├─> DECLINED
//	    │          └─ the provider does not know the request ─┐
//	    └─ never sent       └─> UNKNOWN (no answer) ─ reconcile ─> whatever the provider did
//
// and, when the order is gone, AUTHORIZED ─> VOIDING ─> VOIDED and CAPTURED ─> REFUNDING ─> REFUNDED. A request whose effect is in doubt is asked again under
// its own id, never under a new one, so money moves once; when nothing is wanted of it any more its id is cancelled at the provider.
package payment

import (
	"fmt"
	"strconv"
	"strings"

	"oms/schemas"
)

// Step decides what follows from a message. The slices of the state given are the machine's to change.
func Step(state schemas.Money, in schemas.Input) (schemas.Money, []schemas.Message) {
	d := decision{Money: state, id: in.Message.Key(), now: in.NowMS}
	switch m := in.Message.(type) {
	case *schemas.CollectPayment:
		d.collect(m)
	case *schemas.PaymentReply:
		d.reply(m)
	case *schemas.UndoPayments:
		d.undo()
	case *schemas.OrderDeadlineReached:
		d.deadline(m)
	default:
		panic(schemas.Impossible{Machine: "payment", Message: m, Why: "no message of a payment"})
	}
	return d.Money, d.out
}

// decision is one step under way.
type decision struct {
	schemas.Money
	id  string
	now int64
	out []schemas.Message
}

func (d *decision) say(m schemas.Message) { d.out = append(d.out, m) }

func (d *decision) unchanged() { d.say(&schemas.Unchanged{}) }

func (d *decision) inside() schemas.Inside { return schemas.Inside{OrderID: d.id} }

func (d *decision) impossible(p *schemas.PaymentState, m schemas.Message, why string, args ...any) {
	panic(schemas.Impossible{Machine: "payment", State: p.PaymentID + " " + string(p.Status), Message: m, Why: fmt.Sprintf(why, args...)})
}

// collect covers an amount. Nothing to pay is covered at once, and so is an invoice: it is owed, and no provider holds it.
func (d *decision) collect(m *schemas.CollectPayment) {
	d.Ledger.Goods += m.AmountMinor
	if m.AmountMinor == 0 {
		d.say(&schemas.PaymentCovered{Inside: d.inside()})
		return
	}
	d.Payments = append(d.Payments, schemas.PaymentState{
		PaymentID: "pay_" + strings.TrimPrefix(d.id, "ord_") + "." + strconv.Itoa(len(d.Payments)+1), Status: schemas.PaymentStatusCreated,
		Method: m.Intent.Method, Token: m.Intent.Token, Provider: m.Provider, Capture: m.Intent.Capture, Currency: m.Currency,
		AmountMinor: m.AmountMinor, Attempt: 1, Operation: schemas.PaymentOperationAuthorize, TimeoutMS: m.TimeoutMS,
	})
	p := &d.Payments[len(d.Payments)-1]
	if p.Method == schemas.PaymentMethodInvoice {
		d.say(&schemas.PaymentCovered{Inside: d.inside()})
		return
	}
	d.begin(p, schemas.PaymentOperationAuthorize)
}

// undo lets go what is held and gives back what was taken, of every payment. What is under way is undone when its answer comes.
func (d *decision) undo() {
	d.waive()
	for i := range d.Payments {
		p := &d.Payments[i]
		if ended(p) {
			continue
		}
		p.Undo = true
		switch p.Status {
		case schemas.PaymentStatusCreated:
			if p.Method == schemas.PaymentMethodInvoice {
				d.end(p, schemas.PaymentStatusVoided)
			} else {
				d.cancel(p)
			}
		case schemas.PaymentStatusRequiresAction:
			d.cancel(p)
		case schemas.PaymentStatusAuthorized, schemas.PaymentStatusCaptured:
			d.giveBack(p)
		}
	}
	d.settled()
}

// giveBack undoes what stands. The order is gone.
func (d *decision) giveBack(p *schemas.PaymentState) {
	if p.CapturedMinor > p.RefundedMinor {
		d.begin(p, schemas.PaymentOperationRefund)
	} else {
		d.begin(p, schemas.PaymentOperationVoid)
	}
}

// settled tells the order when nothing is held, taken or in doubt any more.
func (d *decision) settled() {
	for i := range d.Payments {
		if !ended(&d.Payments[i]) {
			return
		}
	}
	d.say(&schemas.PaymentsUndone{Inside: d.inside()})
}

// end of a payment: no answer is awaited and nothing can follow.
func (d *decision) end(p *schemas.PaymentState, s schemas.PaymentStatus) {
	p.Status, p.DeadlineMS = s, 0
}

func ended(p *schemas.PaymentState) bool {
	switch p.Status {
	case schemas.PaymentStatusDeclined, schemas.PaymentStatusVoided, schemas.PaymentStatusRefunded:
		return true
	}
	return false
}

// deadline: an answer did not come, or the time to ask again has.
func (d *decision) deadline(m *schemas.OrderDeadlineReached) {
	for i := range d.Payments {
		p := &d.Payments[i]
		if p.DeadlineMS == 0 || p.DeadlineMS > m.DeadlineMS {
			continue
		}
		switch p.Status {
		case schemas.PaymentStatusAuthorizing, schemas.PaymentStatusUnknown:
			d.reconcile(p)
		case schemas.PaymentStatusCreated, schemas.PaymentStatusCapturing, schemas.PaymentStatusVoiding, schemas.PaymentStatusRefunding:
			d.ask(p)
		default:
			d.impossible(p, m, "a payment in this state has no deadline")
		}
	}
}

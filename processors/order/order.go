// Package order decides the life of an order.
//
//	PENDING ── stock and money stand ──> CONFIRMED ── cancelled ──> CANCELLING ── all undone ──> CANCELLED
//	   ├─ a line, the total or the payment is refused ──> REJECTED
//	   ├─ not decided in time ──> EXPIRED
//	   └─ cancelled ──> CANCELLING
//
// An order that has ended still takes the answers it is owed: stock that comes late is given back as it comes.
package order

import (
	"fmt"

	"oms/schemas"
)

// Step decides what follows from a message. The slices of the state given are the machine's to change.
func Step(state schemas.OrderState, in schemas.Input) (schemas.OrderState, []schemas.Message) {
	d := decision{OrderState: state, id: in.Message.Key(), now: in.NowMS}
	switch m := in.Message.(type) {
	case *schemas.PlaceOrder:
		d.place(m)
	case *schemas.StockReply:
		d.stock(m)
	case *schemas.PaymentCovered:
		d.confirm(m)
	case *schemas.PaymentDeclined:
		d.declined(m)
	case *schemas.CancelOrder:
		d.cancel(m.Reason, m.Note)
	case *schemas.RequestStatus:
		d.request(m)
	case *schemas.PaymentsUndone:
		d.undone()
	case *schemas.OrderDeadlineReached:
		d.deadline(m)
	default:
		d.impossible(m, "no message of an order")
	}
	return d.OrderState, d.out
}

// decision is one step under way.
type decision struct {
	schemas.OrderState
	id  string
	now int64
	out []schemas.Message
}

func (d *decision) say(m schemas.Message) { d.out = append(d.out, m) }

func (d *decision) unchanged() { d.say(&schemas.Unchanged{}) }

func (d *decision) inside() schemas.Inside { return schemas.Inside{OrderID: d.id} }

func (d *decision) impossible(m schemas.Message, why string, args ...any) {
	panic(schemas.Impossible{Machine: "order", State: string(d.Status), Message: m, Why: fmt.Sprintf(why, args...)})
}

// become moves the order; the first move out of PENDING is its decision.
func (d *decision) become(s schemas.OrderStatus, deadlineMS int64) {
	if d.Status == schemas.OrderStatusPending {
		d.DecidedAtMS = d.now
	}
	d.Status, d.DeadlineMS = s, deadlineMS
}

func (d *decision) confirm(m schemas.Message) {
	if d.Status != schemas.OrderStatusPending {
		d.impossible(m, "a payment covers an order that does not wait for one")
	}
	d.become(schemas.OrderStatusConfirmed, 0)
	lines := make([]schemas.PricedLine, len(d.Lines))
	for i := range d.Lines {
		l := &d.Lines[i]
		lines[i] = schemas.PricedLine{Line: l.Line, ProductID: l.ProductID, Name: l.Name, Quantity: l.Quantity, UnitPriceMinor: l.UnitPriceMinor,
			TotalMinor: l.Quantity * l.UnitPriceMinor, Allocations: l.Allocations}
	}
	d.say(&schemas.OrderConfirmed{OrderID: d.id, CustomerID: d.CustomerID, Currency: d.Currency, TotalMinor: d.TotalMinor, Lines: lines, PlacedAtMS: d.PlacedAtMS, ShipCountry: d.ShipCountry})
}

func (d *decision) declined(m schemas.Message) {
	if d.Status != schemas.OrderStatusPending {
		d.impossible(m, "a payment is declined for an order that does not wait for one")
	}
	d.reject(schemas.ReasonPaymentDeclined)
}

// reject ends the order for the reasons given, which are in order of precedence.
func (d *decision) reject(reasons ...schemas.Reason) {
	d.become(schemas.OrderStatusRejected, 0)
	d.Reasons = reasons
	var refused []schemas.LineReason
	for i := range d.Lines {
		if l := &d.Lines[i]; l.Status == schemas.LineStatusRejected {
			refused = append(refused, schemas.LineReason{Line: l.Line, ProductID: l.ProductID, Reason: l.Reason, Available: l.Available, Quantity: l.Quantity})
		}
	}
	d.say(&schemas.OrderRejected{OrderID: d.id, CustomerID: d.CustomerID, Reasons: reasons, Lines: refused, PlacedAtMS: d.PlacedAtMS, ShipCountry: d.ShipCountry})
	d.undo()
}

// deadline: an order that waits too long for its decision expires; one whose undoing takes too long asks for it again.
func (d *decision) deadline(m *schemas.OrderDeadlineReached) {
	switch d.Status {
	case schemas.OrderStatusPending:
		d.become(schemas.OrderStatusExpired, 0)
		d.Reasons = []schemas.Reason{schemas.ReasonExpired}
		d.say(&schemas.OrderExpired{OrderID: d.id, CustomerID: d.CustomerID, PlacedAtMS: d.PlacedAtMS, ShipCountry: d.ShipCountry})
		d.undo()
	case schemas.OrderStatusCancelling:
		d.Asked++
		d.DeadlineMS = d.now + d.Terms.CancelTimeoutMS
		d.say(&schemas.UndoPayments{Inside: d.inside()}) // stock is not asked for again: between rows nothing is lost, and a product would release it twice
	default:
		d.impossible(m, "an order in this state has no deadline")
	}
}

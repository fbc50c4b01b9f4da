package order

import (
	"strings"

	"oms/schemas"
)

// cancel starts to undo the order; it is CANCELLED when everything is undone, which may be at once.
func (d *decision) cancel(reason schemas.Reason, note string) {
	before := d.Status
	if !d.may(schemas.OrderStatusCancelled) {
		d.refuse(string(schemas.OrderStatusCancelled), "")
		return
	}
	d.become(schemas.OrderStatusCancelling, d.now+d.Terms.CancelTimeoutMS)
	d.Reasons = []schemas.Reason{reason}
	d.say(&schemas.OrderCancellationRequested{OrderID: d.id, CustomerID: d.CustomerID, Reason: reason, Note: note, StatusBefore: before,
		Currency: d.Currency, TotalMinor: d.TotalMinor, PlacedAtMS: d.PlacedAtMS, ShipCountry: d.ShipCountry})
	d.undo()
}

// undone: the payment machine has nothing left. With stock still under way the answer is asked for again when the last of it is back.
func (d *decision) undone() {
	if d.Status != schemas.OrderStatusCancelling || d.Awaiting > 0 {
		d.unchanged()
		return
	}
	d.become(schemas.OrderStatusCancelled, 0)
	d.say(&schemas.OrderCancelled{OrderID: d.id, CustomerID: d.CustomerID, Reason: d.Reasons[0], PlacedAtMS: d.PlacedAtMS, ShipCountry: d.ShipCountry})
}

// request turns a status that the staff asks for into the move it stands for.
func (d *decision) request(m *schemas.RequestStatus) {
	wanted := schemas.OrderStatus(m.Status)
	if wanted == schemas.OrderStatusCancelled && d.may(wanted) {
		d.cancel(schemas.ReasonCancelledByStaff, m.Note)
		return
	}
	d.refuse(m.Status, "/status")
}

// legalNext are the statuses that a client may move an order to. Those that only stock and money bring about are not among them.
var legalNext = map[schemas.OrderStatus][]string{
	schemas.OrderStatusPending:   {string(schemas.OrderStatusCancelled)},
	schemas.OrderStatusConfirmed: {string(schemas.OrderStatusCancelled)},
}

func (d *decision) may(next schemas.OrderStatus) bool {
	for _, s := range legalNext[d.Status] {
		if s == string(next) {
			return true
		}
	}
	return false
}

func (d *decision) refuse(wanted, pointer string) {
	next := legalNext[d.Status]
	detail := "status: an order that is " + string(d.Status) + " cannot be made " + wanted
	if len(next) == 0 {
		detail += "; nor anything else"
	} else {
		detail += "; it can be made " + strings.Join(next, ", ")
	}
	d.say(&schemas.CommandRefused{Code: schemas.RefusalCodeIllegalTransition, Pointer: pointer, Detail: detail, LegalNext: next})
}

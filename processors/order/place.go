package order

import (
	"bytes"

	"oms/internal/planted"
	"oms/schemas"
)

// place accepts the order and asks each of its products for price and stock. An order placed again is answered from what is there.
func (d *decision) place(m *schemas.PlaceOrder) {
	switch {
	case d.CommandID == "" || planted.On(planted.PlacedAnew): // there is no order yet
	case bytes.Equal(d.Fingerprint, m.Fingerprint):
		d.say(&schemas.CommandRepeated{})
		return
	default:
		d.say(&schemas.CommandRefused{Code: schemas.RefusalCodeKeyReused, Detail: "the idempotency key was used for an order with another body"})
		return
	}
	d.checkForm(m)
	d.OrderState = schemas.OrderState{
		Status: schemas.OrderStatusPending, CustomerID: m.CustomerID, Principal: m.Principal, Currency: m.Currency, PlacedAtMS: d.now,
		Fingerprint: m.Fingerprint, CommandID: m.CommandID, ClientReference: m.ClientReference, Metadata: m.Metadata,
		ShippingAddress: m.ShippingAddress, BillingAddress: m.BillingAddress, FillPolicy: m.FillPolicy, Payment: m.Payment,
		ExpectedTotalMinor: m.ExpectedTotalMinor, Terms: m.Terms, Lines: make([]schemas.LineState, len(m.Lines)),
		DeadlineMS: d.now + m.Terms.DecisionTimeoutMS, ShipCountry: m.ShipCountry,
	}
	for i := range m.Lines {
		l := &m.Lines[i]
		d.Lines[i] = schemas.LineState{Line: l.Line, ProductID: l.ProductID, Quantity: l.Quantity, Status: schemas.LineStatusOpen, Reason: schemas.ReasonNone,
			ExpectedUnitPriceMinor: l.ExpectedUnitPriceMinor, QuotedUnitPriceMinor: l.QuotedUnitPriceMinor}
	}
	d.say(&schemas.OrderCreated{OrderID: d.id, CustomerID: d.CustomerID, Principal: d.Principal, Currency: d.Currency, Lines: m.Lines,
		ShippingAddress: d.ShippingAddress, BillingAddress: d.BillingAddress, PaymentMethod: d.Payment.Method, FillPolicy: d.FillPolicy,
		ExpectedTotalMinor: d.ExpectedTotalMinor, ClientReference: d.ClientReference, Metadata: d.Metadata, DeadlineMS: d.DeadlineMS, ShipCountry: d.ShipCountry})
	d.reserve()
}

// maxTimeoutMS is a year: far more than a shop waits, and far from overflowing when it is doubled a few times.
const maxTimeoutMS = 366 * 24 * 60 * 60 * 1000

// checkForm holds the border to what it lets through; every other method of the machine rests on it.
func (d *decision) checkForm(m *schemas.PlaceOrder) {
	if m.CommandID == "" || len(m.Lines) == 0 {
		d.impossible(m, "command_id %q and %d lines: want an id and at least one line", m.CommandID, len(m.Lines))
	}
	for i := range m.Lines {
		l := &m.Lines[i]
		switch {
		case int(l.Line) != i+1:
			d.impossible(m, "lines[%d].line: %d, want %d: lines are numbered from 1", i, l.Line, i+1)
		case l.ProductID == "":
			d.impossible(m, "lines[%d].product_id: empty", i)
		case l.Quantity < 1:
			d.impossible(m, "lines[%d].quantity: %d, want at least 1", i, l.Quantity)
		case l.ExpectedUnitPriceMinor != nil && *l.ExpectedUnitPriceMinor < 0:
			d.impossible(m, "lines[%d].expected_unit_price_minor: %d, want at least 0", i, *l.ExpectedUnitPriceMinor)
		case l.QuotedUnitPriceMinor != nil && *l.QuotedUnitPriceMinor < 0:
			d.impossible(m, "lines[%d].quoted_unit_price_minor: %d, want at least 0", i, *l.QuotedUnitPriceMinor)
		}
	}
	for _, ms := range [...]int64{m.Terms.DecisionTimeoutMS, m.Terms.CancelTimeoutMS, m.Terms.PaymentTimeoutMS} {
		if ms < 1 || ms > maxTimeoutMS {
			d.impossible(m, "terms: a timeout of %d ms, want 1 to %d: every state that waits has a deadline that comes", ms, int64(maxTimeoutMS))
		}
	}
}

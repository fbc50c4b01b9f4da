package order

import (
	"math"
	"slices"
	"strings"

	"oms/internal/planted"
	"oms/schemas"
)

// reserve asks each product once for all its lines.
func (d *decision) reserve() {
	lines := make([]int, len(d.Lines))
	for i := range lines {
		lines[i] = i
	}
	wanted := make([]schemas.ReserveLine, 0, len(lines))
	d.perProduct(lines, func(product string, lines []int) {
		start := len(wanted)
		for _, i := range lines {
			l := &d.Lines[i]
			wanted = append(wanted, schemas.ReserveLine{Line: l.Line, Quantity: l.Quantity, ExpectedUnitPriceMinor: l.ExpectedUnitPriceMinor, QuotedUnitPriceMinor: l.QuotedUnitPriceMinor})
		}
		d.say(&schemas.ReserveStock{OrderID: d.id, ProductID: product, Currency: d.Currency, Policy: d.FillPolicy, Lines: wanted[start:len(wanted):len(wanted)]})
	})
}

// release gives back what the lines hold. It is asked for in the step that takes the units off the line, so never twice.
func (d *decision) release(lines []int) {
	d.perProduct(lines, func(product string, lines []int) {
		back := make([]schemas.ReleaseLine, len(lines))
		for n, i := range lines {
			l := &d.Lines[i]
			back[n] = schemas.ReleaseLine{Line: l.Line, Allocations: l.Allocations}
			l.Cancelled += l.Reserved
			l.Reserved, l.Allocations, l.Status = 0, nil, schemas.LineStatusReleased
		}
		if planted.On(planted.ReleasedInPart) {
			back = back[:1]
		}
		d.say(&schemas.ReleaseStock{OrderID: d.id, ProductID: product, Lines: back})
		if planted.On(planted.ReleasedTwice) {
			d.say(&schemas.ReleaseStock{OrderID: d.id, ProductID: product, Lines: back})
			d.Awaiting++
		}
	})
}

// perProduct asks once for every product of the lines, in order of product_id, and awaits its answer. An order of a thousand lines repeats products.
func (d *decision) perProduct(lines []int, ask func(product string, lines []int)) {
	slices.SortStableFunc(lines, func(a, b int) int { return strings.Compare(d.Lines[a].ProductID, d.Lines[b].ProductID) })
	for len(lines) > 0 {
		product, n := d.Lines[lines[0]].ProductID, 1
		for n < len(lines) && d.Lines[lines[n]].ProductID == product {
			n++
		}
		ask(product, lines[:n])
		d.Awaiting++
		lines = lines[n:]
	}
}

// undo gives everything back: what the lines hold now, what they will be given by answers under way, and the money.
func (d *decision) undo() {
	var held []int
	for i := range d.Lines {
		if d.Lines[i].Reserved > 0 {
			held = append(held, i)
		}
	}
	d.release(held)
	d.say(&schemas.UndoPayments{Inside: d.inside()})
}

// stock takes a product's answer. The order is decided when the last one is in, so its reasons do not depend on which came first.
func (d *decision) stock(m *schemas.StockReply) {
	if d.Awaiting < 1 {
		d.impossible(m, "no answer of a product is awaited")
	}
	d.Awaiting--
	var late []int
	for i := range m.Results {
		if at := d.settle(m, &m.Results[i]); d.Status != schemas.OrderStatusPending && d.Lines[at].Reserved > 0 {
			late = append(late, at)
		}
	}
	if !planted.On(planted.LateStockKept) {
		d.release(late)
	}
	switch {
	case d.Awaiting > 0:
	case d.Status == schemas.OrderStatusPending:
		d.decide()
	case d.Status == schemas.OrderStatusCancelling:
		d.say(&schemas.UndoPayments{Inside: d.inside()}) // all stock is back: is the money?
	}
}

// settle writes a result on its line, and answers the line's index.
func (d *decision) settle(m *schemas.StockReply, r *schemas.StockResult) int {
	at := int(r.Line) - 1
	if at < 0 || at >= len(d.Lines) || d.Lines[at].ProductID != m.ProductID {
		d.impossible(m, "line %d is not one of product %q", r.Line, m.ProductID)
	}
	l := &d.Lines[at]
	if released := r.Outcome == schemas.StockOutcomeReleased; released != (l.Status == schemas.LineStatusReleased) || !released && l.Status != schemas.LineStatusOpen {
		d.impossible(m, "line %d is %s and was not waiting for %s", r.Line, l.Status, r.Outcome)
	}
	switch r.Outcome {
	case schemas.StockOutcomeReserved:
		l.Status, l.Reserved, l.Allocations = schemas.LineStatusReserved, l.Quantity, r.Allocations
		l.Name, l.UnitPriceMinor = r.Name, r.UnitPriceMinor
	case schemas.StockOutcomeRejected:
		l.Status, l.Reason, l.Available, l.Cancelled = schemas.LineStatusRejected, r.Reason, r.Available, l.Quantity
		l.Name, l.UnitPriceMinor = r.Name, r.UnitPriceMinor // the price of now, for a buyer who saw another
	case schemas.StockOutcomeReleased:
	default:
		d.impossible(m, "line %d: outcome %s is not one of the fill policy %s", r.Line, r.Outcome, d.FillPolicy)
	}
	return at
}

// decide goes on to the payment when every line is held and the total is as it may be. That is the fill policy ALL_OR_NOTHING; the border turns the others
// away until there is a machine for them, and an order that has one all the same is decided like this.
func (d *decision) decide() {
	if reasons := d.refusedLines(); len(reasons) > 0 {
		d.reject(reasons...)
		return
	}
	total, ok := d.total()
	var reasons []schemas.Reason
	if d.ExpectedTotalMinor != nil && (!ok || *d.ExpectedTotalMinor != total) {
		reasons = append(reasons, schemas.ReasonTotalChanged)
	}
	if !ok || d.Terms.MaxTotalMinor > 0 && total > d.Terms.MaxTotalMinor {
		reasons = append(reasons, schemas.ReasonTotalOverLimit)
	}
	d.TotalMinor = total
	if len(reasons) > 0 {
		d.reject(reasons...)
		return
	}
	d.say(&schemas.CollectPayment{Inside: d.inside(), AmountMinor: total, Currency: d.Currency, Intent: d.Payment, Provider: d.Terms.PaymentProvider, TimeoutMS: d.Terms.PaymentTimeoutMS})
}

// precedence of the reasons that a product gives for a line.
var precedence = [...]schemas.Reason{schemas.ReasonUnknownProduct, schemas.ReasonNotForSale, schemas.ReasonCurrencyMismatch, schemas.ReasonPriceChanged, schemas.ReasonOutOfStock}

// refusedLines answers each reason of a refused line once, in order of precedence.
func (d *decision) refusedLines() []schemas.Reason {
	var met [len(precedence)]bool
	for i := range d.Lines {
		if l := &d.Lines[i]; l.Status == schemas.LineStatusRejected {
			met[max(0, slices.Index(precedence[:], l.Reason))] = true
		}
	}
	var reasons []schemas.Reason
	for i, yes := range met {
		if yes {
			reasons = append(reasons, precedence[i])
		}
	}
	return reasons
}

// total is Σ quantity × unit price in minor units; 0 and false when that is more than an int64 holds.
func (d *decision) total() (int64, bool) {
	var sum int64
	for i := range d.Lines {
		l := &d.Lines[i]
		if l.UnitPriceMinor > 0 && l.Quantity > (math.MaxInt64-sum)/l.UnitPriceMinor {
			return 0, false
		}
		sum += l.Quantity * l.UnitPriceMinor
	}
	return sum, true
}

package payment

import "oms/schemas"

// The order's money is booked here and nowhere else. After every posting:
//
//	goods + tax + shipping − discount + credit − (captured − refunded) = what the buyer still owes ≥ 0
//
// and authorized, captured and refunded are the sums of the payments'. Each posting moves one amount from one account to another, never more than the first
// one has, so both laws, and Σ refunds ≤ Σ captures, hold by construction.

// held is what the provider holds for us; taken is what we have of the buyer.
func held(p *schemas.PaymentState) int64  { return p.AuthorizedMinor - p.CapturedMinor - p.VoidedMinor }
func taken(p *schemas.PaymentState) int64 { return p.CapturedMinor - p.RefundedMinor }

// waive: the order is gone and nothing is owed for it; what the buyer paid is owed to the buyer.
func (d *decision) waive() {
	l := &d.Ledger
	l.Credit = l.Captured - l.Refunded
	l.Goods, l.Tax, l.Shipping, l.Discount = 0, 0, 0, 0
}

func (d *decision) hold(p *schemas.PaymentState, m *schemas.PaymentReply) {
	if m.AmountMinor < 1 || m.AmountMinor > p.AmountMinor-p.AuthorizedMinor {
		d.impossible(p, m, "amount_minor: %d held, want 1 to %d: what was asked for", m.AmountMinor, p.AmountMinor-p.AuthorizedMinor)
	}
	p.AuthorizedMinor += m.AmountMinor
	d.Ledger.Authorized += m.AmountMinor
}

func (d *decision) take(p *schemas.PaymentState, m *schemas.PaymentReply) {
	d.within(p, m, held(p))
	p.CapturedMinor += m.AmountMinor
	d.Ledger.Authorized -= m.AmountMinor
	d.Ledger.Captured += m.AmountMinor
	if p.Undo {
		d.Ledger.Credit += m.AmountMinor
	}
}

func (d *decision) void(p *schemas.PaymentState, m *schemas.PaymentReply) {
	d.within(p, m, held(p))
	p.VoidedMinor += m.AmountMinor
	d.Ledger.Authorized -= m.AmountMinor
}

func (d *decision) refund(p *schemas.PaymentState, m *schemas.PaymentReply) {
	d.within(p, m, taken(p))
	p.RefundedMinor += m.AmountMinor
	d.Ledger.Refunded += m.AmountMinor
	d.Ledger.Credit -= m.AmountMinor
}

func (d *decision) within(p *schemas.PaymentState, m *schemas.PaymentReply, limit int64) {
	if m.AmountMinor != limit {
		d.impossible(p, m, "amount_minor: %d %s, want %d: the whole of what stands", m.AmountMinor, m.Outcome, limit)
	}
}

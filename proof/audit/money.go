package audit

import (
	"math/bits"
	"strings"

	"oms/schemas"
)

// money of one order, minor units, by its payment facts.
type money struct {
	authorized int64 // held, all told
	taken      int64 // taken, all told
	fromHold   int64 // taken out of what was held
	voided     int64
	refunded   int64
}

// held and kept now.
func (m money) held() int64 { return m.authorized - m.fromHold - m.voided }
func (m money) kept() int64 { return m.taken - m.refunded }

// effect is what a provider did under a request.
type effect struct {
	request string
	what    schemas.PaymentOutcome
}

// charge is an effect as a fact tells it, and as the provider's ledger has it.
type charge struct {
	fact, done amount
	doneMS     int64 // by the ledger, UTC ms
}

// amount and where it stands; no place: nowhere.
type amount struct {
	at       Place
	minor    int64
	currency name
}

func (a *Auditor) effect(request string, what schemas.PaymentOutcome) *charge {
	e := effect{request, what}
	c := a.effects[e]
	if c == nil {
		c = &charge{}
		e.request = strings.Clone(request)
		a.effects[e] = c
	}
	return c
}

// paid books a payment fact (I4, I5).
func (a *Auditor) paid(at Place, m *schemas.PaymentProcessed) {
	o := a.order(m.OrderID)
	switch m.Outcome {
	case schemas.PaymentOutcomeAuthorized:
		o.money.authorized += m.AmountMinor
	case schemas.PaymentOutcomeCaptured:
		o.money.taken += m.AmountMinor
		if m.Operation == schemas.PaymentOperationCapture {
			o.money.fromHold += m.AmountMinor
		}
	case schemas.PaymentOutcomeVoided:
		o.money.voided += m.AmountMinor
	case schemas.PaymentOutcomeRefunded:
		o.money.refunded += m.AmountMinor
	default:
		return
	}
	a.refunds.Demand(m.AmountMinor >= 0 && o.money.held() >= 0 && o.money.kept() >= 0, at, "%s of %d for %q: more is given back than was held or taken", m.Outcome, m.AmountMinor, m.OrderID)
	c := a.effect(m.RequestID, m.Outcome)
	a.charges.Demand(c.fact.at.none(), at, "%s under request %q is told twice", m.Outcome, m.RequestID)
	c.fact = amount{at, m.AmountMinor, a.one(m.Currency)}
}

// settleCharges matches what facts tell with what was asked and, once a ledger was read, with what the provider did.
func (s *settlement) settleCharges() {
	for e, c := range s.effects {
		switch {
		case c.fact.at.none():
		case s.requests[hash(e.request)]:
			s.charges.Checked++
		case s.still:
			s.charges.Demand(false, c.fact.at, "%s under request %q, which nobody asked", e.what, e.request)
		}
		switch {
		case !s.ledger:
		case c.fact.at.none():
			s.due(&s.charges, c.doneMS, c.done.at, "the provider did %s of %d under request %q, and no fact tells it", e.what, c.done.minor, e.request)
		case c.done.at.none():
			s.charges.Demand(c.fact.minor == 0, c.fact.at, "%s of %d under request %q is not in the provider's ledger", e.what, c.fact.minor, e.request)
		default:
			s.charges.Demand(c.fact.minor == c.done.minor && c.fact.currency == c.done.currency, c.fact.at, "request %q: the fact tells %d %s, the provider's ledger has %d %s",
				e.request, c.fact.minor, s.text(c.fact.currency), c.done.minor, s.text(c.done.currency))
		}
	}
}

// settleMoney compares what only the whole shows.
func (s *settlement) settleMoney() {
	for id, o := range s.orders {
		open := o.money.held() + o.money.kept()
		if o.ended() {
			if s.refunds.Checked++; open != 0 {
				s.due(&s.refunds, o.statusMS, o.statusAt, "%q is %s and %d are still held or kept", id, o.status, open)
			}
		}
		if !s.still {
			continue
		}
		if o.status.of() == schemas.OrderStatusConfirmed && !o.invoice {
			s.money.Demand(open == o.total, o.statusAt, "%q costs %d, held or taken are %d", id, o.total, open)
		}
		if !o.row.at.none() {
			l := &o.row
			s.money.Demand(l.authorized == o.money.held() && l.captured == o.money.taken && l.refunded == o.money.refunded, o.row.at,
				"the ledger of %q has %d held, %d taken, %d given back; its payment facts %d, %d, %d", id, l.authorized, l.captured, l.refunded, o.money.held(), o.money.taken, o.money.refunded)
		}
	}
}

// total adds products without overflowing.
type total struct {
	sum  int64
	over bool
}

func (t *total) add(a, b int64) {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	sum := t.sum + int64(lo)
	if a < 0 || b < 0 || hi != 0 || lo > 1<<63-1 || sum < t.sum {
		t.over = true
	}
	t.sum = sum
}

func (t *total) is(n int64) bool { return !t.over && t.sum == n }

// product64 tells whether a × b is c, in whole numbers without end.
func product64(a, b, c int64) bool {
	var t total
	t.add(a, b)
	return t.is(c)
}

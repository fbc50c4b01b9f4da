package audit

import (
	"slices"

	"github.com/cespare/xxhash/v2"

	"oms/schemas"
)

// hold is units of an order's line at a location.
type hold struct {
	at                Place // of the fact that made it; zero in rows
	quantity          int64
	line              int32
	product, location name
}

// product is the stock of one product, folded from its movements.
type product struct {
	levels  map[name]*level
	version int64 // of its last row
	sum     uint64
	row     []rowLevel
	rowAt   Place
	rowSeq  int64 // inventory sequence of that row

	listed, sold amount // price in the catalogue, and what units were first reserved at when nobody quoted another price
}

type level struct {
	onHand, reserved int64
	promised         int64 // what orders' rows hold, summed at the end
	at               Place
}

// rowLevel is the stock at a location by a product's row.
type rowLevel struct {
	location         name
	onHand, reserved int64
}

func (a *Auditor) product(key name) *product {
	p := a.products[key]
	if p == nil {
		p = &product{levels: map[name]*level{}}
		a.products[key] = p
	}
	return p
}

func (p *product) level(location name) *level {
	l := p.levels[location]
	if l == nil {
		l = &level{}
		p.levels[location] = l
	}
	return l
}

// moved books a movement: what it says that was there after it must be what was there before and the movement (I1), and nothing may be promised twice (I2).
func (a *Auditor) moved(at Place, m *schemas.InventoryUpdated) {
	key := m.Key()
	product := a.one(key)
	p := a.product(product)
	for _, e := range m.Entries {
		l := p.level(a.one(e.LocationID))
		l.at = at
		a.conservation.Demand(e.Quantity > 0 || m.Movement == schemas.MovementAdjusted, at, "%s of %d units of %q", m.Movement, e.Quantity, key)
		switch m.Movement {
		case schemas.MovementAdjusted:
			l.onHand += e.Quantity
			h := hash(key + " " + m.Cause)
			a.repeats.Demand(!a.counted[h], at, "command %q changed the stock of %q before", m.Cause, key)
			a.counted[h] = true
		case schemas.MovementReceived, schemas.MovementRestocked:
			l.onHand += e.Quantity
		case schemas.MovementReserved:
			l.reserved += e.Quantity
			a.hold(at, product, m.OrderID, e)
		case schemas.MovementReleased:
			l.reserved -= e.Quantity
			a.letGo(at, product, m.OrderID, e)
		case schemas.MovementShipped:
			l.onHand -= e.Quantity
			l.reserved -= e.Quantity
			a.letGo(at, product, m.OrderID, e)
		}
		told := slices.ContainsFunc(m.Levels, func(s schemas.StockLevel) bool { return s.LocationID == e.LocationID })
		a.conservation.Demand(told, at, "the level of %q at %q after its movement is not told", key, e.LocationID)
	}
	for _, s := range m.Levels {
		l := p.level(a.one(s.LocationID))
		a.conservation.Demand(l.onHand == s.OnHand && l.reserved == s.Reserved, at, "%q at %q: movements add up to %d on hand and %d reserved, told are %d and %d",
			key, s.LocationID, l.onHand, l.reserved, s.OnHand, s.Reserved)
		a.oversell.Demand(s.Reserved >= 0 && s.Reserved <= s.OnHand, at, "%q at %q: %d reserved of %d", key, s.LocationID, s.Reserved, s.OnHand)
	}
}

// hold opens a reservation (I3).
func (a *Auditor) hold(at Place, product name, orderID string, e schemas.StockEntry) {
	o, location := a.order(orderID), a.one(e.LocationID)
	for i := range o.open {
		if h := &o.open[i]; h.product == product && h.line == e.Line && h.location == location {
			a.reservations.Demand(false, at, "line %d of %q reserved %q at %q twice", e.Line, orderID, a.text(product), e.LocationID)
			return
		}
	}
	a.reservations.Checked++
	o.open = append(o.open, hold{at, e.Quantity, e.Line, product, location})
}

// letGo ends a reservation. What ends was there, and ends whole.
func (a *Auditor) letGo(at Place, product name, orderID string, e schemas.StockEntry) {
	o, location := a.order(orderID), a.one(e.LocationID)
	for i := range o.open {
		if h := &o.open[i]; h.product == product && h.line == e.Line && h.location == location {
			a.reservations.Demand(h.quantity == e.Quantity, at, "of %d units of %q held for line %d of %q, %d end", h.quantity, a.text(product), e.Line, orderID, e.Quantity)
			if o.open = slices.Delete(o.open, i, i+1); len(o.open) == 0 {
				o.open = nil
			}
			return
		}
	}
	a.reservations.Demand(false, at, "%d units of %q end for line %d of %q, which holds none", e.Quantity, a.text(product), e.Line, orderID)
}

// priced books what a line of an order was reserved at. Prices do not change yet, so one that nobody quoted is the same for all orders.
func (a *Auditor) priced(at Place, product name, l *schemas.LineState, currency string) {
	if l.Status != schemas.LineStatusReserved || l.QuotedUnitPriceMinor != nil {
		return
	}
	now := amount{at, l.UnitPriceMinor, a.one(currency)}
	p := a.product(product)
	if p.sold.at.none() {
		p.sold = now
	}
	a.money.Demand(p.sold.minor == now.minor && p.sold.currency == now.currency, at, "line %d: %q is sold at %d %s and was at %d %s", l.Line, l.ProductID, now.minor, currency, p.sold.minor, a.text(p.sold.currency))
}

// productRow books a row of the products' table.
func (a *Auditor) productRow(at Place, raw []byte, m *schemas.ProductRow) {
	p, sum := a.product(a.one(m.Key())), xxhash.Sum64(raw)
	a.forward(at, m.Key(), p.version, p.sum, m.Version, sum)
	p.version, p.sum, p.row, p.rowAt, p.rowSeq = m.Version, sum, p.row[:0], at, m.Sequences.Inventory
	for _, l := range m.Levels {
		p.row = append(p.row, rowLevel{a.one(l.LocationID), l.OnHand, l.Reserved})
		a.oversell.Demand(l.Reserved >= 0 && l.Reserved <= l.OnHand, at, "%q at %q: %d reserved of %d", m.Key(), l.LocationID, l.Reserved, l.OnHand)
	}
}

// settleStock compares what only the whole shows.
func (s *settlement) settleStock() {
	for _, p := range s.products {
		for _, l := range p.levels {
			l.promised = 0
		}
	}
	for id, o := range s.orders {
		for _, h := range o.row.held {
			s.product(h.product).level(h.location).promised += h.quantity
		}
		if o.ended() {
			for _, h := range o.open {
				s.due(&s.reservations, o.statusMS, h.at, "%d units of %q are held for %q, which is %s since %s", h.quantity, s.text(h.product), id, o.status, o.statusAt)
			}
		}
		if !s.rest {
			continue
		}
		if len(o.open) > 0 && o.created.none() {
			s.reservations.Violated(o.open[0].at, "units are held for %q, which was never created", id)
		}
		at := o.row.at
		if len(o.open) > 0 {
			at = o.open[0].at
		}
		s.reservations.Demand(sameHolds(o.open, o.row.held), at, "products and the row of %q at %s disagree on what is held for it", id, o.row.at)
	}
	for key, p := range s.products {
		s.settleProduct(key, p)
	}
}

func (s *settlement) settleProduct(product name, p *product) {
	key := s.text(product)
	if !p.listed.at.none() && !p.sold.at.none() {
		s.money.Demand(p.sold.minor == p.listed.minor && p.sold.currency == p.listed.currency, p.sold.at, "%q was sold at %d %s, the catalogue has %d %s",
			key, p.sold.minor, s.text(p.sold.currency), p.listed.minor, s.text(p.listed.currency))
	}
	sequence := int64(0)
	if t := s.facts[factKey{inventoryEvents, product}]; t != nil {
		sequence = t.sequence
	}
	if s.still {
		s.complete.Demand(p.rowSeq == sequence, p.rowAt, "the row of %q counts %d movements, the topic has %d", key, p.rowSeq, sequence)
	}
	for _, row := range p.row {
		if l := p.level(row.location); p.rowSeq == sequence {
			s.conservation.Demand(l.onHand == row.onHand && l.reserved == row.reserved, p.rowAt, "%q at %q: movements add up to %d on hand and %d reserved, the row has %d and %d",
				key, s.text(row.location), l.onHand, l.reserved, row.onHand, row.reserved)
		}
	}
	for location, l := range p.levels {
		if s.rest {
			s.conservation.Demand(l.promised == l.reserved, l.at, "%q at %q: %d are reserved, orders hold %d", key, s.text(location), l.reserved, l.promised)
		} else if l.promised != l.reserved {
			s.conservation.UnderWay++
		}
	}
}

// sameHolds compares two sets of reservations whatever their order.
func sameHolds(a, b []hold) bool {
	if len(a) != len(b) {
		return false
	}
	for _, h := range a {
		if !slices.ContainsFunc(b, func(o hold) bool {
			return o.product == h.product && o.location == h.location && o.line == h.line && o.quantity == h.quantity
		}) {
			return false
		}
	}
	return true
}

package clickhouse

import (
	"fmt"

	"oms/schemas"
	"oms/topics"
)

// place is where a record stands.
type place struct {
	topic             string
	partition, offset int64
}

func (p place) end(b *block) {
	b.str(p.topic)
	b.int(p.partition, p.offset)
	b.end()
}

// readable answers the message of a record's value, or why it can be in no table: not readable, or nothing that is said on the topic.
func readable(topic string, value []byte) (schemas.Message, error) {
	if value == nil {
		return nil, fmt.Errorf("it has no value")
	}
	m := schemas.Decode(value)
	if bad, ok := m.(*schemas.Malformed); ok {
		return nil, fmt.Errorf("%s", bad.Reason)
	}
	for _, t := range followed {
		if t.Name != topic || !topics.KindHas(t, m.Kind()) {
			continue
		}
		if at := undated(m); at != 0 {
			return nil, fmt.Errorf("%s: ClickHouse has no date for %d ms since 1970", m.Kind(), at)
		}
		return m, nil
	}
	return nil, fmt.Errorf("%s does not belong on %s", m.Kind(), topic)
}

// Times between these, in ms since 1970, are kept as they are: ClickHouse has dates from 1900, and the driver counts in nanoseconds, which end in 2262.
const (
	firstDate = -2_208_988_800_000
	lastDate  = 9_214_646_400_000 - 1
)

// undated is a time of the message that ClickHouse would keep as another one; 0: there is none.
func undated(m schemas.Message) int64 {
	var at, placed, decided int64
	if f, ok := m.(interface{ FactHead() *schemas.Fact }); ok {
		at = f.FactHead().AtMS
	}
	switch m := m.(type) {
	case *schemas.OrderConfirmed:
		placed = m.PlacedAtMS
	case *schemas.OrderRejected:
		placed = m.PlacedAtMS
	case *schemas.OrderExpired:
		placed = m.PlacedAtMS
	case *schemas.OrderCancellationRequested:
		placed = m.PlacedAtMS
	case *schemas.OrderCancelled:
		placed = m.PlacedAtMS
	case *schemas.OrderRow:
		at, placed, decided = m.NowMS, m.Order.PlacedAtMS, m.Order.DecidedAtMS
	}
	for _, t := range [...]int64{at, placed, decided} {
		if t < firstDate || t > lastDate {
			return t
		}
	}
	return 0
}

func orderEvents(b *block, m schemas.Message, at place) {
	// What most facts do not have is the zero of its column.
	var e struct {
		typ, customer, country, currency, method, before, reference string
		placedMS, lines, units, total                               int64
		reason                                                      schemas.Reason
	}
	e.reason = schemas.ReasonNone
	var f *schemas.Fact
	switch m := m.(type) {
	case *schemas.OrderCreated:
		f, e.typ, e.placedMS, e.country = &m.Fact, "OrderCreated", m.AtMS, m.ShipCountry
		e.customer, e.currency, e.method, e.reference = m.CustomerID, m.Currency, string(m.PaymentMethod), m.ClientReference
		e.lines = int64(len(m.Lines))
		for i := range m.Lines {
			e.units += m.Lines[i].Quantity
		}
	case *schemas.OrderConfirmed:
		f, e.typ, e.placedMS, e.country = &m.Fact, "OrderConfirmed", m.PlacedAtMS, m.ShipCountry
		e.currency, e.total = m.Currency, m.TotalMinor
		e.lines = int64(len(m.Lines))
		for i := range m.Lines {
			e.units += m.Lines[i].Quantity
		}
	case *schemas.OrderRejected:
		f, e.typ, e.placedMS, e.country = &m.Fact, "OrderRejected", m.PlacedAtMS, m.ShipCountry
		e.lines = int64(len(m.Lines))
		for i := range m.Lines {
			e.units += m.Lines[i].Quantity
		}
		if len(m.Reasons) > 0 {
			e.reason = m.Reasons[0]
		}
	case *schemas.OrderExpired:
		f, e.typ, e.placedMS, e.country, e.reason = &m.Fact, "OrderExpired", m.PlacedAtMS, m.ShipCountry, schemas.ReasonExpired
	case *schemas.OrderCancellationRequested:
		f, e.typ, e.placedMS, e.country, e.reason = &m.Fact, "OrderCancellationRequested", m.PlacedAtMS, m.ShipCountry, m.Reason
		e.currency, e.total, e.before = m.Currency, m.TotalMinor, string(m.StatusBefore)
	case *schemas.OrderCancelled:
		f, e.typ, e.placedMS, e.country, e.reason = &m.Fact, "OrderCancelled", m.PlacedAtMS, m.ShipCountry, m.Reason
	default:
		return
	}
	b.str(f.Tenant)
	b.ms(f.AtMS)
	b.str(m.Key())
	b.int(f.Version, int64(f.Ordinal), f.Sequence)
	b.str(e.typ)
	b.ms(e.placedMS)
	b.str(e.customer, e.country, e.currency, e.method)
	b.int(e.lines, e.units, e.total)
	b.str(string(e.reason), e.before, e.reference)
	at.end(b)
}

func orderLines(b *block, m schemas.Message, at place) {
	line := func(f *schemas.Fact, n int32, typ string, placedMS int64, product, country, currency string, quantity, price, total, locations int64, reason schemas.Reason, available int64) {
		b.str(f.Tenant)
		b.ms(f.AtMS)
		b.str(m.Key())
		b.int(f.Version, int64(f.Ordinal), int64(n))
		b.str(typ)
		b.ms(placedMS)
		b.str(product, country, currency)
		b.int(quantity, price, total, locations)
		b.str(string(reason))
		b.int(available)
		at.end(b)
	}
	switch m := m.(type) {
	case *schemas.OrderCreated:
		for i := range m.Lines {
			l := &m.Lines[i]
			line(&m.Fact, l.Line, "OrderCreated", m.AtMS, l.ProductID, m.ShipCountry, m.Currency, l.Quantity, 0, 0, 0, schemas.ReasonNone, 0)
		}
	case *schemas.OrderConfirmed:
		for i := range m.Lines {
			l := &m.Lines[i]
			line(&m.Fact, l.Line, "OrderConfirmed", m.PlacedAtMS, l.ProductID, m.ShipCountry, m.Currency, l.Quantity, l.UnitPriceMinor, l.TotalMinor, int64(len(l.Allocations)), schemas.ReasonNone, 0)
		}
	case *schemas.OrderRejected:
		for i := range m.Lines {
			l := &m.Lines[i]
			line(&m.Fact, l.Line, "OrderRejected", m.PlacedAtMS, l.ProductID, m.ShipCountry, "", l.Quantity, 0, 0, 0, l.Reason, l.Available)
		}
	}
}

func payments(b *block, m schemas.Message, at place) {
	p, ok := m.(*schemas.PaymentProcessed)
	if !ok {
		return
	}
	b.str(p.Tenant)
	b.ms(p.AtMS)
	b.str(p.OrderID)
	b.int(p.Version, int64(p.Ordinal), p.Sequence)
	b.str(string(p.Operation), string(p.Outcome), string(p.Method), p.Provider, p.Currency)
	b.int(p.AmountMinor)
	b.str(p.ProviderRef, p.Reason)
	at.end(b)
}

// stockMovements writes a row a booking, with the level of its location after the movement. A location that was touched without a booking (its safety stock was set)
// has a row of quantity 0.
func stockMovements(b *block, m schemas.Message, at place) {
	u, ok := m.(*schemas.InventoryUpdated)
	if !ok {
		return
	}
	n := int64(0)
	row := func(e schemas.StockEntry, l *schemas.StockLevel) {
		n++
		b.str(u.Tenant)
		b.ms(u.AtMS)
		b.str(u.ProductID)
		b.int(u.Version, int64(u.Ordinal), n, u.Sequence)
		b.str(string(u.Movement), u.OrderID)
		b.int(int64(e.Line))
		b.str(e.LocationID)
		b.int(e.Quantity, l.OnHand, l.Reserved, l.SafetyStock, l.Incoming, l.Damaged)
		b.str(u.Reason)
		at.end(b)
	}
	booked := map[string]bool{}
	for _, e := range u.Entries {
		level := &schemas.StockLevel{}
		for i := range u.Levels {
			if u.Levels[i].LocationID == e.LocationID {
				level = &u.Levels[i]
			}
		}
		booked[e.LocationID] = true
		row(e, level)
	}
	for i := range u.Levels {
		if l := &u.Levels[i]; !booked[l.LocationID] {
			row(schemas.StockEntry{LocationID: l.LocationID}, l)
		}
	}
}

func stockAlerts(b *block, m schemas.Message, at place) {
	alert := func(f *schemas.Fact, product, typ string, available, threshold int64) {
		b.str(f.Tenant)
		b.ms(f.AtMS)
		b.str(product)
		b.int(f.Version, int64(f.Ordinal))
		b.str(typ)
		b.int(available, threshold)
		at.end(b)
	}
	switch m := m.(type) {
	case *schemas.InventoryLow:
		alert(&m.Fact, m.ProductID, "InventoryLow", m.Available, m.Threshold)
	case *schemas.BackInStock:
		alert(&m.Fact, m.ProductID, "BackInStock", m.Available, 0)
	}
}

func products(b *block, m schemas.Message, at place) {
	p, ok := m.(*schemas.ProductAdded)
	if !ok {
		return
	}
	b.str(p.Tenant, p.ProductID)
	b.int(p.Version)
	b.ms(p.AtMS)
	b.str(p.Name, p.Category)
	b.int(p.PriceMinor)
	b.str(p.Currency)
	at.end(b)
}

func ordersNow(b *block, m schemas.Message, at place) {
	r, ok := m.(*schemas.OrderRow)
	if !ok {
		return
	}
	o := &r.Order
	units := int64(0)
	for i := range o.Lines {
		units += o.Lines[i].Quantity
	}
	reason := schemas.ReasonNone
	if len(o.Reasons) > 0 {
		reason = o.Reasons[0]
	}
	b.str(r.Tenant)
	b.ms(o.PlacedAtMS)
	b.str(r.OrderID)
	b.int(r.Version)
	b.str(string(o.Status), r.PaymentStatus(), r.FulfillmentStatus(), o.CustomerID, o.ShipCountry, o.Currency, string(o.Payment.Method))
	b.int(int64(len(o.Lines)), units, o.TotalMinor, r.Ledger.Authorized, r.Ledger.Captured, r.Ledger.Refunded)
	b.str(string(reason))
	b.ms(o.DecidedAtMS, r.NowMS)
	at.end(b)
}

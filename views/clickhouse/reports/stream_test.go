package reports_test

import (
	"slices"
	"time"

	"oms/schemas"
)

// shop says facts as the groups would: heads stamped, rows after each step, stock with its levels.
type shop struct {
	tenant string
	said   []schemas.Message
	stock  map[string]*stock
}

type stock struct {
	version, moved, known int64 // version, and sequences of the two topics
	levels                []schemas.StockLevel
	threshold             int64
	low                   bool
}

type line struct {
	product  string
	quantity int64
	price    int64
	from     []schemas.Allocation // where it is held; nil: all at main
}

type order struct {
	id, customer, country, currency string
	method                          schemas.PaymentMethod
	provider                        string
	lines                           []line
	placed                          time.Time
	row                             schemas.OrderRow
}

func (s *shop) say(m schemas.Message) { s.said = append(s.said, m) }

// product is added to the catalogue.
func (s *shop) product(at time.Time, id, name, category string, price int64, currency string, threshold int64) {
	st := &stock{version: 1, known: 1, threshold: threshold}
	s.stock[id] = st
	s.say(&schemas.ProductAdded{Fact: schemas.Fact{Tenant: s.tenant, Cause: "cmd_" + id, AtMS: at.UnixMilli(), Version: 1, Sequence: 1}, ProductID: id, Name: name, Category: category, PriceMinor: price, Currency: currency})
}

func (st *stock) level(location string) *schemas.StockLevel {
	for i := range st.levels {
		if st.levels[i].LocationID == location {
			return &st.levels[i]
		}
	}
	st.levels = append(st.levels, schemas.StockLevel{LocationID: location})
	return &st.levels[len(st.levels)-1]
}

func (st *stock) available() (n int64) {
	for _, l := range st.levels {
		n += max(0, l.OnHand-l.Reserved-l.SafetyStock)
	}
	return n
}

// move books a movement, and says it with what it did to the product as a whole.
func (s *shop) move(at time.Time, id string, movement schemas.Movement, order, reason string, entries ...schemas.StockEntry) {
	st := s.stock[id]
	before := st.available()
	st.version++
	fact := func(ordinal int32) schemas.Fact {
		st.moved++
		return schemas.Fact{Tenant: s.tenant, Cause: "cause", AtMS: at.UnixMilli(), Version: st.version, Ordinal: ordinal, Sequence: st.moved}
	}
	m := &schemas.InventoryUpdated{Fact: fact(0), ProductID: id, Movement: movement, OrderID: order, Reason: reason, Entries: entries}
	for _, e := range entries {
		l := st.level(e.LocationID)
		switch movement {
		case schemas.MovementAdjusted:
			l.OnHand += e.Quantity
		case schemas.MovementReserved:
			l.Reserved += e.Quantity
		case schemas.MovementReleased:
			l.Reserved -= e.Quantity
		}
	}
	for _, e := range entries {
		if !slices.ContainsFunc(m.Levels, func(l schemas.StockLevel) bool { return l.LocationID == e.LocationID }) {
			m.Levels = append(m.Levels, *st.level(e.LocationID))
		}
	}
	s.say(m)
	now := st.available()
	low := st.threshold > 0 && now <= st.threshold
	if low && !st.low {
		s.say(&schemas.InventoryLow{Fact: fact(1), ProductID: id, Available: now, Threshold: st.threshold})
	}
	if st.low = low; before == 0 && now > 0 {
		s.say(&schemas.BackInStock{Fact: fact(1), ProductID: id, Available: now})
	}
}

// adjust changes what is on hand.
func (s *shop) adjust(at time.Time, id, location string, by int64, reason string) {
	s.move(at, id, schemas.MovementAdjusted, "", reason, schemas.StockEntry{LocationID: location, Quantity: by})
}

// step of an order at so many milliseconds after its placing.
func (s *shop) step(o *order, afterMS int64, change func(at time.Time, payment, fact func() schemas.Fact)) {
	at := o.placed.Add(time.Duration(afterMS) * time.Millisecond)
	o.row.Version++
	o.row.NowMS = at.UnixMilli()
	ordinal := int32(-1)
	head := func(sequence *int64) func() schemas.Fact {
		return func() schemas.Fact {
			*sequence++
			ordinal++
			return schemas.Fact{Tenant: s.tenant, Cause: "cause", AtMS: at.UnixMilli(), Version: o.row.Version, Ordinal: ordinal, Sequence: *sequence}
		}
	}
	change(at, head(&o.row.Sequences.Payment), head(&o.row.Sequences.Order))
	row := o.row
	row.Order.Lines = slices.Clone(row.Order.Lines)
	row.Order.Reasons = slices.Clone(row.Order.Reasons)
	row.Payments = slices.Clone(row.Payments)
	s.say(&row)
}

func (o *order) become(status schemas.OrderStatus, at time.Time, reasons ...schemas.Reason) {
	if o.row.Order.Status == schemas.OrderStatusPending {
		o.row.Order.DecidedAtMS = at.UnixMilli()
	}
	o.row.Order.Status = status
	if reasons != nil {
		o.row.Order.Reasons = reasons
	}
}

func (s *shop) place(at time.Time, o order) *order {
	o.placed = at
	if o.method == "" {
		o.method, o.provider = schemas.PaymentMethodCard, "sandbox"
	}
	o.row = schemas.OrderRow{Row: schemas.Row{Tenant: s.tenant}, OrderID: o.id, Order: schemas.OrderState{Status: schemas.OrderStatusPending, CustomerID: o.customer,
		Currency: o.currency, PlacedAtMS: at.UnixMilli(), ShipCountry: o.country, Payment: schemas.PaymentIntent{Method: o.method}}}
	s.step(&o, 0, func(_ time.Time, _, fact func() schemas.Fact) {
		m := &schemas.OrderCreated{Fact: fact(), OrderID: o.id, CustomerID: o.customer, Principal: "p", Currency: o.currency, PaymentMethod: o.method, ClientReference: "ref-" + o.id, ShipCountry: o.country}
		for i, l := range o.lines {
			m.Lines = append(m.Lines, schemas.OrderLine{Line: int32(i + 1), ProductID: l.product, Quantity: l.quantity})
			o.row.Order.Lines = append(o.row.Order.Lines, schemas.LineState{Line: int32(i + 1), ProductID: l.product, Quantity: l.quantity})
		}
		s.say(m)
	})
	return &o
}

func (o *order) allocations(i int) []schemas.Allocation {
	if o.lines[i].from != nil {
		return o.lines[i].from
	}
	return []schemas.Allocation{{LocationID: "main", Quantity: o.lines[i].quantity}}
}

// hold reserves what the order wants, or lets it go.
func (s *shop) hold(o *order, afterMS int64, movement schemas.Movement) {
	at := o.placed.Add(time.Duration(afterMS) * time.Millisecond)
	for i, l := range o.lines {
		var entries []schemas.StockEntry
		for _, a := range o.allocations(i) {
			entries = append(entries, schemas.StockEntry{Line: int32(i + 1), LocationID: a.LocationID, Quantity: a.Quantity})
		}
		s.move(at, l.product, movement, o.id, "", entries...)
	}
}

func (o *order) total() (sum int64) {
	for _, l := range o.lines {
		sum += l.quantity * l.price
	}
	return sum
}

// paid says a provider's answer, and books it.
func (s *shop) paid(o *order, fact schemas.Fact, operation schemas.PaymentOperation, outcome schemas.PaymentOutcome, reason string) {
	l := &o.row.Ledger
	switch outcome {
	case schemas.PaymentOutcomeAuthorized:
		l.Authorized += o.total()
	case schemas.PaymentOutcomeCaptured:
		l.Authorized = 0
		l.Captured += o.total()
	case schemas.PaymentOutcomeVoided:
		l.Authorized = 0
	case schemas.PaymentOutcomeRefunded:
		l.Refunded += o.total()
	}
	s.say(&schemas.PaymentProcessed{Fact: fact, OrderID: o.id, PaymentID: "pay_" + o.id, RequestID: "req", Operation: operation, Outcome: outcome, Method: o.method, Provider: o.provider,
		AmountMinor: o.total(), Currency: o.currency, ProviderRef: "ref_" + o.id, Reason: reason})
}

// answer is a provider's answer in a step of its own.
func (s *shop) answer(o *order, afterMS int64, operation schemas.PaymentOperation, outcome schemas.PaymentOutcome, reason string) {
	s.step(o, afterMS, func(_ time.Time, payment, _ func() schemas.Fact) { s.paid(o, payment(), operation, outcome, reason) })
}

// confirm after so many milliseconds; the money is held, or taken by the same answer.
func (s *shop) confirm(o *order, afterMS int64, outcome schemas.PaymentOutcome) {
	s.hold(o, afterMS-3, schemas.MovementReserved)
	s.step(o, afterMS, func(at time.Time, payment, fact func() schemas.Fact) {
		o.become(schemas.OrderStatusConfirmed, at)
		o.row.Order.TotalMinor, o.row.Ledger.Goods = o.total(), o.total()
		s.paid(o, payment(), schemas.PaymentOperationAuthorize, outcome, "")
		m := &schemas.OrderConfirmed{Fact: fact(), OrderID: o.id, CustomerID: o.customer, Currency: o.currency, TotalMinor: o.total(), PlacedAtMS: o.placed.UnixMilli(), ShipCountry: o.country}
		for i, l := range o.lines {
			m.Lines = append(m.Lines, schemas.PricedLine{Line: int32(i + 1), ProductID: l.product, Quantity: l.quantity, UnitPriceMinor: l.price, TotalMinor: l.quantity * l.price, Allocations: o.allocations(i)})
		}
		s.say(m)
	})
}

// capture what is held.
func (s *shop) capture(o *order, afterMS int64) {
	s.answer(o, afterMS, schemas.PaymentOperationCapture, schemas.PaymentOutcomeCaptured, "")
}

// reject for reasons, with the lines that are refused.
func (s *shop) reject(o *order, afterMS int64, reason schemas.Reason, refused ...schemas.LineReason) {
	s.step(o, afterMS, func(at time.Time, _, fact func() schemas.Fact) {
		o.become(schemas.OrderStatusRejected, at, reason)
		s.say(&schemas.OrderRejected{Fact: fact(), OrderID: o.id, CustomerID: o.customer, Reasons: []schemas.Reason{reason}, Lines: refused, PlacedAtMS: o.placed.UnixMilli(), ShipCountry: o.country})
	})
}

func (s *shop) expire(o *order, afterMS int64) {
	s.step(o, afterMS, func(at time.Time, _, fact func() schemas.Fact) {
		o.become(schemas.OrderStatusExpired, at, schemas.ReasonExpired)
		s.say(&schemas.OrderExpired{Fact: fact(), OrderID: o.id, CustomerID: o.customer, PlacedAtMS: o.placed.UnixMilli(), ShipCountry: o.country})
	})
}

// askCancel begins to undo an order.
func (s *shop) askCancel(o *order, afterMS int64, reason schemas.Reason) {
	s.step(o, afterMS, func(at time.Time, _, fact func() schemas.Fact) {
		before := o.row.Order.Status
		o.become(schemas.OrderStatusCancelling, at, reason)
		s.say(&schemas.OrderCancellationRequested{Fact: fact(), OrderID: o.id, CustomerID: o.customer, Reason: reason, StatusBefore: before, Currency: o.currency,
			TotalMinor: o.row.Order.TotalMinor, PlacedAtMS: o.placed.UnixMilli(), ShipCountry: o.country})
	})
}

// cancelled: what was held is back, and the provider has answered, if it was asked.
func (s *shop) cancelled(o *order, afterMS int64, operation schemas.PaymentOperation, outcome schemas.PaymentOutcome) {
	if o.row.Order.TotalMinor > 0 {
		s.hold(o, afterMS-1, schemas.MovementReleased)
	}
	s.step(o, afterMS, func(at time.Time, payment, fact func() schemas.Fact) {
		if outcome != "" {
			s.paid(o, payment(), operation, outcome, "")
		}
		o.become(schemas.OrderStatusCancelled, at)
		s.say(&schemas.OrderCancelled{Fact: fact(), OrderID: o.id, CustomerID: o.customer, Reason: o.row.Order.Reasons[0], PlacedAtMS: o.placed.UnixMilli(), ShipCountry: o.country})
	})
}

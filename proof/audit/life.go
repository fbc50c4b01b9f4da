package audit

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"oms/schemas"
)

// trail is the last fact of a key on a topic.
type trail struct {
	sequence int64
	last     stamp
}

// next books a fact (I7).
func (t *trail) next(l *Law, at Place, key string, f *schemas.Fact) {
	l.Demand(f.Sequence == t.sequence+1, at, "sequence %d of %q follows %d", f.Sequence, key, t.sequence)
	now := stamp{f.Version, f.Ordinal}
	l.Demand(f.Version > t.last.version || f.Version == t.last.version && f.Ordinal > t.last.ordinal || t.sequence == 0, at, "fact %v of %q follows %v", now, key, t.last)
	t.sequence, t.last = max(t.sequence, f.Sequence), now
}

// fact books the head of a fact.
func (a *Auditor) fact(at Place, m schemas.Message, f *schemas.Fact) {
	key := m.Key()
	switch m.(type) {
	case *schemas.OrderCreated, *schemas.OrderConfirmed, *schemas.OrderRejected, *schemas.OrderExpired, *schemas.OrderCancellationRequested, *schemas.OrderCancelled:
		o := a.order(key)
		o.events.next(&a.complete, at, key, f)
		a.own(o, at, key, f.Tenant)
		a.stamp(o, at, key, f)
	case *schemas.PaymentProcessed:
		o := a.order(key)
		o.payments.next(&a.complete, at, key, f)
		a.own(o, at, key, f.Tenant)
		a.stamp(o, at, key, f)
	default:
		k := factKey{at.topic, a.one(key)}
		t := a.facts[k]
		if t == nil {
			t = &trail{}
			a.facts[k] = t
		}
		t.next(&a.complete, at, key, f)
	}
}

// stamp demands that no two facts of an order, on whatever topic, have the same place in its life.
func (a *Auditor) stamp(o *order, at Place, key string, f *schemas.Fact) {
	s := stamp{f.Version, f.Ordinal}
	a.complete.Demand(!slices.Contains(o.stamps, s), at, "two facts of %q are at version %d, ordinal %d", key, s.version, s.ordinal)
	o.stamps = append(o.stamps, s)
}

func (o *order) ask(at Place, ms int64, m *schemas.PlaceOrder) {
	if o.commands = append(o.commands, command{hash(m.CommandID), owner(m.Tenant, m.Principal)}); len(o.commands) == 1 {
		o.placed, o.placedMS, o.placer = at, ms, hash(m.Tenant)
	}
}

// command books a client's command to an order that is there.
func (a *Auditor) command(orderID string, m *schemas.Command) {
	if o := a.orders[orderID]; o != nil && o.placer != 0 && o.placer != hash(m.Tenant) {
		a.foreign[hash(m.CommandID)] = true
	}
}

// own demands that an order stays its shop's (I12).
func (a *Auditor) own(o *order, at Place, key, tenant string) {
	shop := hash(tenant)
	a.owners.Demand(o.shop == 0 || o.shop == shop, at, "%q became one of shop %q", key, tenant)
	o.shop = shop
}

// status of an order, in a byte.
type status uint8

var statuses = []schemas.OrderStatus{"", schemas.OrderStatusPending, schemas.OrderStatusConfirmed, schemas.OrderStatusRejected, schemas.OrderStatusExpired, schemas.OrderStatusCancelling, schemas.OrderStatusCancelled}

// statusOf is "" for one that this auditor does not know, and which it therefore allows nobody.
func statusOf(s schemas.OrderStatus) status { return status(max(0, slices.Index(statuses, s))) }

func (s status) of() schemas.OrderStatus { return statuses[s] }
func (s status) String() string          { return string(s.of()) }

// ways are the moves that an order may make (I8).
var ways = map[schemas.OrderStatus][]schemas.OrderStatus{
	"":                            {schemas.OrderStatusPending},
	schemas.OrderStatusPending:    {schemas.OrderStatusConfirmed, schemas.OrderStatusRejected, schemas.OrderStatusExpired, schemas.OrderStatusCancelling},
	schemas.OrderStatusConfirmed:  {schemas.OrderStatusCancelling},
	schemas.OrderStatusCancelling: {schemas.OrderStatusCancelled},
}

func (a *Auditor) move(o *order, at Place, ms int64, to schemas.OrderStatus) {
	a.legal.Demand(slices.Contains(ways[o.status.of()], to), at, "an order went from %q to %q", o.status, to)
	o.status, o.statusAt, o.statusMS = statusOf(to), at, ms
}

// ended tells whether the order holds neither goods nor money any more, once its undoing is through.
func (o *order) ended() bool {
	switch o.status.of() {
	case schemas.OrderStatusRejected, schemas.OrderStatusExpired, schemas.OrderStatusCancelled:
		return true
	}
	return false
}

func (a *Auditor) confirm(o *order, at Place, m *schemas.OrderConfirmed) {
	a.move(o, at, m.AtMS, schemas.OrderStatusConfirmed)
	o.confirmed, o.total = at, m.TotalMinor
	prices := pricesOf(m.TotalMinor)
	var sum total
	for _, l := range m.Lines {
		sum.add(l.Quantity, l.UnitPriceMinor)
		a.money.Demand(l.Quantity > 0 && l.UnitPriceMinor >= 0 && product64(l.Quantity, l.UnitPriceMinor, l.TotalMinor), at, "line %d: %d × %d is not %d", l.Line, l.Quantity, l.UnitPriceMinor, l.TotalMinor)
		held := int64(0)
		for _, p := range l.Allocations {
			held += p.Quantity
		}
		a.conservation.Demand(held == l.Quantity, at, "line %d of %d units was confirmed with %d held", l.Line, l.Quantity, held)
		prices.line(l.Line, l.ProductID, l.Quantity, l.UnitPriceMinor)
	}
	a.money.Demand(sum.is(m.TotalMinor), at, "the total %d is not the sum of the lines", m.TotalMinor)
	o.prices = prices.Sum64()
}

// prices is a hash of what is fixed at the confirmation.
type prices struct{ xxhash.Digest }

func pricesOf(totalMinor int64) *prices {
	p := &prices{}
	p.Reset()
	p.number(totalMinor)
	return p
}

func (p *prices) number(n int64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	_, _ = p.Write(b[:]) // never fails
}

func (p *prices) line(line int32, product string, quantity, unitPrice int64) {
	p.number(int64(line))
	_, _ = p.WriteString(product) // never fails
	p.number(quantity)
	p.number(unitPrice)
}

// row is what is kept of an order's last row.
type row struct {
	at                             Place
	version                        int64
	sum                            uint64 // hash of its bytes
	status                         status
	events                         int64 // its sequences
	payments                       int64
	awaiting                       int32
	nowMS                          int64 // time of its last step
	held                           []hold
	authorized, captured, refunded int64  // its ledger
	fixed                          uint64 // hash of lines and total in the first row that is CONFIRMED; 0: none was met
}

// orderRow books a row of the orders' table. Of several steps in one transaction the table has the last; a row written again is the same.
func (a *Auditor) orderRow(at Place, raw []byte, m *schemas.OrderRow) {
	o, sum := a.order(m.OrderID), xxhash.Sum64(raw)
	a.own(o, at, m.OrderID, m.Tenant)
	a.forward(at, m.OrderID, o.row.version, o.row.sum, m.Version, sum)
	o.row = row{at: at, version: m.Version, sum: sum, status: statusOf(m.Order.Status), events: m.Sequences.Order, payments: m.Sequences.Payment, awaiting: m.Order.Awaiting, nowMS: m.NowMS, authorized: m.Ledger.Authorized, captured: m.Ledger.Captured, refunded: m.Ledger.Refunded, fixed: o.row.fixed}
	now := pricesOf(m.Order.TotalMinor)
	for i := range m.Order.Lines {
		l := &m.Order.Lines[i]
		a.legal.Demand(l.Reserved+l.Backordered+l.Shipped+l.Cancelled <= l.Quantity && l.Returned <= l.Delivered && l.Delivered <= l.Shipped, at,
			"line %d of %q: the parts of its %d units do not fit", l.Line, m.OrderID, l.Quantity)
		for _, p := range l.Allocations {
			o.row.held = append(o.row.held, hold{product: a.one(schemas.ProductKey(m.Tenant, l.ProductID)), location: a.one(p.LocationID), line: l.Line, quantity: p.Quantity})
		}
		a.priced(at, a.one(schemas.ProductKey(m.Tenant, l.ProductID)), l, m.Order.Currency)
		now.line(l.Line, l.ProductID, l.Quantity, l.UnitPriceMinor)
	}
	if o.row.fixed != 0 {
		a.legal.Demand(now.Sum64() == o.row.fixed, at, "prices, quantities or the total of %q changed after its confirmation", m.OrderID)
	} else if m.Order.Status == schemas.OrderStatusConfirmed {
		o.row.fixed = now.Sum64()
	}
}

// forward demands that a row goes on (I8).
func (a *Auditor) forward(at Place, key string, before int64, sumBefore uint64, now int64, sum uint64) {
	a.legal.Demand(now > before || now == before && sum == sumBefore, at, "the row of %q went from version %d to another of version %d", key, before, now)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

package processors

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"oms/gateways/payment"
	"oms/proof/provider"
	"oms/schemas"
)

var products = []string{"cup", "mug", "tea"}

// market is a world in which chance decides who hears what when, what the provider does, and what it forgets to say.
type market struct {
	*world
	t        *rapid.T
	provider *provider.Provider
	onHand   map[string]int64
	orders   []string
	late     []schemas.Message       // requests that are still on their way to the provider, though it was said that they had no answer
	old      []*schemas.PaymentReply // replies that may come once more
	told     map[string]schemas.OrderStatus
	faults   bool
}

// Whatever the order of replies, cancellations and deadlines, and whatever the provider loses: when all is quiet, an order that is not CONFIRMED holds no unit
// and no cent, one that is holds exactly what it says, and products have reserved exactly what orders hold.
func TestNothingIsHeldForAnOrderThatIsGone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := openMarket(t)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			m.step()
		}
		m.settle()
		m.check()
	})
}

// The same for one order with all the stock it wants, where everything goes wrong with its payment.
func TestNoCentIsHeldForAnOrderThatIsGone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := openMarket(t)
		for _, id := range products {
			m.adjust(id, "main", 100, schemas.AdjustModeSet)
		}
		m.place()
		for at := m.waiting(); len(at) > 0; at = m.waiting() {
			out, _ := m.deliver(at[0])
			m.alive(out)
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			m.hear(rapid.SampledFrom([]int{2, 3, 5, 5, 5, 8, 9}).Draw(t, "what"))
		}
		m.settle()
		m.check()
	})
}

func openMarket(t *rapid.T) *market {
	m := &market{world: newWorld(func(law string) { t.Fatal(law) }), t: t, onHand: map[string]int64{}, told: map[string]schemas.OrderStatus{}, faults: true}
	m.provider = &provider.Provider{Verdict: func(q payment.Request) (schemas.PaymentOutcome, int64) {
		yes := schemas.PaymentOutcomeAuthorized
		if q.Capture == schemas.CapturePolicyAtPlacing {
			yes = rapid.SampledFrom([]schemas.PaymentOutcome{schemas.PaymentOutcomeCaptured, schemas.PaymentOutcomeAuthorized}).Draw(t, "capture")
		}
		less := max(1, q.AmountMinor/2)
		return rapid.SampledFrom([]schemas.PaymentOutcome{yes, yes, yes, schemas.PaymentOutcomeDeclined}).Draw(t, "verdict"), rapid.SampledFrom([]int64{q.AmountMinor, q.AmountMinor, q.AmountMinor, less}).Draw(t, "amount")
	}, Frank: rapid.Bool().Draw(t, "frank")}
	for _, id := range products {
		m.alive(m.take(&schemas.AddProduct{Command: m.head("add " + id), ProductID: id, Name: id, PriceMinor: 100, Currency: "EUR", LowStockThreshold: 3}))
		for _, at := range []string{"main", "north"} {
			m.adjust(id, at, rapid.Int64Range(0, 6).Draw(t, "stock"), schemas.AdjustModeSet)
		}
	}
	return m
}

func (m *market) head(id string) schemas.Command {
	return schemas.Command{CommandID: id, Tenant: schemas.DefaultTenant, Principal: "p"}
}

// alive demands that no message of this market became a dead letter.
func (m *market) alive(out outcome) outcome {
	if out.dead != "" {
		m.t.Fatal(out.dead)
	}
	for _, s := range out.said {
		if f, ok := s.(*schemas.OrderConfirmed); ok {
			m.told[f.OrderID] = schemas.OrderStatusConfirmed
		}
	}
	return out
}

func (m *market) step() { m.hear(rapid.IntRange(0, 12).Draw(m.t, "what")) }

// hear lets one thing happen: 0 and 1 an order, 2 a cancellation, 3 a deadline, 4 a count of stock, 5 to 7 an answer of the provider, 8 an old answer once more,
// 9 a request that arrives late; anything else delivers what a row said.
func (m *market) hear(what int) {
	switch what {
	case 0, 1:
		m.place()
	case 2:
		if len(m.orders) > 0 {
			id := rapid.SampledFrom(m.orders).Draw(m.t, "cancel")
			m.alive(m.take(&schemas.CancelOrder{Command: m.head(fmt.Sprintf("cancel %s %d", id, len(m.ids))), OrderID: id, Reason: schemas.ReasonCancelledByCustomer}))
		}
	case 3:
		if len(m.orders) > 0 {
			if out, ok := m.deadline(rapid.SampledFrom(m.orders).Draw(m.t, "deadline")); ok {
				m.alive(out)
			}
		}
	case 4:
		m.adjust(rapid.SampledFrom(products).Draw(m.t, "product"), "main", rapid.Int64Range(-4, 4).Draw(m.t, "delta"), schemas.AdjustModeDelta)
	case 5, 6, 7:
		m.answer()
	case 8:
		if len(m.old) > 0 {
			m.alive(m.take(rapid.SampledFrom(m.old).Draw(m.t, "again")))
		}
	case 9:
		if len(m.late) > 0 {
			i := rapid.IntRange(0, len(m.late)-1).Draw(m.t, "late")
			m.perform(m.late[i])
			m.late = slices.Delete(m.late, i, i+1)
		}
	default:
		if at := m.waiting(); len(at) > 0 {
			out, _ := m.deliver(rapid.SampledFrom(at).Draw(m.t, "deliver"))
			m.alive(out)
		}
	}
}

func (m *market) place() {
	id := fmt.Sprintf("ord_%d", len(m.orders)+1)
	p := &schemas.PlaceOrder{Command: m.head("place " + id), OrderID: id, Currency: "EUR", FillPolicy: schemas.FillPolicyAllOrNothing,
		Payment: schemas.PaymentIntent{Method: rapid.SampledFrom([]schemas.PaymentMethod{schemas.PaymentMethodCard, schemas.PaymentMethodCard, schemas.PaymentMethodInvoice}).Draw(m.t, "method"),
			Capture: rapid.SampledFrom([]schemas.CapturePolicy{schemas.CapturePolicyLater, schemas.CapturePolicyAtPlacing}).Draw(m.t, "policy")},
		Terms: schemas.OrderTerms{DecisionTimeoutMS: 60_000, CancelTimeoutMS: 60_000, PaymentTimeoutMS: 10_000, PaymentProvider: "sandbox", PaymentTries: 1}}
	for i := range rapid.IntRange(1, 4).Draw(m.t, "lines") {
		p.Lines = append(p.Lines, schemas.OrderLine{Line: int32(i + 1), ProductID: rapid.SampledFrom(append([]string{"none"}, append(products, products...)...)).Draw(m.t, "of"), Quantity: rapid.Int64Range(1, 5).Draw(m.t, "units")})
	}
	m.orders = append(m.orders, id)
	m.alive(m.take(p))
}

func (m *market) adjust(product, at string, n int64, mode schemas.AdjustMode) {
	key := product + " " + at
	out := m.alive(m.take(&schemas.AdjustStock{Command: m.head(fmt.Sprintf("adjust %s %d", key, len(m.ids))), ProductID: product, LocationID: at, Mode: mode, Quantity: n}))
	if mode == schemas.AdjustModeDelta {
		n += m.onHand[key]
	}
	reserved := int64(0)
	for _, l := range m.product(product).Levels {
		if l.LocationID == at {
			reserved = l.Reserved
		}
	}
	if out.changed != (n >= reserved) {
		m.t.Fatalf("%s set to %d with %d reserved: accepted is %v", key, n, reserved, out.changed)
	}
	if out.changed {
		m.onHand[key] = n
	}
}

// answer lets the provider meet the oldest request of some order, and lose it, or its answer, as chance will.
func (m *market) answer() {
	var asked []string
	for _, id := range m.orders {
		if len(m.requests[id]) > 0 {
			asked = append(asked, id)
		}
	}
	if len(asked) == 0 {
		return
	}
	id := rapid.SampledFrom(asked).Draw(m.t, "answer")
	request := m.requests[id][0]
	m.requests[id] = m.requests[id][1:]
	fate := 0
	if m.faults {
		fate = rapid.IntRange(0, 8).Draw(m.t, "fate")
	}
	var reply *schemas.PaymentReply
	switch fate {
	case 1:
		m.perform(request)
		reply = m.reply(request, schemas.PaymentOutcomeUnknown, 0)
	case 2:
		m.late = append(m.late, request)
		reply = m.reply(request, schemas.PaymentOutcomeUnknown, 0)
	case 3:
		reply = m.reply(request, schemas.PaymentOutcomeUnavailable, 0)
	case 4: // it is done, and told with an amount that cannot be
		said := *m.perform(request)
		said.AmountMinor = rapid.SampledFrom([]int64{0, said.AmountMinor + 1_000_000}).Draw(m.t, "lie")
		reply = &said
	default:
		reply = m.perform(request)
	}
	m.old = append(m.old, reply)
	m.alive(m.take(reply))
}

// perform lets the provider meet a request, and answers what the gateway would say.
func (m *market) perform(request schemas.Message) *schemas.PaymentReply {
	r, err := payment.RequestOf(request)
	if err != nil {
		m.t.Fatal(err)
	}
	a, err := payment.Ask(context.Background(), m.provider, r)
	if err != nil {
		a = payment.Answer{Outcome: schemas.PaymentOutcomeRefused, Reason: err.Error()}
	}
	return r.Reply(a)
}

// settle lets the dust fall: everything is delivered, answered and awaited, without further faults.
func (m *market) settle() {
	m.faults = false
	for range 10_000 {
		if at := m.waiting(); len(at) > 0 {
			out, _ := m.deliver(at[0])
			m.alive(out)
			continue
		}
		quiet := true
		for _, id := range m.orders {
			if len(m.requests[id]) > 0 {
				m.answer()
				quiet = false
				break
			}
		}
		for i := 0; quiet && i < len(m.orders); i++ {
			if out, ok := m.deadline(m.orders[i]); ok {
				m.alive(out)
				quiet = false
			}
		}
		if quiet {
			break
		}
	}
	for _, request := range m.late {
		m.perform(request)
	}
}

func (m *market) check() {
	reserved := map[string]int64{}
	for _, id := range m.orders {
		row := m.order(id)
		units := int64(0)
		for _, l := range row.Order.Lines {
			units += l.Reserved
			for _, a := range l.Allocations {
				reserved[l.ProductID+" "+a.LocationID] += a.Quantity
			}
		}
		held, taken, _ := m.provider.Charge("pay_" + id[len("ord_"):] + ".1.AUTHORIZE.1")
		money := held + taken
		want := row.Order.TotalMinor
		if row.Order.Payment.Method == schemas.PaymentMethodInvoice || row.Order.Status != schemas.OrderStatusConfirmed {
			want = 0
		}
		confirmed := row.Order.Status == schemas.OrderStatusConfirmed
		if terminal := confirmed || row.Order.Status == schemas.OrderStatusRejected || row.Order.Status == schemas.OrderStatusExpired || row.Order.Status == schemas.OrderStatusCancelled; !terminal {
			m.t.Fatalf("%s is still %s", id, row.Order.Status)
		}
		if confirmed != (units > 0) || money != want || row.Order.Awaiting != 0 || row.DeadlineMS != 0 {
			m.t.Fatalf("%s is %s with %d units and %d of money, want %d; awaits %d, deadline %d; ledger %+v", id, row.Order.Status, units, money, want, row.Order.Awaiting, row.DeadlineMS, row.Ledger)
		}
		if confirmed && m.told[id] != schemas.OrderStatusConfirmed {
			m.t.Fatalf("%s is confirmed and nobody was told", id)
		}
	}
	for _, id := range products {
		for _, l := range m.product(id).Levels {
			key := id + " " + l.LocationID
			if l.Reserved != reserved[key] || l.OnHand != m.onHand[key] {
				m.t.Fatalf("%s: %d reserved and %d on hand, want %d and %d", key, l.Reserved, l.OnHand, reserved[key], m.onHand[key])
			}
		}
	}
}

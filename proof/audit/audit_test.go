package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"oms/internal/kafka"
	"oms/processors"
	"oms/schemas"
	"oms/topics"
)

// world is a small shop without Kafka: the machines, a provider, and everything said, as records.
type world struct {
	t        *testing.T
	log      []*kafka.Record
	orders   map[string]*schemas.OrderRow
	products map[string]*schemas.ProductRow
	ledger   []string
	client   []string
	untaken  string // inbox of which the last record was not taken
	nowMS    int64
}

// startMS is long before the audit: nothing is under way any more.
var startMS = time.Now().Add(-time.Hour).UnixMilli()

func newWorld(t *testing.T) *world {
	return &world{t: t, orders: map[string]*schemas.OrderRow{}, products: map[string]*schemas.ProductRow{}, nowMS: startMS}
}

func record(t *testing.T, topic, key string, m schemas.Message, ms int64) *kafka.Record {
	t.Helper()
	b, err := schemas.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return &kafka.Record{Topic: topic, Key: []byte(key), Value: b, Timestamp: time.UnixMilli(ms)}
}

// say writes a message to the log and carries it to whom it is for.
func (w *world) say(m schemas.Message) {
	w.nowMS++
	topic := topics.Of(m)
	w.log = append(w.log, record(w.t, topic.Name, m.Key(), m, w.nowMS))
	in := schemas.Input{Message: m, NowMS: w.nowMS}
	switch topic {
	case topics.OrderCommands:
		row := w.orders[m.Key()]
		if row == nil {
			row = &schemas.OrderRow{}
			w.orders[m.Key()] = row
		}
		w.step(row, row.Version, func() []schemas.Message { return processors.StepOrders(row, in) })
	case topics.ProductCommands:
		row := w.products[m.Key()]
		if row == nil {
			row = &schemas.ProductRow{}
			w.products[m.Key()] = row
		}
		w.step(row, row.Version, func() []schemas.Message { return processors.StepProducts(row, in) })
	case topics.PaymentRequests:
		w.pay(m)
	}
}

func (w *world) step(row processors.Row, before int64, step func() []schemas.Message) {
	said := step()
	if row.RowHead().Version != before {
		w.log = append(w.log, record(w.t, topics.Of(row).Name, row.Key(), row, w.nowMS))
	}
	for _, m := range said {
		w.say(m)
	}
}

// pay is the provider: it declines the token "no", and else does what it is asked.
func (w *world) pay(m schemas.Message) {
	r := &schemas.PaymentReply{}
	var currency string
	operation := ""
	switch m := m.(type) {
	case *schemas.AuthorizePayment:
		*r = schemas.PaymentReply{OrderID: m.OrderID, PaymentID: m.PaymentID, RequestID: m.RequestID, AmountMinor: m.AmountMinor, Operation: schemas.PaymentOperationAuthorize, Outcome: schemas.PaymentOutcomeAuthorized}
		if currency, operation = m.Currency, "AUTHORIZE"; m.Token == "no" {
			r.Outcome, operation = schemas.PaymentOutcomeDeclined, "DECLINE"
		}
	case *schemas.CapturePayment:
		*r = schemas.PaymentReply{OrderID: m.OrderID, PaymentID: m.PaymentID, RequestID: m.RequestID, AmountMinor: m.AmountMinor, Operation: schemas.PaymentOperationCapture, Outcome: schemas.PaymentOutcomeCaptured}
		currency, operation = m.Currency, "CAPTURE"
	case *schemas.VoidPayment:
		*r = schemas.PaymentReply{OrderID: m.OrderID, PaymentID: m.PaymentID, RequestID: m.RequestID, AmountMinor: m.AmountMinor, Operation: schemas.PaymentOperationVoid, Outcome: schemas.PaymentOutcomeVoided}
		currency, operation = m.Currency, "VOID"
	case *schemas.RefundPayment:
		*r = schemas.PaymentReply{OrderID: m.OrderID, PaymentID: m.PaymentID, RequestID: m.RequestID, AmountMinor: m.AmountMinor, Operation: schemas.PaymentOperationRefund, Outcome: schemas.PaymentOutcomeRefunded}
		currency, operation = m.Currency, "REFUND"
	default:
		w.t.Fatalf("the provider does not know %T", m)
	}
	r.ID = r.RequestID + ".reply.1"
	w.ledger = append(w.ledger, fmt.Sprintf(`{"seq":%d,"at":%q,"request_id":%q,"order_id":%q,"operation":%q,"amount_minor":%d,"currency":%q}`,
		len(w.ledger)+1, time.UnixMilli(w.nowMS).UTC().Format(time.RFC3339Nano), r.RequestID, r.OrderID, operation, r.AmountMinor, currency))
	w.say(r)
}

func (w *world) place(id, token string, capture schemas.CapturePolicy, lines ...schemas.OrderLine) {
	for i := range lines {
		lines[i].Line = int32(i + 1)
	}
	w.say(&schemas.PlaceOrder{Command: schemas.Command{CommandID: "cmd_" + id, Tenant: schemas.DefaultTenant}, OrderID: id, Fingerprint: []byte(id), Currency: "EUR", Lines: lines,
		Payment: schemas.PaymentIntent{Method: schemas.PaymentMethodCard, Token: token, Capture: capture}, FillPolicy: schemas.FillPolicyAllOrNothing,
		Terms: schemas.OrderTerms{DecisionTimeoutMS: 1000, CancelTimeoutMS: 1000, PaymentTimeoutMS: 1000, PaymentTries: 1, PaymentProvider: "sandbox"}})
	row := w.orders[id]
	told, _ := json.Marshal(told{Key: "key-" + id, Asked: "place", Request: "r-" + id, HTTP: 201, OrderID: id, PlacedAt: "then", Lines: "l-" + id, Status: string(row.Order.Status)})
	w.client = append(w.client, string(told))
}

// play is a day of the shop in which everything happens once.
func play(t *testing.T) *world {
	w := newWorld(t)
	for _, p := range []string{"tea", "pot"} {
		head := schemas.Command{CommandID: "cmd_add_" + p, Tenant: schemas.DefaultTenant}
		w.say(&schemas.AddProduct{Command: head, ProductID: p, Name: p, PriceMinor: 450, Currency: "EUR"})
		head.CommandID = "cmd_stock_" + p
		w.say(&schemas.AdjustStock{Command: head, ProductID: p, Mode: schemas.AdjustModeSet, LocationID: "main", Quantity: 10})
	}
	line := func(p string, n int64) schemas.OrderLine { return schemas.OrderLine{ProductID: p, Quantity: n} }
	w.place("ord_held", "yes", schemas.CapturePolicyLater, line("tea", 2), line("pot", 1))
	w.place("ord_taken", "yes", schemas.CapturePolicyAtPlacing, line("tea", 1))
	w.place("ord_voided", "yes", schemas.CapturePolicyLater, line("tea", 3))
	w.place("ord_refunded", "yes", schemas.CapturePolicyAtPlacing, line("pot", 2))
	w.place("ord_sold_out", "yes", schemas.CapturePolicyLater, line("tea", 1), line("pot", 100))
	w.place("ord_declined", "no", schemas.CapturePolicyLater, line("tea", 1))
	for _, id := range []string{"ord_voided", "ord_refunded"} {
		w.say(&schemas.CancelOrder{Command: schemas.Command{CommandID: "cmd_cancel_" + id, Tenant: schemas.DefaultTenant}, OrderID: id, Fingerprint: []byte("c"), Reason: schemas.ReasonCancelledByCustomer})
	}
	for id, want := range map[string]schemas.OrderStatus{"ord_held": "CONFIRMED", "ord_taken": "CONFIRMED", "ord_voided": "CANCELLED", "ord_refunded": "CANCELLED", "ord_sold_out": "REJECTED", "ord_declined": "REJECTED"} {
		if got := w.orders[id].Order.Status; got != want {
			t.Fatalf("%s is %s, want %s: the stories below would mean nothing", id, got, want)
		}
	}
	return w
}

// audit takes the log as a still system, and the two files.
func (w *world) audit() Report {
	w.t.Helper()
	return w.books().Report(time.Now(), true)
}

func (w *world) books() *Auditor {
	w.t.Helper()
	return w.booksWith(func(_ int, a *Auditor) *Auditor { return a })
}

// booksWith keeps the books with whoever before names before each record.
func (w *world) booksWith(before func(n int, a *Auditor) *Auditor) *Auditor {
	w.t.Helper()
	a := New()
	next := map[string]int64{}
	for n, r := range w.log {
		a = before(n, a)
		r.Offset = next[r.Topic]
		next[r.Topic]++
		if err := a.Take(r); err != nil {
			w.t.Fatal(err)
		}
	}
	taken := kafka.Offsets{}
	for topic, end := range next {
		taken[topic] = map[int32]int64{0: end}
	}
	if w.untaken != "" {
		taken[w.untaken][0]--
	}
	a.Taken(taken)
	text := func(lines []string) io.Reader { return strings.NewReader(strings.Join(lines, "\n") + "\n") }
	if err := errors.Join(a.Ledger(text(w.ledger)), a.Client(text(w.client))); err != nil {
		w.t.Fatal(err)
	}
	return a
}

func TestADayInOrderBreaksNoLaw(t *testing.T) {
	r := play(t).audit()
	for _, l := range r.Laws {
		if l.Violations > 0 || l.Checked == 0 || l.Partly != (l.ID == "I12") || l.UnderWay > 0 {
			t.Errorf("%s: %+v", l.ID, *l)
		}
	}
	if r.State != "at rest" || r.Violations != 0 || r.Dead != 0 {
		t.Errorf("%+v", r)
	}
}

// find answers the index of the n-th record (from 0) that holds a T which fits.
func find[T schemas.Message](w *world, n int, fits func(T) bool) (int, T) {
	w.t.Helper()
	for i, r := range w.log {
		if m, ok := schemas.Decode(r.Value).(T); ok && fits(m) {
			if n == 0 {
				return i, m
			}
			n--
		}
	}
	var none T
	w.t.Fatalf("the day has no such %T", none)
	return 0, none
}

func of[T schemas.Message](key string) func(T) bool { return func(m T) bool { return m.Key() == key } }

// edit changes a message where it stands; drop takes it out; double says it again, right behind.
func edit[T schemas.Message](w *world, n int, fits func(T) bool, change func(T)) {
	i, m := find(w, n, fits)
	change(m)
	w.log[i] = record(w.t, w.log[i].Topic, m.Key(), m, w.log[i].Timestamp.UnixMilli())
}

func drop[T schemas.Message](w *world, n int, fits func(T) bool) {
	i, _ := find(w, n, fits)
	w.log = slices.Delete(w.log, i, i+1)
}

func double[T schemas.Message](w *world, n int, fits func(T) bool) {
	i, _ := find(w, n, fits)
	again := *w.log[i]
	w.log = slices.Insert(w.log, i+1, &again)
}

func (w *world) inventory(product, orderID string, m schemas.Movement) func(*schemas.InventoryUpdated) bool {
	return func(f *schemas.InventoryUpdated) bool {
		return f.ProductID == product && f.OrderID == orderID && f.Movement == m
	}
}

type (
	created   = *schemas.OrderCreated
	confirmed = *schemas.OrderConfirmed
	rejected  = *schemas.OrderRejected
	cancelled = *schemas.OrderCancelled
	processed = *schemas.PaymentProcessed
	inventory = *schemas.InventoryUpdated
	orderRow  = *schemas.OrderRow
	stockRow  = *schemas.ProductRow
)

// An auditor that cannot fail proves nothing: each of these lies must be found out, by the law that it breaks.
func TestEachLieIsFoundOut(t *testing.T) {
	for name, c := range map[string]struct {
		law string
		lie func(w *world)
	}{
		"a movement that does not add up": {"I1", func(w *world) {
			edit(w, 0, w.inventory("tea", "ord_taken", "RESERVED"), func(f inventory) { f.Levels[0].OnHand++ })
		}},
		"a level that is not told": {"I1", func(w *world) {
			edit(w, 0, w.inventory("tea", "ord_taken", "RESERVED"), func(f inventory) { f.Levels = nil })
		}},
		"a product's row that differs from its movements": {"I1", func(w *world) {
			edit(w, 0, func(r stockRow) bool { return r.ProductID == "pot" && r.Version == w.products["pot"].Version }, func(r stockRow) { r.Levels[0].OnHand-- })
		}},
		"a confirmation that holds fewer units than it sells": {"I1", func(w *world) {
			edit(w, 0, of[confirmed]("ord_held"), func(m confirmed) { m.Lines[0].Allocations[0].Quantity-- })
		}},
		"an order that forgot what it holds": {"I1", func(w *world) {
			edit(w, 0, func(r orderRow) bool { return r.OrderID == "ord_taken" && r.Version == w.orders["ord_taken"].Version }, func(r orderRow) { r.Order.Lines[0].Allocations = nil })
		}},
		"more reserved than is there": {"I2", func(w *world) {
			edit(w, 0, w.inventory("tea", "ord_held", "RESERVED"), func(f inventory) { f.Levels[0].Reserved = 11 })
		}},
		"a reservation that is never released": {"I3", func(w *world) { drop(w, 0, w.inventory("tea", "ord_declined", "RELEASED")) }},
		"a reservation that ends twice":        {"I3", func(w *world) { double(w, 0, w.inventory("tea", "ord_voided", "RELEASED")) }},
		"a reservation that is made twice":     {"I3", func(w *world) { double(w, 0, w.inventory("tea", "ord_taken", "RESERVED")) }},
		"a reservation that ends in part": {"I3", func(w *world) {
			edit(w, 0, w.inventory("tea", "ord_voided", "RELEASED"), func(f inventory) { f.Entries[0].Quantity-- })
		}},
		"a reservation for an order that nobody created": {"I3", func(w *world) {
			edit(w, 0, w.inventory("tea", "ord_taken", "RESERVED"), func(f inventory) { f.OrderID = "ord_ghost" })
		}},
		"a charge that no fact tells":     {"I4", func(w *world) { drop(w, 0, of[processed]("ord_held")) }},
		"a charge that only a fact tells": {"I4", func(w *world) { w.ledger = w.ledger[1:] }},
		"a charge done twice":             {"I4", func(w *world) { w.ledger = append(w.ledger, w.ledger[0]) }},
		"a charge of another amount": {"I4", func(w *world) {
			w.ledger[0] = strings.Replace(w.ledger[0], `"amount_minor":1350`, `"amount_minor":1351`, 1)
		}},
		"a charge in another currency":            {"I4", func(w *world) { w.ledger[0] = strings.Replace(w.ledger[0], "EUR", "USD", 1) }},
		"a payment fact told twice":               {"I4", func(w *world) { double(w, 0, of[processed]("ord_held")) }},
		"a payment that nobody asked for":         {"I4", func(w *world) { drop(w, 0, of[*schemas.AuthorizePayment]("ord_held")) }},
		"money kept of an order that is refunded": {"I5", func(w *world) { drop(w, 0, func(m processed) bool { return m.Outcome == "REFUNDED" }) }},
		"money held of an order that is gone":     {"I5", func(w *world) { drop(w, 0, func(m processed) bool { return m.Outcome == "VOIDED" }) }},
		"more given back than was taken": {"I5", func(w *world) {
			edit(w, 0, func(m processed) bool { return m.Outcome == "REFUNDED" }, func(m processed) { m.AmountMinor++ })
		}},
		"an order that was accepted and is not there": {"I6", func(w *world) { drop(w, 0, of[created]("ord_taken")) }},
		"an order that is never decided": {"I6", func(w *world) {
			drop(w, 0, of[confirmed]("ord_taken"))
		}},
		"an order that nobody placed": {"I6", func(w *world) { drop(w, 0, of[*schemas.PlaceOrder]("ord_taken")) }},
		"an order that a client was told of and that is not there": {"I6", func(w *world) {
			w.client = append(w.client, `{"key":"k","asked":"place","http":202,"order_id":"ord_lost"}`)
		}},
		"an order that is not what a client was told": {"I6", func(w *world) {
			w.client = append(w.client, `{"key":"key-ord_declined","asked":"get","http":200,"order_id":"ord_declined","status":"CONFIRMED"}`)
		}},
		"a command that became a dead letter": {"I6", func(w *world) { w.bury("oms.order.commands", 3, w.log[len(w.log)-1].Value) }},
		"a fact that is lost":                 {"I7", func(w *world) { drop(w, 0, of[rejected]("ord_sold_out")) }},
		"the last fact of a product lost":     {"I7", func(w *world) { drop(w, 0, w.inventory("pot", "ord_refunded", "RELEASED")) }},
		"a fact that is doubled":              {"I7", func(w *world) { double(w, 0, of[cancelled]("ord_voided")) }},
		"a fact about the catalogue doubled":  {"I7", func(w *world) { double(w, 0, of[*schemas.ProductAdded]("tea")) }},
		"two facts in one place": {"I7", func(w *world) {
			edit(w, 0, of[processed]("ord_held"), func(m processed) { m.Version, m.Ordinal = 1, 0 })
		}},
		"a fact that cannot be read": {"I7", func(w *world) {
			i, _ := find(w, 0, of[rejected]("ord_sold_out"))
			w.log[i].Value = w.log[i].Value[:7]
		}},
		"a fact under another key": {"I7", func(w *world) {
			i, _ := find(w, 0, of[rejected]("ord_sold_out"))
			w.log[i].Key = []byte("ord_other")
		}},
		"garbage without a dead letter": {"I7", func(w *world) {
			w.log = append(w.log, &kafka.Record{Topic: "oms.order.commands", Key: []byte("x"), Value: []byte("garbage"), Timestamp: time.UnixMilli(startMS)})
		}},
		"a dead letter of nowhere": {"I7", func(w *world) {
			w.log = append(w.log, &kafka.Record{Topic: "oms.order.dlq", Value: []byte("garbage"), Timestamp: time.UnixMilli(startMS)})
		}},
		"a move that no order may make": {"I8", func(w *world) { drop(w, 0, of[*schemas.OrderCancellationRequested]("ord_voided")) }},
		"a row that goes back": {"I8", func(w *world) {
			i, _ := find(w, 0, of[orderRow]("ord_held"))
			again := *w.log[i]
			w.log = append(w.log, &again)
		}},
		"another row of the same version": {"I8", func(w *world) {
			double(w, 0, func(r orderRow) bool { return r.OrderID == "ord_held" && r.Version == 2 })
			edit(w, 1, func(r orderRow) bool { return r.OrderID == "ord_held" && r.Version == 2 }, func(r orderRow) { r.Order.ClientReference = "other" })
		}},
		"a price that changed after the confirmation": {"I8", func(w *world) {
			edit(w, 0, func(r orderRow) bool { return r.OrderID == "ord_voided" && r.Order.Status == "CANCELLED" }, func(r orderRow) { r.Order.Lines[0].UnitPriceMinor++ })
		}},
		"a price in the row that is not the confirmed one": {"I8", func(w *world) {
			edit(w, 0, of[confirmed]("ord_held"), func(m confirmed) { m.Lines[0].UnitPriceMinor++ })
		}},
		"a row that is not what its facts say": {"I8", func(w *world) {
			edit(w, 0, func(r orderRow) bool { return r.OrderID == "ord_held" && r.Version == w.orders["ord_held"].Version }, func(r orderRow) { r.Order.Status = "REJECTED" })
		}},
		"a line that does not multiply": {"I10", func(w *world) { edit(w, 0, of[confirmed]("ord_held"), func(m confirmed) { m.Lines[0].TotalMinor++ }) }},
		"a total that does not add up":  {"I10", func(w *world) { edit(w, 0, of[confirmed]("ord_held"), func(m confirmed) { m.TotalMinor-- }) }},
		"a line that overflows": {"I10", func(w *world) {
			edit(w, 0, of[confirmed]("ord_held"), func(m confirmed) { m.Lines[0].Quantity = 1 << 62 })
		}},
		"a confirmation that is not paid": {"I10", func(w *world) { drop(w, 0, of[processed]("ord_held")) }},
		"a ledger that differs from facts": {"I10", func(w *world) {
			edit(w, 0, func(r orderRow) bool { return r.OrderID == "ord_taken" && r.Version == w.orders["ord_taken"].Version }, func(r orderRow) { r.Ledger.Captured++ })
		}},
		"a price that is not the catalogue's": {"I10", func(w *world) {
			edit(w, 0, of[*schemas.ProductAdded]("tea"), func(m *schemas.ProductAdded) { m.PriceMinor++ })
		}},
		"a price that only one order has": {"I10", func(w *world) {
			edit(w, 0, func(r orderRow) bool { return r.OrderID == "ord_held" && r.Order.Lines[0].Status == "RESERVED" }, func(r orderRow) { r.Order.Lines[0].UnitPriceMinor++ })
		}},
		"stock counted twice by one command": {"I11", func(w *world) { double(w, 0, w.inventory("tea", "", "ADJUSTED")) }},
		"an order by a foreign command":      {"I11", func(w *world) { edit(w, 0, of[created]("ord_held"), func(m created) { m.Cause = "cmd_other" }) }},
		"two orders under one key": {"I11", func(w *world) {
			w.client = append(w.client, strings.Replace(w.client[0], "key-ord_held", "key-ord_taken", 1))
		}},
		"another answer to the same key": {"I11", func(w *world) {
			w.client = append(w.client, strings.Replace(w.client[0], `"l-ord_held"`, `"other"`, 1))
		}},
		"another body under the same key, accepted": {"I11", func(w *world) {
			w.client = append(w.client, strings.Replace(w.client[0], `"r-ord_held"`, `"other"`, 1))
		}},
		"the same body under the same key, refused": {"I11", func(w *world) {
			w.client = append(w.client, `{"key":"key-ord_held","asked":"place","request":"r-ord_held","http":422,"code":"KEY_REUSED"}`)
		}},
		"an order of another buyer than who placed it": {"I12", func(w *world) { edit(w, 0, of[created]("ord_held"), func(m created) { m.Principal = "somebody else" }) }},
		"an order of another shop than where it was placed": {"I12", func(w *world) {
			edit(w, 0, of[*schemas.PlaceOrder]("ord_held"), func(m *schemas.PlaceOrder) { m.Tenant = "another" })
		}},
		"an order that changes shops": {"I12", func(w *world) { edit(w, 1, of[orderRow]("ord_held"), func(r orderRow) { r.Tenant = "another" }) }},
		"an order that another shop cancels": {"I12", func(w *world) {
			edit(w, 0, of[*schemas.CancelOrder]("ord_voided"), func(m *schemas.CancelOrder) { m.Tenant = "another" })
		}},
		"a command that no group takes":      {"I13", func(w *world) { w.untaken = topics.OrderCommands.Name }},
		"a request that the gateway ignores": {"I13", func(w *world) { w.untaken = topics.PaymentRequests.Name }},
		"an order whose products do not answer": {"I13", func(w *world) {
			edit(w, 0, func(r orderRow) bool { return r.OrderID == "ord_held" && r.Version == w.orders["ord_held"].Version }, func(r orderRow) { r.Order.Awaiting = 1 })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := play(t)
			c.lie(w)
			r := w.audit()
			broken := []string{}
			for _, l := range r.Laws {
				if l.Violations > 0 {
					broken = append(broken, l.ID)
				}
				if l.ID == c.law && l.First == "" {
					t.Errorf("%s holds, though it was broken", l.ID)
				}
			}
			t.Logf("broken: %v", broken)
		})
	}
}

// bury adds a dead letter of a record.
func (w *world) bury(topic string, offset int64, value []byte) {
	r := &kafka.Record{Topic: "oms.order.dlq", Key: []byte(schemas.Decode(value).Key()), Value: value, Timestamp: time.UnixMilli(startMS)}
	for k, v := range map[string]string{originTopic: topic, originPartition: "0", originOffset: fmt.Sprint(offset), originError: "panic: impossible\nstack"} {
		r.Headers = append(r.Headers, aHeader(k, v))
	}
	w.log = append(w.log, r)
}

func TestGarbageWithItsDeadLetterIsInOrder(t *testing.T) {
	w := play(t)
	n := int64(0)
	for _, r := range w.log {
		if r.Topic == topics.OrderCommands.Name {
			n++
		}
	}
	garbage := []byte("\x00\x00\x00\x00\x01garbage")
	w.log = append(w.log, &kafka.Record{Topic: topics.OrderCommands.Name, Key: []byte("x"), Value: garbage, Timestamp: time.UnixMilli(startMS)})
	w.bury(topics.OrderCommands.Name, n, garbage)
	if r := w.audit(); r.Violations != 0 || r.Dead != 1 || len(r.DeadLetters) != 1 || !strings.Contains(r.DeadLetters[0], fmt.Sprintf("from oms.order.commands/0@%d: not readable: panic: impossible", n)) {
		t.Errorf("%d violations, dead letters %q", r.Violations, r.DeadLetters)
	}
}

func TestWhatIsStillUnderWayIsNoViolation(t *testing.T) {
	startBefore := startMS
	startMS = time.Now().UnixMilli()
	defer func() { startMS = startBefore }()
	w := play(t)
	drop(w, 0, w.inventory("tea", "ord_declined", "RELEASED"))
	drop(w, 0, func(m *schemas.StockReply) bool {
		return m.OrderID == "ord_declined" && m.Results[0].Outcome == "RELEASED"
	})
	edit(w, 0, func(r stockRow) bool { return r.ProductID == "tea" && r.Version == w.products["tea"].Version }, func(r stockRow) { r.Version-- })
	a := New()
	for _, r := range w.log {
		if err := a.Take(r); err != nil {
			t.Fatal(err)
		}
	}
	r := a.Report(time.Now(), false)
	law := map[string]*Law{}
	for _, l := range r.Laws {
		law[l.ID] = l
	}
	if held := law["I3"]; r.State != "live" || held.Violations != 0 || held.UnderWay == 0 {
		t.Errorf("%s, %+v", r.State, held)
	}
	if !law["I4"].Partly || !law["I6"].Partly || !law["I11"].Partly || !law["I13"].Partly {
		t.Error("without the files and the offsets the laws that need them must say so")
	}
}

func TestAReportLeavesTheBooksAsTheyAre(t *testing.T) {
	w := play(t)
	drop(w, 0, of[created]("ord_held"))
	drop(w, 0, of[*schemas.AuthorizePayment]("ord_held"))
	drop(w, 0, of[*schemas.AuthorizePayment]("ord_taken"))
	a := w.books()
	first, second := a.Report(time.Now(), true), a.Report(time.Now(), true)
	for i, l := range first.Laws {
		if again := *second.Laws[i]; again != *l {
			t.Errorf("first %+v, then %+v", *l, again)
		}
	}
	if n, _ := a.Violations(); n == 0 || n >= first.Violations {
		t.Errorf("%d violations by records alone, %d in all: want some, and fewer", n, first.Violations)
	}
}

func TestTheReportNamesTheRecord(t *testing.T) {
	w := play(t)
	drop(w, 0, of[rejected]("ord_sold_out"))
	r := w.audit()
	var text, line strings.Builder
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	if err := r.JSON(&line); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "BROKEN") || !strings.Contains(text.String(), "first: orders-table/0@") {
		t.Errorf("%s", text.String())
	}
	var back struct {
		Laws []struct {
			Law                 string
			Checked, Violations int64
			First               string
		}
		Violations int64
	}
	if err := json.Unmarshal([]byte(line.String()), &back); err != nil || back.Violations == 0 || len(back.Laws) != 12 || strings.Count(line.String(), "\n") != 1 {
		t.Errorf("%v: %s", err, line.String())
	}
}

package processors

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"oms/schemas"
)

func placed(id string, lines int) *schemas.PlaceOrder {
	m := &schemas.PlaceOrder{Command: schemas.Command{CommandID: "place " + id, Tenant: schemas.DefaultTenant, Principal: "p"}, OrderID: id, Fingerprint: []byte("f"), Currency: "EUR",
		FillPolicy: schemas.FillPolicyAllOrNothing, Payment: schemas.PaymentIntent{Method: schemas.PaymentMethodInvoice, Capture: schemas.CapturePolicyLater},
		Terms: schemas.OrderTerms{DecisionTimeoutMS: 60_000, CancelTimeoutMS: 60_000, PaymentTimeoutMS: 10_000, PaymentProvider: "sandbox", PaymentTries: 1}}
	for i := range lines {
		m.Lines = append(m.Lines, schemas.OrderLine{Line: int32(i + 1), ProductID: fmt.Sprintf("p%d", i), Quantity: 1})
	}
	return m
}

func TestWhatNoSenderInOrderSendsIsSetAsideWithAReason(t *testing.T) {
	said := func(id string) schemas.Said { return schemas.Said{ID: id, Tenant: schemas.DefaultTenant} }
	bent := func(bend func(*schemas.PlaceOrder)) *schemas.PlaceOrder {
		m := placed("ord_bad", 2)
		bend(m)
		return m
	}
	minus := int64(-1)
	reply := func(line int32, product string, o schemas.StockOutcome) *schemas.StockReply {
		return &schemas.StockReply{Said: said("r"), OrderID: "ord_1", ProductID: product, Results: []schemas.StockResult{{Line: line, Outcome: o, Reason: schemas.ReasonNone}}}
	}
	for why, m := range map[string]schemas.Message{
		"and 0 lines":             bent(func(m *schemas.PlaceOrder) { m.Lines = nil }),
		"lines[1].line: 3":        bent(func(m *schemas.PlaceOrder) { m.Lines[1].Line = 3 }),
		"lines[0].product_id":     bent(func(m *schemas.PlaceOrder) { m.Lines[0].ProductID = "" }),
		"lines[1].quantity: 0":    bent(func(m *schemas.PlaceOrder) { m.Lines[1].Quantity = 0 }),
		"lines[1].quoted_unit":    bent(func(m *schemas.PlaceOrder) { m.Lines[1].QuotedUnitPriceMinor = &minus }),
		"lines[1].expected_unit":  bent(func(m *schemas.PlaceOrder) { m.Lines[1].ExpectedUnitPriceMinor = &minus }),
		"a timeout of 0 ms":       bent(func(m *schemas.PlaceOrder) { m.Terms.DecisionTimeoutMS = 0 }),
		"want 1 to 31622400000":   bent(func(m *schemas.PlaceOrder) { m.Terms.PaymentTimeoutMS = 1 << 60 }),
		"no answer of a product":  &schemas.StockReply{Said: said("r"), OrderID: "ord_none", ProductID: "p0"},
		"line 3 is not one of":    reply(3, "p0", schemas.StockOutcomeReserved),
		"line 2 is not one of":    reply(2, "p0", schemas.StockOutcomeReserved),
		"was not waiting for REL": reply(1, "p0", schemas.StockOutcomeReleased),
		"outcome BACKORDERED":     reply(1, "p0", schemas.StockOutcomeBackordered),
		"is none of the order's":  &schemas.PaymentReply{Said: said("r"), OrderID: "ord_1", PaymentID: "pay_x", Operation: schemas.PaymentOperationVoid},
		"are not reserved there":  &schemas.ReleaseStock{Said: said("r"), OrderID: "ord_1", ProductID: "p0", Lines: []schemas.ReleaseLine{{Line: 1, Allocations: []schemas.Allocation{{LocationID: "main", Quantity: 1}}}}},
		"quantity 0, want":        &schemas.ReserveStock{Said: said("r"), OrderID: "ord_1", ProductID: "p0", Lines: []schemas.ReserveLine{{Line: 1}}},
		"safety_stock and low":    &schemas.AdjustStock{Command: schemas.Command{CommandID: "c", Tenant: schemas.DefaultTenant}, ProductID: "p0", LocationID: "main", SafetyStock: &minus},
		"price_minor -1":          &schemas.AddProduct{Command: schemas.Command{CommandID: "c", Tenant: schemas.DefaultTenant}, ProductID: "p9", PriceMinor: -1},
		"taken by another":        &schemas.CreateCustomer{Command: schemas.Command{CommandID: "c2", Tenant: schemas.DefaultTenant}, CustomerID: "cus_1", LoginID: "login_2"},
	} {
		w := newWorld(func(law string) { t.Error(law) })
		w.take(&schemas.AddProduct{Command: schemas.Command{CommandID: "add", Tenant: schemas.DefaultTenant}, ProductID: "p0", Currency: "EUR"})
		w.take(&schemas.CreateCustomer{Command: schemas.Command{CommandID: "c1", Tenant: schemas.DefaultTenant}, CustomerID: "cus_1", LoginID: "login_1"})
		w.take(placed("ord_1", 2))
		if out := w.take(m); !strings.Contains(out.dead, why) {
			t.Errorf("%T: want a reason with %q, got %q, said %v", m, why, out.dead, out.said)
		}
	}
}

func TestImpossibleIsAnErrorThatNamesNoContent(t *testing.T) {
	m := placed("ord_1", 0)
	m.ShippingAddress = []byte("Secret Street 1")
	defer func() {
		err, ok := recover().(error)
		var impossible schemas.Impossible
		if !ok || !errors.As(err, &impossible) || strings.Contains(err.Error(), "Secret") || !strings.Contains(err.Error(), "PlaceOrder of ord_1") {
			t.Errorf("got %v", err)
		}
	}()
	StepOrders(&schemas.OrderRow{}, schemas.Input{Message: m})
}

func TestARowRemembersItsLastCommands(t *testing.T) {
	w := newWorld(func(law string) { t.Error(law) })
	w.take(&schemas.AddProduct{Command: schemas.Command{CommandID: "add", Tenant: schemas.DefaultTenant}, ProductID: "tea", Currency: "EUR"})
	adjust := func(n int) outcome {
		return w.take(&schemas.AdjustStock{Command: schemas.Command{CommandID: fmt.Sprint(n), Tenant: schemas.DefaultTenant}, ProductID: "tea", LocationID: "main", Mode: schemas.AdjustModeDelta, Quantity: 1})
	}
	const more = 4
	for n := range remembered + more {
		adjust(n)
	}
	for n := more; n < remembered+more; n++ {
		if out := adjust(n); out.changed {
			t.Errorf("command %d was done twice", n)
		}
	}
	if out := adjust(more - 1); !out.changed || len(w.product("tea").Seen) != remembered {
		t.Errorf("%d commands are remembered, want %d", len(w.product("tea").Seen), remembered)
	}
}

func TestCommandsOfAnotherShopFindNothing(t *testing.T) {
	w := newWorld(func(law string) { t.Error(law) })
	w.take(placed("ord_1", 1))
	out := w.take(&schemas.RequestStatus{Command: schemas.Command{CommandID: "c", Tenant: "other"}, OrderID: "ord_1", Status: "CANCELLED"})
	if r, ok := out.said[0].(*schemas.CommandRefused); !ok || r.Code != schemas.RefusalCodeNotFound || r.Tenant != "other" {
		t.Errorf("got %+v", out.said[0])
	}
}

// An order of 1,200 lines meets up to 1,200 answers: one of them must not cost more for the other 1,199 lines.
func TestAnOrderOfManyLinesIsDecidedOnceAllProductsHaveAnswered(t *testing.T) {
	const lines = 1_200
	row := &schemas.OrderRow{}
	asked := StepOrders(row, schemas.Input{Message: placed("ord_1", lines), NowMS: 1})
	if len(asked) != lines+1 {
		t.Fatalf("said %d messages, want OrderCreated and %d questions", len(asked), lines)
	}
	for i, m := range asked[1:] {
		q := m.(*schemas.ReserveStock)
		said := StepOrders(row, schemas.Input{NowMS: 2, Message: &schemas.StockReply{OrderID: "ord_1", ProductID: q.ProductID, Results: []schemas.StockResult{{Line: q.Lines[0].Line,
			Outcome: schemas.StockOutcomeReserved, Reason: schemas.ReasonNone, UnitPriceMinor: 2, Allocations: []schemas.Allocation{{LocationID: "main", Quantity: 1}}}}}})
		if last := i == lines-1; last != (len(said) == 1) {
			t.Fatalf("answer %d: said %v", i+1, said)
		}
	}
	if row.Order.Status != schemas.OrderStatusConfirmed || row.Order.TotalMinor != 2*lines || row.Version != lines+1 {
		t.Errorf("%s with a total of %d at version %d", row.Order.Status, row.Order.TotalMinor, row.Version)
	}
}

func TestAReplyToAnotherRequestHasNoEffect(t *testing.T) {
	w := newWorld(func(law string) { t.Error(law) })
	m := placed("ord_1", 1)
	m.Payment.Method = schemas.PaymentMethodCard
	w.take(m)
	w.take(&schemas.StockReply{Said: schemas.Said{ID: "r", Tenant: schemas.DefaultTenant}, OrderID: "ord_1", ProductID: "p0", Results: []schemas.StockResult{{Line: 1, Outcome: schemas.StockOutcomeReserved,
		Reason: schemas.ReasonNone, UnitPriceMinor: 5, Allocations: []schemas.Allocation{{LocationID: "main", Quantity: 1}}}}})
	reply := w.reply(w.requests["ord_1"][0], schemas.PaymentOutcomeAuthorized, 5)
	reply.RequestID += "0"
	if out := w.take(reply); out.changed || len(out.said) > 0 || out.dead != "" {
		t.Errorf("changed %v, said %v, %s", out.changed, out.said, out.dead)
	}
}

func TestAStepThatComesToNoEndIsSetAside(t *testing.T) {
	d := delivery{row: &schemas.OrderRow{}}
	for range maxDeliveries + 1 {
		d.post(&schemas.UndoPayments{})
	}
	defer func() {
		if impossible, ok := recover().(schemas.Impossible); !ok || !strings.Contains(impossible.Why, "do not come to an end") {
			t.Errorf("got %v", impossible)
		}
	}()
	d.run()
}

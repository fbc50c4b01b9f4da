package views

import (
	"encoding/json"
	"net/http"
	"testing"

	"oms/schemas"
)

func TestAnOrderIsAnsweredWithItsVersion(t *testing.T) {
	s := openShop(t)
	base := s.serve()
	refused := orderRow("ord_1", 2, 1_700_000_000_123, schemas.OrderStatusRejected)
	refused.Order.Reasons = []schemas.Reason{schemas.ReasonOutOfStock}
	refused.Order.Lines[0].Status, refused.Order.Lines[0].Reason, refused.Order.Lines[0].Available = schemas.LineStatusRejected, schemas.ReasonOutOfStock, 1
	s.say(refused)
	res, body := get(t, base+"/api/orders/ord_1?min_version=2")
	want := map[string]any{
		"order_id": "ord_1", "status": "REJECTED", "version": 2.0, "payment_status": "NONE", "fulfillment_status": "UNFULFILLED", "return_status": "NONE",
		"customer_id": "cus_1", "currency": "EUR", "total_minor": 200.0, "reasons": []any{"OUT_OF_STOCK"}, "placed_at": "2023-11-14T22:13:20.123Z",
		"fill_policy": "ALL_OR_NOTHING", "shipping_address": map[string]any{"city": "Ulm"},
		"lines": []any{map[string]any{"line": 1.0, "product_id": "p", "quantity": 2.0, "unit_price_minor": 100.0, "status": "REJECTED", "reason": "OUT_OF_STOCK", "available": 1.0}},
	}
	if got := parsed(t, body); res.StatusCode != http.StatusOK || !sameJSON(t, got, want) {
		t.Errorf("%d\n got %s\nwant %v", res.StatusCode, body, want)
	}
	etag := res.Header.Get("ETag")
	if etag != `"2"` {
		t.Errorf("ETag is %s", etag)
	}
	if res, body := get(t, base+"/api/orders/ord_1", "If-None-Match", etag); res.StatusCode != http.StatusNotModified || len(body) > 0 {
		t.Errorf("with the version known: %d %s", res.StatusCode, body)
	}
	if res, _ := get(t, base+"/api/orders/ord_1", "If-None-Match", `"1"`); res.StatusCode != http.StatusOK {
		t.Errorf("with an older version known: %d", res.StatusCode)
	}
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return string(x) == string(y)
}

func TestAnErasedSubjectIsNull(t *testing.T) {
	s := openShop(t)
	base := s.serve()
	order := orderRow("ord_1", 1, 1000, schemas.OrderStatusPending)
	order.Order.ShippingAddress = []byte("erased")
	s.say(order,
		&schemas.CustomerRow{Row: schemas.Row{Tenant: shopTenant, Version: 1}, CustomerID: "cus_1", Profile: []byte(`{"email":"a@b.example","name":"Ann"}`), RegisteredAtMS: 1000},
		&schemas.CustomerRow{Row: schemas.Row{Tenant: shopTenant, Version: 1}, CustomerID: "cus_2", Profile: []byte("erased"), RegisteredAtMS: 1000})
	_, body := get(t, base+"/api/orders/ord_1?min_version=1")
	if address, there := parsed(t, body)["shipping_address"]; !there || address != nil {
		t.Errorf("address is %v, %v", address, there)
	}
	_, body = get(t, base+"/api/customers/cus_1?min_version=1")
	if c := parsed(t, body); c["email"] != "a@b.example" || c["name"] != "Ann" || c["phone"] != nil || c["erased"] != false {
		t.Errorf("customer: %s", body)
	}
	_, body = get(t, base+"/api/customers/cus_2?min_version=1")
	if c := parsed(t, body); c["email"] != nil || c["erased"] != true {
		t.Errorf("erased customer: %s", body)
	}
}

func TestDataWhoseKeyIsLostIsNullAndCounted(t *testing.T) {
	s := openShop(t)
	base := s.serve()
	order := orderRow("ord_1", 1, 1000, schemas.OrderStatusPending)
	order.Order.ShippingAddress, order.Order.BillingAddress = []byte("lost"), []byte(`{"city":"Oslo"}`)
	s.say(order, &schemas.CustomerRow{Row: schemas.Row{Tenant: shopTenant, Version: 1}, CustomerID: "cus_1", Profile: []byte("lost"), RegisteredAtMS: 1000})
	for range 2 {
		res, body := get(t, base+"/api/orders/ord_1?min_version=1")
		o := parsed(t, body)
		if address, there := o["shipping_address"]; res.StatusCode != http.StatusOK || !there || address != nil || o["billing_address"] == nil {
			t.Errorf("%d, order: %s", res.StatusCode, body)
		}
	}
	res, body := get(t, base+"/api/customers/cus_1?min_version=1")
	if c := parsed(t, body); res.StatusCode != http.StatusOK || c["email"] != nil || c["erased"] != false {
		t.Errorf("%d, customer: %s", res.StatusCode, body)
	}
	if n := s.metric("views_lost_keys_total"); n != 3 {
		t.Errorf("%v lost keys are counted, want 3", n)
	}
}

func TestWhatBelongsToOthersIsNotThere(t *testing.T) {
	s := openShop(t)
	base := s.serve()
	s.say(orderRow("ord_1", 1, 1000, schemas.OrderStatusPending), productRow("p", 1, 5),
		&schemas.CustomerRow{Row: schemas.Row{Tenant: shopTenant, Version: 1}, CustomerID: "cus_1", Principal: "sub_1", Profile: []byte(`{}`)})
	s.order("ord_1", 1)
	for _, wait := range []func() error{
		func() error { _, err := s.views.Product(soon(t), shopTenant, "p", 1); return err },
		func() error { _, err := s.views.Customer(soon(t), shopTenant, "cus_1", 1); return err },
	} {
		if err := wait(); err != nil {
			t.Fatal(err)
		}
	}
	type asker struct {
		name    string
		headers []string
	}
	staff, placer, buyer := asker{"staff", nil}, asker{"who placed it", []string{"X-Subject", "sub_1"}}, asker{"the customer", []string{"X-Subject", "cus_1"}}
	stranger, foreign := asker{"another customer", []string{"X-Subject", "cus_2"}}, asker{"the staff of another tenant", []string{"X-Tenant", "other"}}
	all := []asker{staff, placer, buyer, stranger, foreign}
	mine := map[string]int{"staff": 200, "who placed it": 200, "the customer": 200, "another customer": 404, "the staff of another tenant": 404}
	for path, want := range map[string]map[string]int{
		"/api/orders/ord_1":           mine,
		"/api/orders/ord_1/timeline":  mine,
		"/api/customers/cus_1":        mine,
		"/api/products/p":             {"staff": 200, "who placed it": 200, "the customer": 200, "another customer": 200, "the staff of another tenant": 404},
		"/api/inventory/p":            {"staff": 200, "who placed it": 200, "the customer": 200, "another customer": 200, "the staff of another tenant": 404},
		"/api/customers/cus_1/orders": {"staff": 200, "who placed it": 404, "the customer": 200, "another customer": 404, "the staff of another tenant": 200},
		"/api/orders?customer=cus_1":  {"staff": 200, "who placed it": 404, "the customer": 200, "another customer": 404, "the staff of another tenant": 200},
	} {
		for _, a := range all {
			if res, body := get(t, base+path, a.headers...); res.StatusCode != want[a.name] {
				t.Errorf("%s for %s: %d, want %d: %s", path, a.name, res.StatusCode, want[a.name], body)
			}
		}
	}
	if res, _ := get(t, base+"/api/orders/ord_1/events", stranger.headers...); res.StatusCode != http.StatusNotFound {
		t.Errorf("the event stream for another customer: %d", res.StatusCode)
	}
	for list, want := range map[*asker]int{&staff: 1, &buyer: 1, &stranger: 0, &foreign: 0} {
		if got := ids(t, base, "/api/orders", nil, list.headers...); len(got) != want {
			t.Errorf("all orders for %s: %v", list.name, got)
		}
	}
}

func TestAVersionThatIsNotReachedIsAnsweredToAllAlike(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits as long as the server does")
	}
	s := openShop(t)
	base := s.serve()
	s.say(orderRow("ord_1", 1, 1000, schemas.OrderStatusPending))
	s.order("ord_1", 1)
	t.Run("", func(t *testing.T) {
		for name, ask := range map[string][]string{
			"a version to come": {"/api/orders/ord_1?min_version=2"},
			"no such order":     {"/api/orders/ord_2?min_version=1"},
			"another's order":   {"/api/orders/ord_1?min_version=1", "X-Subject", "stranger"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if res, body := get(t, base+ask[0], ask[1:]...); res.StatusCode != http.StatusConflict || parsed(t, body)["code"] != codeNotReached {
					t.Errorf("%d %s", res.StatusCode, body)
				}
			})
		}
	})
}

func TestViewsThatCannotAnswerSaySo(t *testing.T) {
	s := openShop(t)
	base := s.serve()
	s.views.Stopping()
	for path, before := range map[string]func(){"/api/orders/ord_1?min_version=1": func() {}, "/api/products": func() { s.views.ready.Store(false) }} {
		before()
		if res, body := get(t, base+path); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
		s.views.ready.Store(true)
	}
}

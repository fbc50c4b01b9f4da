package ingest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"oms/internal/web"
	"oms/schemas"
)

// with replaces one piece of the good order.
func with(old, new string) string {
	if !strings.Contains(goodOrder, old) {
		panic(old)
	}
	return strings.Replace(goodOrder, old, new, 1)
}

func lines(n int) string {
	one := `{"product_id":"tea","quantity":2}`
	return with("["+one+"]", "["+strings.TrimSuffix(strings.Repeat(one+",", n), ",")+"]")
}

func field(name, value string) string { return with(`"currency"`, `"`+name+`":`+value+`,"currency"`) }

const (
	ordersPath = "POST /api/orders"
	cardText   = "4111 1111-1111 1111"
)

func TestBadInputIsRefusedWithItsPointerAndNothingIsWritten(t *testing.T) {
	w := newWorld(t, staff)
	for _, tt := range []struct {
		name, where, body string
		status            int
		code, pointer     string
	}{
		{"nothing", ordersPath, "", 400, "MALFORMED_JSON", ""},
		{"no JSON", ordersPath, "hello", 400, "MALFORMED_JSON", ""},
		{"a cut body", ordersPath, goodOrder[:40], 400, "MALFORMED_JSON", "*"},
		{"something behind the end", ordersPath, goodOrder + "{}", 400, "MALFORMED_JSON", ""},
		{"text that is no UTF-8", ordersPath, field("client_reference", "\"\xff\""), 400, "MALFORMED_JSON", "/client_reference"},
		{"another type", ordersPath, `[]`, 422, "WRONG_TYPE", ""},
		{"null", ordersPath, `null`, 422, "WRONG_TYPE", ""},
		{"null in a field", ordersPath, field("customer_id", "null"), 422, "WRONG_TYPE", "/customer_id"},
		{"a field twice", ordersPath, field("currency", `"USD"`), 400, "DUPLICATE_NAME", "/currency"},
		{"a field twice, one escaped", ordersPath, with(`"currency"`, `"\u0063urrency":"EUR","currency"`), 400, "DUPLICATE_NAME", "/currency"},
		{"an unknown field", ordersPath, field("total", "5"), 422, "UNKNOWN_NAME", "/total"},
		{"an unknown field deep down", ordersPath, with(`"quantity":2`, `"quantity":2,"price":1`), 422, "UNKNOWN_NAME", "/lines/0/price"},
		{"another letter case", ordersPath, with(`"currency"`, `"Currency"`), 422, "UNKNOWN_NAME", "/Currency"},
		{"float money", ordersPath, with(`"quantity":2`, `"quantity":2,"quoted_unit_price":1.5`), 422, "WRONG_TYPE", "/lines/0/quoted_unit_price"},
		{"money with an exponent", ordersPath, with(`"quantity":2`, `"quantity":2,"quoted_unit_price":1e3`), 422, "WRONG_TYPE", "/lines/0/quoted_unit_price"},
		{"money as text", ordersPath, with(`"quantity":2`, `"quantity":2,"quoted_unit_price":"100"`), 422, "WRONG_TYPE", "/lines/0/quoted_unit_price"},
		{"money of another currency", ordersPath, with(`"quantity":2`, `"quantity":2,"quoted_unit_price":{"amount_minor":1,"currency":"USD"}`), 422, "INVALID", "/lines/0/quoted_unit_price/currency"},
		{"float money in an object", ordersPath, field("expected_total", `{"amount_minor":1.0,"currency":"EUR"}`), 422, "WRONG_TYPE", "/expected_total/amount_minor"},
		{"negative money", ordersPath, with(`"quantity":2`, `"quantity":2,"expected_unit_price":-1`), 422, "INVALID", "/lines/0/expected_unit_price"},
		{"a negative quantity", ordersPath, with(`"quantity":2`, `"quantity":-2`), 422, "INVALID", "/lines/0/quantity"},
		{"no quantity", ordersPath, with(`,"quantity":2`, ``), 422, "INVALID", "/lines/0/quantity"},
		{"half a unit", ordersPath, with(`"quantity":2`, `"quantity":0.5`), 422, "WRONG_TYPE", "/lines/0/quantity"},
		{"a quantity that overflows", ordersPath, with(`"quantity":2`, `"quantity":9223372036854775808`), 422, "WRONG_TYPE", "/lines/0/quantity"},
		{"no lines", ordersPath, lines(0), 422, "INVALID", "/lines"},
		{"1,201 lines", ordersPath, lines(1201), 422, "INVALID", "/lines"},
		{"a product id with a slash", ordersPath, with(`"tea"`, `"te/a"`), 422, "INVALID", "/lines/0/product_id"},
		{"a product id with a space behind", ordersPath, with(`"tea"`, `"tea "`), 422, "INVALID", "/lines/0/product_id"},
		{"a product id of 65 characters", ordersPath, with(`"tea"`, `"`+strings.Repeat("é", 65)+`"`), 422, "INVALID", "/lines/0/product_id"},
		{"an unknown currency", ordersPath, with(`"EUR"`, `"EUX"`), 422, "UNKNOWN_CURRENCY", "/currency"},
		{"a currency in small letters", ordersPath, with(`"EUR"`, `"eur"`), 422, "UNKNOWN_CURRENCY", "/currency"},
		{"no address", ordersPath, with(`"shipping_address":{"name":"A. Buyer","city":"Graz"},`, ``), 422, "REQUIRED", "/shipping_address"},
		{"an unknown way to pay", ordersPath, with(`"CARD"`, `"GOLD"`), 422, "INVALID", "/payment/method"},
		{"no token", ordersPath, with(`,"token":"tok_1"`, ``), 422, "REQUIRED", "/payment/token"},
		{"a fill policy that is not there yet", ordersPath, field("fill_policy", `"BACKORDER"`), 422, "NOT_YET", "/fill_policy"},
		{"17 KiB of metadata", ordersPath, field("metadata", `{"a":"`+strings.Repeat("x", 17<<10)+`"}`), 422, "TOO_LARGE", "/metadata"},
		{"a card number as token", ordersPath, with(`"tok_1"`, `"4111111111111111"`), 422, "CARD_NUMBER", "/payment/token"},
		{"a card number with separators", ordersPath, with(`"A. Buyer"`, `"`+cardText+`"`), 422, "CARD_NUMBER", "/shipping_address/name"},
		{"a card number as a number", ordersPath, with(`"quantity":2`, `"quantity":378282246310005`), 422, "CARD_NUMBER", "/lines/0/quantity"},
		{"a card number as a name", ordersPath, field("metadata", `{"`+cardText+`":"x"}`), 422, "CARD_NUMBER", "/metadata"},
		{"a card number with escaped digits", ordersPath, field("client_reference", `"\u0034111111111111111"`), 422, "CARD_NUMBER", "/client_reference"},
		{"a card number in a field that is none", ordersPath, field("pan", `"4111111111111111"`), 422, "CARD_NUMBER", "/pan"},
		{"an empty batch", "POST /api/orders:batch", `{"orders":[]}`, 422, "INVALID", "/orders"},
		{"a batch of 101", "POST /api/orders:batch", `{"orders":[` + strings.TrimSuffix(strings.Repeat("{},", 101), ",") + `]}`, 422, "INVALID", "/orders"},
		{"a product without a price", "POST /api/products", `{"name":"Tea"}`, 422, "REQUIRED", "/price/amount_minor"},
		{"a product without a name", "POST /api/products", `{"price":{"amount_minor":1,"currency":"EUR"}}`, 422, "REQUIRED", "/name"},
		{"stock without a number", "PUT /api/inventory/tea", `{}`, 422, "REQUIRED", "/on_hand"},
		{"negative stock", "PUT /api/inventory/tea", `{"on_hand":-1}`, 422, "INVALID", "/on_hand"},
		{"stock of no product", "PUT /api/inventory/%20", `{"on_hand":1}`, 400, "BAD_PARAMETER", ""},
		{"a card number in the path", "PUT /api/inventory/4111111111111111", `{"on_hand":1}`, 400, "BAD_PARAMETER", ""},
		{"an adjustment without a reason", "POST /api/inventory/tea/adjust", `{"quantity":-1}`, 422, "REQUIRED", "/reason"},
		{"an adjustment by nothing", "POST /api/inventory/tea/adjust", `{"quantity":0,"reason":"count"}`, 422, "REQUIRED", "/quantity"},
		{"a status that is none", "PATCH /api/orders/ord_1/status", `{"status":"PENDING"}`, 422, "INVALID", "/status"},
		{"a customer without an address", "POST /api/customers", `{"name":"A"}`, 422, "INVALID", "/email"},
		{"a short password", "POST /api/customers", `{"email":"a@b.example","name":"A","password":"1234567"}`, 422, "INVALID", "/password"},
		{"a path that is none", "POST /api/ordres", goodOrder, 404, "NOT_FOUND", ""},
		{"a method that is none", "DELETE /api/orders", "", 405, "METHOD_NOT_ALLOWED", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			method, path, _ := strings.Cut(tt.where, " ")
			h := w.call(t, method, path, tt.body)
			if h.StatusCode != tt.status || h.problem.Code != tt.code || h.problem.Status != tt.status || h.problem.Detail == "" {
				t.Fatalf("%d %s, want %d %s", h.StatusCode, h.body, tt.status, tt.code)
			}
			pointer := ""
			if len(h.problem.Errors) > 0 {
				pointer = h.problem.Errors[0].Pointer
			}
			if pointer != tt.pointer && tt.pointer != "*" {
				t.Errorf("points at %q, want %q: %s", pointer, tt.pointer, h.body)
			}
			if strings.Contains(string(h.body), "111111111") {
				t.Errorf("the answer repeats the card number: %s", h.body)
			}
		})
	}
	if n := len(w.produced); n != 0 {
		t.Errorf("%d records were written", n)
	}
}

func TestBadHeadersAreRefused(t *testing.T) {
	w := newWorld(t, staff)
	for _, tt := range []struct{ name, value, status string }{
		{"Idempotency-Key", strings.Repeat("k", 256), "400"}, {"Idempotency-Key", "käse", "400"},
		{"Content-Type", "text/plain", "415"}, {"Content-Encoding", "gzip", "415"}, {"If-Match", `"3`, "400"}, {"If-Match", `W/"3"`, "400"}, {"If-Match", `"03"`, "400"},
	} {
		h := w.call(t, "PUT", "/api/inventory/tea", `{"on_hand":1}`, tt.name, tt.value)
		if fmt.Sprint(h.StatusCode) != tt.status {
			t.Errorf("%s: %s: %d, want %s", tt.name, tt.value, h.StatusCode, tt.status)
		}
	}
	for _, keys := range [][]string{{""}, {"a", "a"}, {"a", "b"}} {
		req := httptest.NewRequest("POST", "/api/orders", strings.NewReader(goodOrder))
		req.Header = http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": keys}
		if resp, err := w.app.Test(req); err != nil || resp.StatusCode != 400 {
			t.Errorf("the keys %q: %v %v", keys, resp, err)
		}
	}
	if h := w.call(t, "POST", "/api/orders:batch", `{"orders":[`+goodOrder+`]}`, "Idempotency-Key", "k"); h.StatusCode != 400 || !strings.Contains(h.problem.Detail, "idempotency_key") {
		t.Errorf("a key for a whole batch: %d %s", h.StatusCode, h.body)
	}
	if n := len(w.produced); n != 0 {
		t.Errorf("%d records were written", n)
	}
}

func TestTheLargestLegalOrderGoesThrough(t *testing.T) {
	w := newWorld(t, staff)
	body := lines(1200)
	body = strings.Replace(body, "{", "{"+strings.Repeat(" ", web.BodyLimit-len(body)), 1)
	if h := w.call(t, "POST", "/api/orders", body); h.StatusCode != 201 {
		t.Fatalf("%d %s", h.StatusCode, h.body)
	}
	if m := w.messages()[0].(*schemas.PlaceOrder); len(m.Lines) != 1200 || m.Lines[1199].Line != 1200 {
		t.Errorf("%d lines were written", len(m.Lines))
	}
}

func TestScopesAreNeeded(t *testing.T) {
	buyer := web.Principal{Tenant: "default", Subject: "cus_1", Scopes: []string{ScopeOrdersWrite}}
	w := newWorld(t, buyer)
	quoted := with(`"quantity":2`, `"quantity":2,"quoted_unit_price":1`)
	for _, tt := range []struct {
		where, body string
		status      int
	}{
		{"POST /api/products", `{}`, 403}, {"PUT /api/inventory/tea", `{"on_hand":1}`, 403}, {"POST /api/inventory/tea/adjust", `{}`, 403}, {"PATCH /api/orders/ord_1/status", `{}`, 403},
		{ordersPath, quoted, 403}, {ordersPath, field("customer_id", `"cus_2"`), 403}, {"POST /api/orders/ord_1/cancel", "", 404}, {ordersPath, field("customer_id", `"cus_1"`), 201},
	} {
		method, path, _ := strings.Cut(tt.where, " ")
		if h := w.call(t, method, path, tt.body); h.StatusCode != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.where, h.StatusCode, h.body, tt.status)
		}
	}
	if n := len(w.produced); n != 1 {
		t.Errorf("%d records were written, want the one that was allowed", n)
	}
}

func TestCardNumbersAreFound(t *testing.T) {
	const uuid = "abcdef01-a411-1111-1111-11111abcdef0" // holds 4111 1111 1111 1111
	for text, want := range map[string]bool{
		"4111111111111111": true, "5555-5555-5555-4444": true, "3782 822463 10005": true, "pay with 6011000990139424 please": true, "4222222222222": true, "30569309025904": true,
		"4111111111111112": false, "1700000000000": false, "411111111111": false, "41111111111111111111": false, "4111  1111  1111  1111": false, "4111a111111111111": false, "": false,
		"4111 1111 1111 1111 12/27 123": true, "4111111111111111 123": true, "2 4111-1111-1111-1111": true, "3782 822463 10005 0428": true, "cus_4539578763621486": true, "4111-1111 1111-1111": true,
		"+43 664 1234567 2026-03-01": false, "2023 2024 2025 2027": false,
		uuid: false, "cus_" + uuid: false, strings.ToUpper(uuid): false, uuid + " 4111111111111111": true, "4111111111111111 " + uuid: true, uuid[1:]: true, uuid[:35]: true,
	} {
		if hasCard(text) != want || mayHoldCard([]byte(`{"a":"`+text+`"}`)) != want {
			t.Errorf("%q: %v, want %v", text, !want, want)
		}
	}
}

func TestNoIDThatTheSystemMakesIsTakenForACardNumber(t *testing.T) {
	w := newWorld(t, staff)
	for i := range 100_000 {
		if id := unique("cus_"); hasCard(id) {
			t.Fatal(id)
		}
		if id := w.derived("ord_", fmt.Sprint(i)); hasCard(id) {
			t.Fatal(id)
		}
	}
	made := []string{"prd_a4539578763621486", "prd_4539-5787-6362-1486", "prd_abc"}
	if got := cardless(func() (id string) { id, made = made[0], made[1:]; return id }); got != "prd_abc" {
		t.Errorf("%s was given out", got)
	}
}

func TestOnlyTheCodeOfACountryIsReadFromAnAddress(t *testing.T) {
	for given, want := range map[string]string{"AT": "AT", "at": "AT", "Austria": "", "": "", "A1": "", "ÖS": "", "A": ""} {
		if got := (address{"name": "A. Buyer", "country": given}).country(); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}

package ingest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"oms/schemas"
	"oms/topics"
)

// commands are the endpoints that take a body, each with one that it takes.
var commands = []struct{ method, path, good string }{
	{"POST", "/api/orders", goodOrder},
	{"POST", "/api/orders:batch", `{"orders":[{"idempotency_key":"k1","currency":"EUR","lines":[{"product_id":"tea","quantity":2}],"payment":{"method":"INVOICE"}}]}`},
	{"PATCH", "/api/orders/ord_1/status", `{"status":"CANCELLED"}`},
	{"POST", "/api/orders/ord_1/cancel", `{"reason":"CANCELLED_BY_CUSTOMER"}`},
	{"POST", "/api/products", `{"product_id":"tea","name":"Tea","price":{"amount_minor":450,"currency":"EUR"}}`},
	{"PUT", "/api/inventory/tea", `{"on_hand":5}`},
	{"POST", "/api/inventory/tea/adjust", `{"delta":-1,"reason":"DAMAGED"}`},
	{"POST", "/api/customers", `{"email":"a@example.com","name":"A"}`},
}

// Whatever the body is, the answer is one that the description declares: a refusal that says why, and then nothing was written, or an acceptance, and then every command that was
// written can be read, is at home on its topic and has its own key.
func FuzzABodyIsRefusedOrWritten(f *testing.F) {
	for i, c := range commands {
		f.Add(byte(i), []byte(c.good), "key-1")
		f.Add(byte(i), []byte(`{}`), "")
		f.Add(byte(i), bytes.Replace([]byte(c.good), []byte(`5`), []byte(`1e400`), 1), "key-2")
	}
	f.Add(byte(0), []byte(`{"currency":"EUR","lines":[{"product_id":"tea","quantity":9223372036854775807,"quoted_unit_price":9223372036854775807}],"payment":{"method":"CARD","token":"t"}}`), "")
	w := newWorld(f, staff)
	f.Fuzz(func(t *testing.T, which byte, body []byte, key string) {
		c := commands[int(which)%len(commands)]
		w.mu.Lock()
		w.produced = nil
		w.mu.Unlock()
		var headers []string
		if key != "" {
			headers = []string{"Idempotency-Key", key}
		}
		h := w.call(t, c.method, c.path, string(body), headers...)
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case h.StatusCode >= 500:
			t.Fatalf("%d %s", h.StatusCode, h.body)
		case h.StatusCode >= 400 && len(w.produced) > 0:
			t.Fatalf("%d %s, and %d commands were written", h.StatusCode, h.body, len(w.produced))
		case h.StatusCode >= 400 && (h.problem.Title == "" || h.problem.Status != h.StatusCode):
			t.Fatalf("a refusal without a word: %s", h.body)
		case h.StatusCode < 400 && h.StatusCode != http.StatusMultiStatus && len(w.produced) != 1 && c.path != "/api/orders:batch":
			t.Fatalf("%d, and %d commands were written", h.StatusCode, len(w.produced))
		case h.StatusCode < 400 && !json.Valid(body):
			t.Fatalf("%q was taken", body)
		}
		for _, r := range w.produced {
			m := schemas.Decode(r.Value)
			if bad, is := m.(*schemas.Malformed); is {
				t.Fatalf("a command that cannot be read was written: %s", bad.Reason)
			}
			if topics.Of(m).Name != r.Topic || m.Key() == "" || m.Key() != string(r.Key) {
				t.Fatalf("%T of %q was written to %s under %q", m, m.Key(), r.Topic, r.Key)
			}
		}
	})
}

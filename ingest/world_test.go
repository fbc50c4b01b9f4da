package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/seal"
	"oms/internal/web"
	"oms/schemas"
	"oms/topics"
)

// world is a server whose Kafka and rows are a few lines of this file: what a command becomes is said by become.
type world struct {
	*Server
	app *fiber.App

	mu       sync.Mutex
	produced []*kgo.Record
	become   func(m schemas.Message) schemas.Message // nil answer: nothing is ever said
	fail     error                                   // Kafka does not take it
	silent   bool                                    // Kafka does not answer
}

func newWorld(t testing.TB, as web.Principal) *world {
	t.Helper()
	keys, err := seal.Open(seal.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	w := &world{become: accept}
	w.Server = newServer(Config{Views: shown{}, Seal: keys, Secret: bytes.Repeat([]byte{7}, 32), Log: slog.New(slog.DiscardHandler), Settings: Settings{}.withDefaults()}, w)
	w.ours.Store(true)
	w.app = web.New(web.Config{Authenticator: always(as), Log: slog.New(slog.DiscardHandler)})
	w.Routes(w.app)
	return w
}

var staff = web.Principal{Tenant: "default", Subject: "staff", Staff: true, Scopes: []string{web.Every}}

type always web.Principal

func (always) Guards() bool                                     { return true }
func (p always) Authenticate(*fiber.Ctx) (web.Principal, error) { return web.Principal(p), nil }

// TryProduce is Kafka and the rows behind it.
func (w *world) TryProduce(_ context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil || w.silent {
		if w.fail != nil {
			promise(r, w.fail)
		}
		return
	}
	w.produced = append(w.produced, r)
	promise(r, nil)
	in := schemas.Decode(r.Value)
	out := w.become(in)
	if out == nil {
		return
	}
	switch o := out.(type) {
	case interface{ FactHead() *schemas.Fact }:
		o.FactHead().Cause = schemas.CauseOf(in)
	case *schemas.CommandRefused:
		o.CommandID = schemas.CauseOf(in)
	case *schemas.CommandRepeated:
		o.CommandID = schemas.CauseOf(in)
	}
	value, err := schemas.Encode(out)
	if err != nil {
		panic(err)
	}
	said := &kgo.Record{Value: value}
	for name, v := range topics.HeadersOf(out, "test", 0, nil) {
		said.Headers = append(said.Headers, kgo.RecordHeader{Key: name, Value: v})
	}
	if err := w.waiters.take(said); err != nil {
		panic(err)
	}
}

// accept is a row that takes everything.
func accept(m schemas.Message) schemas.Message {
	head := schemas.Fact{Version: 1}
	switch m := m.(type) {
	case *schemas.PlaceOrder:
		return &schemas.OrderCreated{Fact: head, OrderID: m.OrderID, PaymentMethod: "CARD", FillPolicy: "ALL_OR_NOTHING"}
	case *schemas.CancelOrder:
		return &schemas.OrderCancellationRequested{Fact: head, OrderID: m.OrderID, Reason: m.Reason, StatusBefore: "PENDING"}
	case *schemas.RequestStatus:
		return &schemas.OrderCancellationRequested{Fact: head, OrderID: m.OrderID, Reason: "CANCELLED_BY_STAFF", StatusBefore: "PENDING"}
	case *schemas.AddProduct:
		return &schemas.ProductAdded{Fact: head, ProductID: m.ProductID}
	case *schemas.AdjustStock:
		return &schemas.InventoryUpdated{Fact: head, ProductID: m.ProductID, Movement: "ADJUSTED"}
	case *schemas.RegisterCustomer:
		return &schemas.CustomerRegistered{Fact: head, CustomerID: m.CustomerID}
	}
	return nil
}

func (w *world) messages() []schemas.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []schemas.Message
	for _, r := range w.produced {
		all = append(all, schemas.Decode(r.Value))
	}
	return all
}

// shown are views that are always as far as asked, and in the shapes that the description of the endpoints gives.
type shown struct{}

func (shown) doc(body map[string]any, id string, version int64) (web.Document, error) {
	body["version"] = version
	raw, err := json.Marshal(body)
	return web.Document{Body: raw, Version: version, Found: true}, err
}

func (s shown) Order(_ context.Context, _, id string, v int64, decided bool) (web.Document, error) {
	status := "PENDING"
	if decided {
		status = "CONFIRMED"
	}
	return s.doc(map[string]any{"order_id": id, "status": status, "payment_status": "PENDING", "fulfillment_status": "UNFULFILLED", "return_status": "NONE",
		"currency": "EUR", "total_minor": 0, "lines": []any{}, "reasons": []any{}, "placed_at": "2026-01-02T03:04:05.678Z"}, id, v)
}

func (s shown) Product(_ context.Context, _, id string, v int64) (web.Document, error) {
	return s.doc(map[string]any{"product_id": id, "name": "Tea", "price": map[string]any{"amount_minor": 450, "currency": "EUR"}}, id, v)
}

func (s shown) Inventory(_ context.Context, _, id string, v int64) (web.Document, error) {
	return s.doc(map[string]any{"product_id": id, "on_hand": 5, "reserved": 0, "available": 5, "locations": []any{}}, id, v)
}

func (s shown) Customer(_ context.Context, _, id string, v int64) (web.Document, error) {
	return s.doc(map[string]any{"customer_id": id}, id, v)
}

// heard is an HTTP answer, read.
type heard struct {
	*http.Response
	body    []byte
	problem web.Problem
}

func (w *world) call(t *testing.T, method, path, body string, headers ...string) heard {
	t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.app.Test(req, 30_000)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	h := heard{Response: resp}
	if h.body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	conforms(t, method, path, h)
	if resp.StatusCode >= 400 {
		if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%s %s: %d with content type %q", method, path, resp.StatusCode, got)
		}
		if err := json.Unmarshal(h.body, &h.problem); err != nil {
			t.Fatalf("%s %s: %s: %v", method, path, h.body, err)
		}
	}
	return h
}

var errGone = errors.New("broker is gone")

const goodOrder = `{"currency":"EUR","lines":[{"product_id":"tea","quantity":2}],"shipping_address":{"name":"A. Buyer","city":"Graz"},"payment":{"method":"CARD","token":"tok_1"}}`

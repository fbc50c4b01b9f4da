package ingest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"oms/schemas"
)

func TestAnOrderIsWrittenWithItsTermsAndSealedAddress(t *testing.T) {
	w := newWorld(t, staff)
	w.cfg.Settings.Routes = map[string]string{"PAYPAL": "elsewhere"}
	body := strings.Replace(goodOrder, `"CARD"`, `"PAYPAL"`, 1)
	h := w.call(t, "POST", "/api/orders", body, "Idempotency-Key", "k1", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	m := w.messages()[0].(*schemas.PlaceOrder)
	if h.StatusCode != 201 || h.Header.Get("Location") != "/api/orders/"+m.OrderID || h.Header.Get("ETag") != `"1"` || h.Header.Get("Idempotency-Key") != "k1" {
		t.Errorf("%d %v %s", h.StatusCode, h.Header, h.body)
	}
	if want := (schemas.OrderTerms{DecisionTimeoutMS: 300_000, CancelTimeoutMS: 300_000, PaymentTimeoutMS: 10_000, PaymentTries: 1, PaymentProvider: "elsewhere"}); m.Terms != want {
		t.Errorf("terms %+v, want %+v", m.Terms, want)
	}
	if m.Tenant != "default" || m.Principal != "staff" || m.Lines[0].ProductID != "tea" || m.Lines[0].Quantity != 2 || m.Payment.Token != "tok_1" || len(m.Fingerprint) == 0 {
		t.Errorf("%+v", m)
	}
	if bytes.Contains(w.produced[0].Value, []byte("Graz")) || len(m.ShippingAddress) == 0 {
		t.Error("the address is not sealed")
	}
	trace := ""
	for _, header := range w.produced[0].Headers {
		if header.Key == "traceparent" {
			trace = string(header.Value)
		}
	}
	if !strings.HasPrefix(trace, "00-0af7651916cd43dd8448eb211c80319c") {
		t.Errorf("the record goes on with trace %q", trace)
	}
}

// A repetition must meet the same row with the same fingerprint under a command of its own; what the row says then decides.
func TestARepetitionIsAnsweredLikeTheFirst(t *testing.T) {
	w := newWorld(t, staff)
	first := w.call(t, "POST", "/api/orders", goodOrder, "Idempotency-Key", "k1")
	w.become = func(m schemas.Message) schemas.Message {
		return &schemas.CommandRepeated{Family: schemas.FamilyOrder, Subject: m.Key(), Version: 7}
	}
	spaced := strings.ReplaceAll(goodOrder, ",", " ,\n")
	again := w.call(t, "POST", "/api/orders", spaced, "Idempotency-Key", "k1")
	if again.StatusCode != 201 || again.Header.Get("Idempotent-Replayed") != "true" || again.Header.Get("Location") != first.Header.Get("Location") || again.Header.Get("ETag") != `"7"` {
		t.Errorf("%d %v", again.StatusCode, again.Header)
	}
	one, two := w.messages()[0].(*schemas.PlaceOrder), w.messages()[1].(*schemas.PlaceOrder)
	if one.OrderID != two.OrderID || !bytes.Equal(one.Fingerprint, two.Fingerprint) || one.CommandID == two.CommandID {
		t.Errorf("first %s %x %s, again %s %x %s", one.OrderID, one.Fingerprint, one.CommandID, two.OrderID, two.Fingerprint, two.CommandID)
	}
	w.call(t, "POST", "/api/orders", strings.Replace(goodOrder, `"quantity":2`, `"quantity":3`, 1), "Idempotency-Key", "k1")
	if three := w.messages()[2].(*schemas.PlaceOrder); three.OrderID != one.OrderID || bytes.Equal(three.Fingerprint, one.Fingerprint) {
		t.Error("another body has the fingerprint of the first, or another order id")
	}
	w.call(t, "POST", "/api/orders", goodOrder, "Idempotency-Key", "k2")
	if four := w.messages()[3].(*schemas.PlaceOrder); four.OrderID == one.OrderID {
		t.Error("another key has the same order id")
	}
}

func TestBothFormsOfAPriceMeanTheSame(t *testing.T) {
	w := newWorld(t, staff)
	w.call(t, "POST", "/api/orders", with(`"quantity":2`, `"quantity":2,"quoted_unit_price":0`))
	w.call(t, "POST", "/api/orders", with(`"quantity":2`, `"quantity":2,"quoted_unit_price":{"currency":"EUR","amount_minor":0}`))
	one, two := w.messages()[0].(*schemas.PlaceOrder), w.messages()[1].(*schemas.PlaceOrder)
	if !bytes.Equal(one.Fingerprint, two.Fingerprint) || *one.Lines[0].QuotedUnitPriceMinor != 0 || *two.Lines[0].QuotedUnitPriceMinor != 0 {
		t.Errorf("%+v and %+v", one.Lines, two.Lines)
	}
}

func TestACommandUnderAKeyHasTheSameIdentityAgain(t *testing.T) {
	w := newWorld(t, staff)
	id := func(path, body string, headers ...string) string {
		w.call(t, "POST", path, body, headers...)
		all := w.messages()
		return schemas.CauseOf(all[len(all)-1])
	}
	const adjust, body = "/api/inventory/tea/adjust", `{"quantity":1,"reason":"found"}`
	first := id(adjust, body, "Idempotency-Key", "k")
	if again := id(adjust, body, "Idempotency-Key", "k"); again != first {
		t.Errorf("%s, then %s", first, again)
	}
	if elsewhere := id("/api/inventory/milk/adjust", body, "Idempotency-Key", "k"); elsewhere == first {
		t.Error("another path has the same identity")
	}
	if a, b := id(adjust, body), id(adjust, body); a == b {
		t.Error("two commands without a key have the same identity")
	}
}

func TestRefusalsOfARowHaveTheirStatus(t *testing.T) {
	w := newWorld(t, staff)
	for code, status := range map[schemas.RefusalCode]int{
		schemas.RefusalCodeKeyReused: 422, schemas.RefusalCodeNotFound: 404, schemas.RefusalCodeVersionMismatch: 412, schemas.RefusalCodeIllegalTransition: 409,
		schemas.RefusalCodeProductExists: 409, schemas.RefusalCodeEmailTaken: 409, schemas.RefusalCodeOnHandBelowReserved: 409, schemas.RefusalCodeQuantityOverflow: 409,
		schemas.RefusalCodeDeadLettered: 500, schemas.RefusalCodeUnspecified: 409,
	} {
		w.become = func(schemas.Message) schemas.Message {
			return &schemas.CommandRefused{Family: schemas.FamilyOrder, Code: code, Detail: "because", Pointer: "/there", Version: 4, Numbers: map[string]int64{"reserved": 9}}
		}
		h := w.call(t, "PATCH", "/api/orders/ord_1/status", `{"status":"SHIPPED"}`, "If-Match", `"4"`)
		want := map[schemas.RefusalCode]string{schemas.RefusalCodeNotFound: "there is no such order", schemas.RefusalCodeVersionMismatch: `If-Match names another version of the order than "4", which it has`}[code]
		if p := h.problem; h.StatusCode != status || p.Code != string(code) || p.Detail != cmp.Or(want, "because") || (len(p.Errors) == 0) != (want != "") {
			t.Errorf("%s: %d %s, want %d", code, h.StatusCode, h.body, status)
		}
		// What does not apply is left out: an empty list of next states would be an answer.
		if has := bytes.Contains(h.body, []byte(`"legal_next":[]`)); has != (code == schemas.RefusalCodeIllegalTransition) {
			t.Errorf("%s: %s", code, h.body)
		}
		if secret := code == schemas.RefusalCodeEmailTaken || code == schemas.RefusalCodeNotFound; (h.Header.Get("ETag") == `"4"`) == secret || (h.problem.Version == 4) == secret {
			t.Errorf("%s: the version is told wrongly: %v %s", code, h.Header, h.body)
		}
	}
	for _, m := range w.messages() {
		if r := m.(*schemas.RequestStatus); *r.ExpectedVersion != 4 || r.Status != "SHIPPED" || r.OrderID != "ord_1" {
			t.Errorf("%+v", r)
		}
	}
}

func TestWithoutKafkaTheClientHears503AndItsKey(t *testing.T) {
	for name, set := range map[string]func(*world){"refused": func(w *world) { w.fail = errGone }, "silent": func(w *world) { w.silent = true }} {
		w := newWorld(t, staff)
		w.cfg.Settings.AckTimeout = 20 * time.Millisecond
		set(w)
		h := w.call(t, "POST", "/api/orders", goodOrder)
		key := h.Header.Get("Idempotency-Key")
		if h.StatusCode != 503 || h.Header.Get("Retry-After") != "1" || key == "" || h.problem.IdempotencyKey != key {
			t.Errorf("%s: %d %v %s", name, h.StatusCode, h.Header, h.body)
		}
		w.mu.Lock()
		w.fail, w.silent = nil, false
		w.mu.Unlock()
		if h := w.call(t, "POST", "/api/orders", goodOrder, "Idempotency-Key", key); h.StatusCode != 201 {
			t.Errorf("%s: repeated with its key: %d %s", name, h.StatusCode, h.body)
		}
		if n := w.waiters.n.Load(); n != 0 || len(w.waiters.byID) != 0 {
			t.Errorf("%s: %d still wait", name, n)
		}
	}
}

func TestAClientWaitsAsLongAsItPrefers(t *testing.T) {
	w := newWorld(t, staff)
	decided := w.call(t, "POST", "/api/orders", goodOrder, "Prefer", "wait=5")
	if decided.StatusCode != 201 || !bytes.Contains(decided.body, []byte("CONFIRMED")) || decided.Header.Get("Preference-Applied") != "wait=5" {
		t.Errorf("wait: %d %s", decided.StatusCode, decided.body)
	}
	w.become = func(schemas.Message) schemas.Message { return nil }
	w.cfg.Settings.OutcomeTimeout = 20 * time.Millisecond
	for _, prefer := range []string{"respond-async", ""} {
		h := w.call(t, "POST", "/api/orders", goodOrder, "Prefer", prefer, "Idempotency-Key", "k")
		var p pending
		if err := json.Unmarshal(h.body, &p); err != nil {
			t.Fatal(err)
		}
		if h.StatusCode != 202 || p.Location == "" || h.Header.Get("Location") != p.Location || p.IdempotencyKey != "k" || p.Location != "/api/orders/"+p.OrderID {
			t.Errorf("%q: %d %s", prefer, h.StatusCode, h.body)
		}
	}
}

func TestABatchIsAnsweredItemByItem(t *testing.T) {
	w := newWorld(t, staff)
	w.become = func(m schemas.Message) schemas.Message {
		if m.(*schemas.PlaceOrder).ClientReference == "refuse" {
			return &schemas.CommandRefused{Family: schemas.FamilyOrder, Code: schemas.RefusalCodeKeyReused}
		}
		return accept(m)
	}
	keyed := func(key, body string) string { return strings.Replace(body, "{", `{"idempotency_key":"`+key+`",`, 1) }
	items := []string{keyed("a", goodOrder), keyed("b", with(`"quantity":2`, `"quantity":0`)), goodOrder, keyed("c", field("client_reference", `"refuse"`)),
		keyed("d", with("tok_1", "4111111111111111")), "7", keyed("a", goodOrder)}
	h := w.call(t, "POST", "/api/orders:batch", `{"orders":[`+strings.Join(items, ",")+`]}`)
	var got struct{ Results []itemAnswer }
	if err := json.Unmarshal(h.body, &got); err != nil || h.StatusCode != 200 || len(got.Results) != len(items) {
		t.Fatalf("%d %s %v", h.StatusCode, h.body, err)
	}
	for i, want := range []struct {
		status  int
		pointer string
	}{{201, ""}, {422, "/orders/1/lines/0/quantity"}, {201, ""}, {422, ""}, {422, "/orders/4/payment/token"}, {422, "/orders/5"}, {201, ""}} {
		r := got.Results[i]
		if r.Status != want.status || (r.Problem == nil) != (want.status == 201) {
			t.Errorf("item %d: %+v, want %d", i, r, want.status)
		} else if want.pointer != "" && r.Problem.Errors[0].Pointer != want.pointer {
			t.Errorf("item %d points at %s, want %s", i, r.Problem.Errors[0].Pointer, want.pointer)
		}
	}
	if a, again := got.Results[0], got.Results[6]; a.OrderID != again.OrderID || a.OrderID == got.Results[2].OrderID || got.Results[2].IdempotencyKey == "" {
		t.Errorf("%+v, %+v, %+v", a, got.Results[2], again)
	}
	if len(w.produced) != 4 {
		t.Errorf("%d orders were written, want 4", len(w.produced))
	}
}

// Of a batch that meets a fault in its middle, every client hears what became of its own order, and under which key to ask again.
func TestAFaultAtOneItemHidesNoOther(t *testing.T) {
	w := newWorld(t, staff)
	keys := w.cfg.Seal
	sealed := 0
	w.cfg.Seal = sealing(func(subject string, plain []byte) ([]byte, error) {
		if sealed++; sealed == 2 {
			return nil, errors.New("the disk is full")
		}
		return keys.Seal(subject, plain)
	})
	h := w.call(t, "POST", "/api/orders:batch", `{"orders":[`+strings.Join([]string{goodOrder, goodOrder, goodOrder}, ",")+`]}`)
	var got struct{ Results []itemAnswer }
	if err := json.Unmarshal(h.body, &got); err != nil || h.StatusCode != 200 || len(got.Results) != 3 {
		t.Fatalf("%d %s %v", h.StatusCode, h.body, err)
	}
	for i, want := range []int{201, 500, 201} {
		if r := got.Results[i]; r.Status != want || r.IdempotencyKey == "" || strings.Contains(string(h.body), "disk") {
			t.Errorf("item %d: %+v, want %d and a key", i, r, want)
		}
	}
	if len(w.produced) != 2 {
		t.Errorf("%d orders were written, want 2", len(w.produced))
	}
}

type sealing func(subject string, plain []byte) ([]byte, error)

func (s sealing) Seal(subject string, plain []byte) ([]byte, error) { return s(subject, plain) }

func TestAKeyThatReachesTwoProductsIsTwoCommands(t *testing.T) {
	w := newWorld(t, staff)
	for _, id := range []string{"tea", "rum", "tea"} {
		if h := w.call(t, "POST", "/api/products", `{"product_id":"`+id+`","name":"x","price":{"amount_minor":1,"currency":"EUR"}}`, "Idempotency-Key", "k"); h.StatusCode != 201 {
			t.Fatalf("%d %s", h.StatusCode, h.body)
		}
	}
	tea, rum, again := w.messages()[0].(*schemas.AddProduct), w.messages()[1].(*schemas.AddProduct), w.messages()[2].(*schemas.AddProduct)
	if tea.CommandID == rum.CommandID || tea.CommandID != again.CommandID {
		t.Errorf("commands %q, %q and again %q", tea.CommandID, rum.CommandID, again.CommandID)
	}
}

func TestARegistrationHidesTheCustomer(t *testing.T) {
	w := newWorld(t, staff)
	register := func(email, password string) *schemas.RegisterCustomer {
		h := w.call(t, "POST", "/api/customers", fmt.Sprintf(`{"email":%q,"name":"Xaver Marked","password":%q,"address":{"street":"Hidden Lane"}}`, email, password), "Idempotency-Key", "k")
		if h.StatusCode != 201 {
			t.Fatalf("%d %s", h.StatusCode, h.body)
		}
		return w.messages()[len(w.produced)-1].(*schemas.RegisterCustomer)
	}
	a := register("Xaver@Shop.Example", "correct horse")
	b := register("xaver@shop.example", "battery staple")
	if a.LoginID != b.LoginID || a.CustomerID != b.CustomerID || !strings.HasPrefix(string(a.PasswordHash), "$argon2id$") || bytes.Equal(a.PasswordHash, b.PasswordHash) {
		t.Errorf("%+v and %+v", a, b)
	}
	if c := register("zoe@shop.example", "correct horse"); c.LoginID == a.LoginID || c.CustomerID == a.CustomerID {
		t.Error("another address has the same login or id")
	}
	for _, r := range w.produced {
		for _, plain := range []string{"aver", "hop.", "Marked", "Hidden", "horse"} {
			if bytes.Contains(r.Value, []byte(plain)) || bytes.Contains(r.Key, []byte(plain)) {
				t.Errorf("%q is in a record", plain)
			}
		}
	}
}

func TestTheSameBodyWithAnotherPasswordHasTheSameFingerprint(t *testing.T) {
	w := newWorld(t, staff)
	for _, password := range []string{"correct horse", "battery staple"} {
		w.call(t, "POST", "/api/customers", `{"email":"a@b.example","name":"A","password":"`+password+`"}`)
	}
	all := w.messages()
	if a, b := all[0].(*schemas.RegisterCustomer), all[1].(*schemas.RegisterCustomer); !bytes.Equal(a.Fingerprint, b.Fingerprint) {
		t.Error("the password is in the fingerprint")
	}
}

// Two requests under one key, at once, with different bodies: the second must not be answered by the outcome of the first.
func TestTheOutcomeOfOneBodyIsNeverTheAnswerToAnother(t *testing.T) {
	w := newWaiters()
	one, ok := w.join("cmd_1", []byte("a"))
	if !ok {
		t.Fatal("the first may not wait")
	}
	if _, ok := w.join("cmd_1", []byte("b")); ok {
		t.Error("another body waits for the same command")
	}
	same, ok := w.join("cmd_1", []byte("a"))
	if !ok || same != one {
		t.Error("a repetition does not wait for the same command")
	}
	w.leave("cmd_1", same)
	if w.n.Load() != 1 {
		t.Error("the command is forgotten while one request waits")
	}
	w.leave("cmd_1", one)
	if _, ok := w.join("cmd_1", []byte("b")); !ok {
		t.Error("the command is remembered with nobody waiting")
	}
}

// Fiber reuses its buffers for the next request on a connection; what was produced must not change under it.
func TestWhatWasProducedSurvivesTheNextRequests(t *testing.T) {
	w := newWorld(t, staff)
	const n = 200
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			id := fmt.Sprintf("product-%03d", i)
			w.call(t, "PUT", "/api/inventory/"+id, fmt.Sprintf(`{"on_hand":%d,"location_id":"place-%03d"}`, i, i), "Idempotency-Key", "key-"+id)
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for i, m := range w.messages() {
		a := m.(*schemas.AdjustStock)
		want := fmt.Sprintf("product-%03d", a.Quantity)
		if a.ProductID != want || a.LocationID != fmt.Sprintf("place-%03d", a.Quantity) || string(w.produced[i].Key) != want || seen[want] {
			t.Errorf("%+v under key %s", a, w.produced[i].Key)
		}
		seen[want] = true
	}
	if len(seen) != n {
		t.Errorf("%d of %d were written", len(seen), n)
	}
}

func TestHashingWaitsForItsTurn(t *testing.T) {
	w := newWorld(t, staff)
	for range cap(w.hashing) {
		w.hashing <- struct{}{}
	}
	done := make(chan error, 1)
	password := "correct horse"
	go func() {
		_, err := w.hashPassword(&password)
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("a password was hashed out of turn: %v", err)
	default:
	}
	<-w.hashing
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestASecretIsNeeded(t *testing.T) {
	if _, err := New(Config{Secret: []byte("short")}); err == nil {
		t.Error("a short secret was taken")
	}
}

package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oms/proof/workload"
)

// shop is a server with a memory and bad manners: of eight requests one is lost, one is turned away, and one is done without an answer.
type shop struct {
	mu       sync.Mutex
	dice     *rand.Rand
	rude     bool
	done     map[string]int    // key and path: how often it was done
	body     map[string]string // of the first request
	status   map[string]string // of an order
	stock    map[string]int64
	requests int
}

func newShop(rude bool) *shop {
	return &shop{dice: rand.New(rand.NewPCG(1, 2)), rude: rude, done: map[string]int{}, body: map[string]string{}, status: map[string]string{}, stock: map[string]int64{}}
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	luck := s.dice.IntN(8)
	if s.rude && luck == 0 {
		panic(http.ErrAbortHandler)
	}
	if s.rude && luck == 1 {
		w.Header().Set("Retry-After", "1")
		http.Error(w, `{"code":"UNAVAILABLE"}`, http.StatusServiceUnavailable)
		return
	}
	answer := s.do(w, r)
	if s.rude && luck == 2 {
		panic(http.ErrAbortHandler)
	}
	answer()
}

func (s *shop) do(w http.ResponseWriter, r *http.Request) func() {
	say := func(code int, body any) func() {
		return func() { w.WriteHeader(code); _ = json.NewEncoder(w).Encode(body) }
	}
	if r.Method == http.MethodGet {
		id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if strings.HasPrefix(r.URL.Path, "/api/inventory/") {
			return say(200, map[string]any{"locations": make([]int, min(1, s.stock[id]))})
		}
		if s.status[id] == "PENDING" {
			s.status[id] = "CONFIRMED"
		}
		return say(200, map[string]any{"order_id": id, "status": s.status[id]})
	}
	raw, _ := io.ReadAll(r.Body)
	key := r.Header.Get("Idempotency-Key") + " " + r.Method + " " + r.URL.Path
	replayed := s.done[key] > 0
	if replayed && s.body[key] != string(raw) {
		return say(422, map[string]any{"code": "KEY_REUSED"})
	}
	if replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	} else {
		s.done[key]++
		s.body[key] = string(raw)
	}
	switch id := "ord_" + r.Header.Get("Idempotency-Key"); {
	case r.URL.Path == "/api/products":
		return say(201, map[string]any{})
	case r.Method == http.MethodPut:
		var b struct {
			OnHand int64 `json:"on_hand"`
		}
		_ = json.Unmarshal(raw, &b)
		if !replayed {
			s.stock[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]] += b.OnHand
		}
		return say(200, map[string]any{})
	case strings.HasSuffix(r.URL.Path, "/adjust"):
		return say(200, map[string]any{})
	case strings.HasSuffix(r.URL.Path, "/cancel"):
		id = strings.Split(r.URL.Path, "/")[3]
		if s.status[id] != "CONFIRMED" && s.status[id] != "CANCELLED" {
			return say(409, map[string]any{"code": "ILLEGAL_TRANSITION", "detail": "is " + s.status[id]})
		}
		s.status[id] = "CANCELLED"
		return say(200, map[string]any{"order_id": id, "status": "CANCELLED"})
	case bytes.Contains(raw, []byte(`"quantity":0`)):
		return say(422, map[string]any{"code": "INVALID", "errors": []any{map[string]string{"pointer": "/lines/0/quantity", "rule": "must be 1 or more", "value": "0"}}})
	case bytes.Contains(raw, []byte("sold-out")):
		s.status[id] = "REJECTED"
		return say(201, map[string]any{"order_id": id, "status": "REJECTED", "reasons": []string{"OUT_OF_STOCK"}})
	case s.status[id] == "" && len(s.done)%2 == 0:
		s.status[id] = "PENDING"
		return say(202, map[string]any{"order_id": id, "location": "/api/orders/" + id})
	case s.status[id] == "":
		s.status[id] = "CONFIRMED"
		fallthrough
	default:
		return say(201, map[string]any{"order_id": id, "status": s.status[id]})
	}
}

func documents(n int) iter.Seq2[workload.Document, error] {
	return func(yield func(workload.Document, error) bool) {
		put := func(d workload.Document) { yield(d, nil) }
		for i := range 5 {
			put(workload.Document{Key: fmt.Sprintf("product:%d", i), Action: workload.Open, ProductID: fmt.Sprintf("p %d", i), OnHand: 7, Body: []byte(`{}`)})
		}
		for i := range n {
			put(workload.Document{Key: fmt.Sprintf("doc-%d", i), Action: workload.Place, Body: []byte(`{"lines":1}`), Awaited: i == 3})
		}
		put(workload.Document{Key: "sold-out", Action: workload.Place, Body: []byte(`{"lines":"sold-out"}`), Awaited: true})
		put(workload.Document{Key: "bad", Action: workload.Place, Body: []byte(`{"quantity":0}`)})
		put(workload.Document{Key: "kéy", Action: workload.Place, Body: []byte(`{}`)})
		put(workload.Document{Key: "off", Action: workload.Adjust, ProductID: "p 1", Delta: -2, Reason: "broken"})
		put(workload.Document{Key: "credit", Action: workload.Cancel, Of: "doc-3"})
		put(workload.Document{Key: "credit-2", Action: workload.Cancel, Of: "sold-out"})
		put(workload.Document{Key: "return", Action: workload.Named, Outcome: workload.NotYetReturn})
	}
}

func TestEveryDocumentHasOneOutcomeThoughTheServerComesAndGoes(t *testing.T) {
	const n = 60
	s := newShop(true)
	server := httptest.NewServer(s)
	defer server.Close()
	var record bytes.Buffer
	run := func() Summary {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		sum, err := Run(ctx, Config{Server: server.URL, Documents: documents(n), Workers: 16, Record: workload.NewRecord(&record)})
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	sum := run()
	want := map[string]int{"CONFIRMED": n, "REJECTED:OUT_OF_STOCK": 1, "REFUSED:INVALID": 1, "REFUSED:BAD_KEY": 1, "ADJUSTED": 1, "CANCELLED": 1, "REFUSED:ILLEGAL_TRANSITION": 1, workload.NotYetReturn: 1}
	if !maps.Equal(sum.Outcomes, want) || sum.Documents != n+7 || sum.Products["OPENED"] != 5 {
		t.Errorf("%+v, want %v", sum, want)
	}
	if sum.Retries == 0 {
		t.Error("the server was rude and nothing was repeated")
	}
	if e := sum.Examples["REFUSED:INVALID"]; e != `bad: /lines/0/quantity must be 1 or more, is "0"` {
		t.Errorf("example: %s", e)
	}
	last := map[string]string{}
	for line := range strings.Lines(record.String()) {
		var told workload.Told
		if err := json.Unmarshal([]byte(line), &told); err != nil {
			t.Fatal(err)
		}
		if told.Outcome != "" {
			if last[told.Key] != "" {
				t.Errorf("%s has two outcomes in the record", told.Key)
			}
			last[told.Key] = told.Outcome
		}
	}
	if len(last) != sum.Documents {
		t.Errorf("%d documents with an outcome in the record, want %d", len(last), sum.Documents)
	}

	again := run()
	want["CONFIRMED"]--
	want["CANCELLED"]++ // the order that the credit note cancelled says so now
	if !maps.Equal(again.Outcomes, want) {
		t.Errorf("the second time %v, want %v", again.Outcomes, want)
	}
	for key, times := range s.done {
		if times != 1 {
			t.Errorf("%s was done %d times", key, times)
		}
	}
	for p, units := range s.stock {
		if units != 7 {
			t.Errorf("stock of %q is %d, want 7", p, units)
		}
	}
}

func TestWhatCannotBeDecidedInTimeIsSaid(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "{}", http.StatusServiceUnavailable) }))
	defer server.Close()
	sum, err := Run(t.Context(), Config{Server: server.URL, Patience: 50 * time.Millisecond, Documents: func(yield func(workload.Document, error) bool) {
		yield(workload.Document{Key: "a", Action: workload.Place, Body: []byte("{}")}, nil)
	}})
	if err != nil || sum.Undecided() != 1 || sum.Documents != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestSeveralServersShareTheWorkAndEachOutcomeIsTold(t *testing.T) {
	s := newShop(false)
	asked := [2]atomic.Int64{}
	var servers []string
	for i := range asked {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked[i].Add(1); s.ServeHTTP(w, r) }))
		defer server.Close()
		servers = append(servers, server.URL)
	}
	var turn, told atomic.Int64
	sum, err := Run(t.Context(), Config{Server: servers[0], Pick: func() string { return servers[turn.Add(1)%2] }, Documents: documents(20), Ended: func(_ workload.Document, outcome string) {
		if outcome != "" {
			told.Add(1)
		}
	}})
	if err != nil || sum.Outcomes["CONFIRMED"] != 20 || told.Load() != int64(sum.Documents+sum.Products["OPENED"]) {
		t.Errorf("%+v, %d told, %v", sum, told.Load(), err)
	}
	if a, b := asked[0].Load(), asked[1].Load(); a == 0 || b == 0 || a-b > 1 || b-a > 1 {
		t.Errorf("asked %d and %d times", a, b)
	}
}

func TestABadLineIsNamedByItsNumber(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"code":"INVALID","errors":[{"pointer":"/lines","rule":"must be there"}]}`)
	}))
	defer server.Close()
	sum, err := Run(t.Context(), Config{Server: server.URL, Workers: 1, Documents: workload.Lines(strings.NewReader("{}\n\n{\"idempotency_key\":\"a\"}\n{\n[]\n{\"idempotency_key\":7}"))})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := sum.Table(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2  REFUSED:INVALID  first line 1: /lines must be there; lines 1, 3", "3  REFUSED:NOT_JSON  first line 4: must be one JSON object; lines 4, 5, 6"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}

func TestAServerThatDoesNotAnswerIsNamed(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	said := make(chan string, 1)
	_, err := Run(ctx, Config{Server: "127.0.0.1:1", Documents: workload.Lines(strings.NewReader("{}")), Notice: writer(func(b []byte) {
		select {
		case said <- string(b):
		default:
		}
		stop()
	})})
	if words := <-said; !strings.Contains(words, "http://127.0.0.1:1 does not take requests, trying again: ") {
		t.Errorf("%q, %v", words, err)
	}
	if _, err := Run(t.Context(), Config{Server: "http://exa mple", Documents: workload.Lines(strings.NewReader("{}"))}); err == nil || !strings.Contains(err.Error(), "want a URL") {
		t.Errorf("an address that is none: %v", err)
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

func TestTheTableAddsUp(t *testing.T) {
	var b bytes.Buffer
	s := Summary{Documents: 5, Outcomes: map[string]int{"CONFIRMED": 3, "REJECTED:OUT_OF_STOCK": 2}, Products: map[string]int{"OPENED": 1}}
	if err := s.Table(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3  CONFIRMED", "2  REJECTED:OUT_OF_STOCK", "5  documents", "1  products"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}

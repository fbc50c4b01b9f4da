package views

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/schemas"
)

// listen to the events of an order; take answers the next n ids with their types.
func listen(t *testing.T, base, order, lastID string) (take func(n int) []string, leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(soon(t))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/orders/"+order+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(res.Body)
	return func(n int) (got []string) {
			t.Helper()
			id := ""
			for len(got) < n && lines.Scan() {
				if v, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
					id = v
				}
				if v, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
					got = append(got, id+" "+v)
				}
			}
			if len(got) < n {
				t.Fatalf("the stream ended after %v: %v", got, lines.Err())
			}
			return got
		}, func() {
			cancel()
			res.Body.Close()
		}
}

func created(order string, version int64, ordinal int32, sequence int64) schemas.Message {
	return &schemas.OrderCreated{Fact: fact(version, ordinal, sequence), OrderID: order, Principal: "sub_1", ShippingAddress: []byte("sealed"), Currency: "EUR"}
}

func confirmed(order string, version int64, ordinal int32, sequence int64) schemas.Message {
	return &schemas.OrderConfirmed{Fact: fact(version, ordinal, sequence), OrderID: order, Currency: "EUR", TotalMinor: 200}
}

func paid(order string, version int64, ordinal int32, sequence int64) schemas.Message {
	return &schemas.PaymentProcessed{Fact: fact(version, ordinal, sequence), OrderID: order, AmountMinor: 200, Outcome: schemas.PaymentOutcomeAuthorized}
}

func fact(version int64, ordinal int32, sequence int64) schemas.Fact {
	return schemas.Fact{Tenant: shopTenant, Cause: "cmd_1", AtMS: 1000, Version: version, Ordinal: ordinal, Sequence: sequence}
}

// counted is an order's row that has said so many facts.
func counted(order string, version int64, status schemas.OrderStatus, orderFacts, paymentFacts int64) schemas.Message {
	row := orderRow(order, version, 1000, status)
	row.Sequences = schemas.OrderSequences{Order: orderFacts, Payment: paymentFacts}
	return row
}

func TestEventsComeInTheOrderOfTheLifeAndGoOnBehindTheLastOne(t *testing.T) {
	s := openShop(t)
	base := s.serve()
	s.say(created("ord_1", 1, 0, 1), counted("ord_1", 1, schemas.OrderStatusPending, 1, 0))
	s.say(created("ord_10", 1, 0, 1), counted("ord_10", 1, schemas.OrderStatusPending, 1, 0)) // another order, whose key begins like the first's
	s.order("ord_1", 1)
	take, leave := listen(t, base, "ord_1", "")
	if got := take(1); got[0] != "1.0 OrderCreated" {
		t.Errorf("first %v", got)
	}
	// One step says facts on two topics. They come by several transactions here, the later first, as several fetches may bring them.
	s.say(confirmed("ord_1", 3, 1, 2))
	s.say(counted("ord_1", 3, schemas.OrderStatusConfirmed, 2, 1))
	s.say(paid("ord_1", 3, 0, 1))
	want := []string{"3.0 PaymentProcessed", "3.1 OrderConfirmed"}
	if got := take(2); !slices.Equal(got, want) {
		t.Errorf("then %v, want %v", got, want)
	}
	leave()
	take, leave = listen(t, base, "ord_1", "3.0")
	if got := take(1); got[0] != "3.1 OrderConfirmed" {
		t.Errorf("behind 3.0: %v", got)
	}
	leave()
	_, body := get(t, base+"/api/orders/ord_1/timeline")
	if n := len(parsed(t, body)["events"].([]any)); n != 3 || strings.Contains(string(body), "sealed") || strings.Contains(string(body), "sub_1") {
		t.Errorf("timeline of %d: %s", n, body)
	}
	if res, _ := get(t, base+"/api/orders/ord_1/events", "Last-Event-ID", "x"); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a made-up Last-Event-ID: %d", res.StatusCode)
	}
}

func TestAStreamEndsWhenItsClientHasGone(t *testing.T) {
	s := openShop(t)
	base := s.serve()
	s.say(created("ord_1", 1, 0, 1), counted("ord_1", 1, schemas.OrderStatusPending, 1, 0))
	s.order("ord_1", 1)
	take, leave := listen(t, base, "ord_1", "")
	take(1)
	leave()
	version := int64(1)
	until(t, "the stream has ended", func() bool { // it notices when it writes
		version++
		s.say(created("ord_1", version, 0, version), counted("ord_1", version, schemas.OrderStatusPending, version, 0))
		return s.metric("views_streams") == 0
	})
}

func TestEventsOfAnAbortedTransactionAreNeverSent(t *testing.T) {
	s := openShop(t)
	base := s.serve()
	s.say(created("ord_1", 1, 0, 1), counted("ord_1", 1, schemas.OrderStatusPending, 1, 0))
	s.order("ord_1", 1)
	take, leave := listen(t, base, "ord_1", "")
	defer leave()
	take(1)
	s.transact(kgo.TryAbort, confirmed("ord_1", 2, 0, 2), counted("ord_1", 2, schemas.OrderStatusConfirmed, 2, 0))
	s.say(&schemas.OrderRejected{Fact: fact(2, 0, 2), OrderID: "ord_1"}, counted("ord_1", 2, schemas.OrderStatusRejected, 2, 0))
	if got := take(1); got[0] != "2.0 OrderRejected" {
		t.Errorf("after an abort: %v", got)
	}
}

func TestStreamsEndWhenTheServerStops(t *testing.T) {
	s := openShop(t)
	base := s.serve()
	s.say(created("ord_1", 1, 0, 1), counted("ord_1", 1, schemas.OrderStatusPending, 1, 0))
	s.order("ord_1", 1)
	for i := range 20 {
		take, leave := listen(t, base, "ord_1", "")
		defer leave()
		if got := take(1); got[0] != "1.0 OrderCreated" {
			t.Fatalf("stream %d: %v", i, got)
		}
	}
	if n := s.metric("views_streams"); n != 20 {
		t.Errorf("%v streams are open", n)
	}
	s.views.Stopping()
	until(t, "the streams have ended", func() bool { return s.metric("views_streams") == 0 })
}

func TestPlacesOfFactsAreReadFromTheirIds(t *testing.T) {
	for _, key := range []string{"ord_1", "a/b.c", "ord.1.2"} {
		if at, ok := placeInID(fmt.Sprintf("%s.12.3", key), key); !ok || at != (place{12, 3}) {
			t.Errorf("%s: %v, %v", key, at, ok)
		}
	}
	for _, id := range []string{"", "ord_1", "ord_1.", "ord_1.1", "ord_1.x.1", "ord_1.1.x", "ord_2.1.0", "ord_1.-1.0", "ord_1.1.-1"} {
		if at, ok := placeInID(id, "ord_1"); ok {
			t.Errorf("%q was read as %v", id, at)
		}
	}
}

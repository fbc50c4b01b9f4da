package views

import (
	"testing"

	"oms/internal/kafka"
	"oms/schemas"
)

func TestTheNewestValueOfARowIsSeenWhileAnOlderOneIsWritten(t *testing.T) {
	g := gather{}
	g.begin(kafka.Offsets{})
	at := rowAt{ordersTable, 0, "a"}
	add := func(value string) {
		f := newFetch()
		f.put(at, versions{first: []byte(value), last: []byte(value)})
		g.add(f, kafka.Offsets{})
	}
	want := func(value string, there bool) {
		t.Helper()
		if got, ok := g.row(at); string(got) != value || ok != there {
			t.Errorf("got %q (%v), want %q (%v)", got, ok, value, there)
		}
	}
	want("", false)
	add("1")
	want("1", true)
	f, next := g.take()
	want("1", true)
	add("2")
	add("3")
	want("3", true)
	if r := f.rows[at]; string(r.first) != "1" || string(r.last) != "1" {
		t.Errorf("what is being written has become %q to %q", r.first, r.last)
	}
	g.stands(next)
	if f, _ := g.take(); string(f.rows[at].first) != "2" || string(f.rows[at].last) != "3" {
		t.Errorf("%q to %q are written next, want 2 to 3", f.rows[at].first, f.rows[at].last)
	}
	want("3", true)
	g.stands(next)
	want("", false)
}

func TestWhatAnOrderWentThroughBeforeItWasWrittenLeavesNothingBehind(t *testing.T) {
	s := openShop(t)
	for version, status := range []schemas.OrderStatus{schemas.OrderStatusPending, schemas.OrderStatusConfirmed, schemas.OrderStatusCompleted} {
		s.say(orderRow("ord_1", int64(version+1), 1000, status))
	}
	s.order("ord_1", 3)
	if placed, status := s.entries(kindPlaced), s.entries(kindStatus); placed != 1 || status != 1 {
		t.Errorf("%d entries by time and %d by status, want one each", placed, status)
	}
	s.say(orderRow("ord_1", 4, 1000, schemas.OrderStatusClosed))
	s.order("ord_1", 4)
	if status := s.entries(kindStatus); status != 1 {
		t.Errorf("%d entries by status after another version, want 1", status)
	}
}

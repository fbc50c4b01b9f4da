package simulation

import (
	"fmt"

	"oms/proof/workload"
	"oms/schemas"
)

// request is what a client sends to the border, once or more often under one key.
type request struct {
	asked   string // as clients name it in their record
	key     string
	body    string
	orderID string
	command func() schemas.Message // the next sending of it
	sent    int
}

// waiting is a request that ingest has written and whose outcome it waits for.
type waiting struct {
	b       *buyer
	request *request
	done    bool
}

const (
	outcomeMS = 5_000 // that a client's answer waits for the outcome
	sendings  = 6     // of one request, at most
)

// send is one sending: the request may be lost on its way, be written twice, or its answer be lost.
func (b *buyer) send(r *request) {
	w := b.w
	r.sent++
	m := r.command()
	if w.fails(b.actor, w.lost/2, "request lost") {
		w.after(outcomeMS, func() { b.unclear(r) })
		return
	}
	wait := &waiting{b: b, request: r}
	w.after(w.delay(b.actor), func() {
		w.waiting[schemas.CauseOf(m)] = wait
		w.tell(m)
		w.after(outcomeMS, func() { b.later(wait) })
	})
	if w.fails(b.actor, w.twice, "command written twice") {
		w.after(w.delay(b.actor)+b.between(0, 3_000), func() { w.tell(m) })
	}
}

// unclear: the client was told that it may or may not have been.
func (b *buyer) unclear(r *request) {
	b.w.told.Add(workload.Told{Key: r.key, Asked: r.asked, Request: r.body, HTTP: 503})
	b.maybeAgain(r, 1)
}

// maybeAgain repeats the request, within reason.
func (b *buyer) maybeAgain(r *request, p float64) {
	if r.sent < sendings && b.chance(p) {
		b.w.result.Faults["request repeated"]++
		b.w.after(b.between(0, 3_000), func() { b.send(r) })
	}
}

// later: nothing was heard of it in time.
func (b *buyer) later(wait *waiting) {
	if wait.done {
		return
	}
	wait.done = true
	r := wait.request
	t := workload.Told{Key: r.key, Asked: r.asked, Request: r.body, HTTP: 202}
	if r.asked == "place" { // the others name an order that may not be there
		t.OrderID = r.orderID
	}
	b.w.told.Add(t)
	b.maybeAgain(r, .5)
}

// hear: the follower of facts and outcomes met the cause of something that is perhaps waited for.
func (w *world) hear(cause string, outcome schemas.Message) {
	wait := w.waiting[cause]
	if wait == nil {
		return
	}
	delete(w.waiting, cause)
	if wait.done {
		return
	}
	wait.done = true
	b, r := wait.b, wait.request
	if w.fails(b.actor, w.lost/2, "answer lost") {
		w.after(outcomeMS, func() { b.unclear(r) })
		return
	}
	w.after(w.delay(b.actor), func() {
		w.told.Add(b.answer(r, outcome))
		b.maybeAgain(r, w.repeats)
	})
}

// answer is what the client hears.
func (b *buyer) answer(r *request, outcome schemas.Message) workload.Told {
	t := workload.Told{Key: r.key, Asked: r.asked, Request: r.body, HTTP: 201}
	if refused, ok := outcome.(*schemas.CommandRefused); ok {
		t.HTTP, t.Code, t.Version = 409, string(refused.Code), refused.Version
		if refused.Code == schemas.RefusalCodeKeyReused {
			t.HTTP = 422
		}
		return t
	}
	version := int64(0)
	switch o := outcome.(type) {
	case *schemas.CommandRepeated:
		version, t.Replayed = o.Version, true
	case interface{ FactHead() *schemas.Fact }:
		version = o.FactHead().Version
	}
	row := b.w.row(r.orderID)
	t.OrderID = r.orderID
	if row == nil || row.Version < version { // the view is held up by a transaction that the outcome was not behind
		t.HTTP = 202
		return t
	}
	t.Status, t.Version, t.PlacedAt = string(row.Order.Status), row.Version, fmt.Sprint(row.Order.PlacedAtMS)
	var lines []byte
	for _, l := range row.Order.Lines {
		lines = fmt.Appendf(lines, "%d %s %d\n", l.Line, l.ProductID, l.Quantity)
	}
	t.Lines = workload.Digest(lines)
	return t
}

// row is the order as its view has it now; nil: it has none.
func (w *world) row(id string) *schemas.OrderRow {
	row, _ := schemas.Decode(w.orders[id]).(*schemas.OrderRow)
	return row
}

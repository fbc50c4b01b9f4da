package gateways

import (
	"context"
	"fmt"
	"time"

	"oms/gateways/payment"
	"oms/schemas"
	"oms/topics"
)

// job is a request from its record until its reply is in the log.
type job struct {
	claim   *claim
	offset  int64
	request payment.Request
	parent  topics.Headers
	since   time.Time // when it became its turn
	next    *job      // the next request of the same payment
}

// enqueue gives the job its place behind the payment's others.
func (d *Dispatcher) enqueue(j *job) {
	d.mu.Lock()
	before := d.last[j.request.PaymentID]
	d.last[j.request.PaymentID] = j
	if before != nil {
		before.next = j
	}
	d.mu.Unlock()
	if before == nil {
		d.turn(j)
	}
}

// turn: nothing of the payment is before the job any more. The lane has room for every record that is taken, so this never waits.
func (d *Dispatcher) turn(j *job) {
	j.since = time.Now()
	if l := d.lanes[j.request.Provider]; l != nil {
		l.jobs <- j
		return
	}
	if !j.claim.begin() {
		d.leave(j)
		return
	}
	d.log.Warn("a request names a provider that is not configured; it is answered UNAVAILABLE", "provider", j.request.Provider, "request_id", j.request.RequestID)
	d.reply(j, payment.Answer{Outcome: schemas.PaymentOutcomeUnavailable, Reason: fmt.Sprintf("provider %q is not configured", j.request.Provider)})
}

// work is one of a lane's workers.
func (d *Dispatcher) work(ctx context.Context, l *lane) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-l.jobs:
			if !j.claim.begin() {
				d.leave(j)
				continue
			}
			start := time.Now()
			a, fault := l.ask(ctx, j.request, j.since)
			if fault != nil && ctx.Err() != nil {
				j.claim.abandon() // stopping, not failing: the next owner asks again
				return
			}
			d.metrics.asked(l.name, j.request.Operation, a.Outcome, time.Since(start))
			if fault != nil { // in a bad hour there are thousands of these: the metrics and the breaker's line tell that it is one
				d.log.Debug("a provider gave no answer", "provider", l.name, "request_id", j.request.RequestID, "operation", j.request.Operation, "outcome", a.Outcome, "error", fault)
			}
			d.reply(j, a)
		}
	}
}

// reply says the answer to the order; when it is in the log the job is done.
func (d *Dispatcher) reply(j *job, a payment.Answer) {
	m := j.request.Reply(a)
	value, err := schemas.Encode(m)
	if err != nil { // payment.Ask lets through only outcomes that the schema has
		d.fail(err)
		return
	}
	d.send(topics.Of(m).Name, []byte(m.Key()), value, topics.HeadersOf(m, "gateways", time.Now().UnixMilli(), j.parent), func() {
		j.claim.end(j.offset)
		d.leave(j)
	})
}

// leave lets the payment's next request have its turn.
func (d *Dispatcher) leave(j *job) {
	d.mu.Lock()
	next := j.next
	if next == nil {
		delete(d.last, j.request.PaymentID)
	}
	d.mu.Unlock()
	if next != nil {
		d.turn(next)
	}
	d.free()
}

// free makes room for another record.
func (d *Dispatcher) free() {
	d.taken.Add(-1)
	select {
	case d.freed <- struct{}{}:
	default:
	}
}

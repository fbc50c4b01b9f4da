package audit

import (
	"slices"

	"oms/schemas"
	"oms/topics"
)

var inventoryEvents = topics.InventoryEvents.Name

// finish checks what only the whole shows, and reports.
func (a *auditor) finish() Report {
	rest := a.atRest()
	a.settleLife()
	a.settleStock(rest)
	a.settleMoney()
	for at, m := range a.inbox {
		if a.complete.Checked++; m.letters == 0 {
			a.due(&a.complete, m.ms, at, "a record of an inbox that is no message has no dead letter")
		} else if m.letters > 1 {
			a.complete.violated(at, "a record has %d dead letters", m.letters)
		}
	}
	r := Report{Laws: a.all(), State: "live", Records: a.records, DeadLetters: a.letters, Dead: a.dead}
	if rest {
		r.State = "at rest"
	}
	for _, l := range r.Laws {
		r.Violations += l.Violations
	}
	return r
}

// atRest tells whether every message has arrived: the topics stood still while they were read, products answered all that they were asked and orders took all
// answers. When nothing was written for longer than messages are under way, what has not arrived never will, and the system is at rest as well.
func (a *auditor) atRest() bool {
	if !a.still || a.asOfMS-a.newestMS > grace.Milliseconds() {
		return a.still
	}
	for _, o := range a.orders {
		if o.row.awaiting != 0 {
			return false
		}
	}
	return a.asked == a.answered
}

// settleLife: what was accepted is decided (I6), by the facts that the rows count (I7), once per key (I11).
func (a *auditor) settleLife() {
	for id, o := range a.orders {
		a.decided.Checked++
		switch {
		case o.placed.topic == "" && o.created.topic == "":
			if o.row.at.topic != "" || o.events.sequence > 0 || o.payments.sequence > 0 {
				a.decided.violated(o.row.at, "there is something of %q, which was never created", id)
			}
		case o.created.topic == "" && o.dead.topic == "":
			a.due(&a.decided, o.placedMS, o.placed, "%q was placed and never created", id)
		case o.placed.topic == "":
			if a.still {
				a.decided.violated(o.created, "%q was created, and nobody placed it", id)
			}
		case o.status == schemas.OrderStatusPending:
			a.due(&a.decided, o.deadline, o.created, "%q was to be decided by %d and is not", id, o.deadline)
		}
		if o.created.topic != "" && o.placed.topic != "" {
			a.repeats.demand(slices.Contains(o.commands, o.cause), o.created, "%q was created by a command that is not among its own", id)
		}
		if !a.still || o.row.at.topic == "" && o.events.sequence == 0 {
			continue
		}
		a.complete.demand(o.row.events == o.events.sequence && o.row.payments == o.payments.sequence, o.row.at, "the row of %q counts %d and %d facts, the topics have %d and %d",
			id, o.row.events, o.row.payments, o.events.sequence, o.payments.sequence)
		a.legal.demand(o.row.status == o.status, o.row.at, "the row of %q is %s, its facts say %s", id, o.row.status, o.status)
	}
}

package audit

import (
	"slices"
	"time"

	"oms/schemas"
	"oms/topics"
)

var inventoryEvents = placeIndex[topics.InventoryEvents.Name]

// settlement is a look at the books as a whole: it counts on its own laws, so that the books can be kept on after it.
type settlement struct {
	*Auditor
	laws         // the auditor's as they are, and what the whole shows
	asOfMS int64 // UTC ms
	still  bool
	rest   bool // every message has arrived
}

// Report checks what only the whole shows, as of a moment: when the ends of what was taken were asked for. still says that nothing was added to the topics while they
// were read up to there. Without it, what is not there may still come, and is counted as under way. The books stay as they are: more may be taken, and reported again.
func (a *Auditor) Report(asOf time.Time, still bool) Report {
	s := &settlement{Auditor: a, laws: a.laws, asOfMS: asOf.UnixMilli(), still: still}
	s.rest = s.atRest()
	s.settleLife()
	s.settleStock()
	s.settleCharges()
	s.settleMoney()
	s.settleHearings()
	s.settleInboxes()
	s.settleWaits()
	r := Report{Laws: s.all(), State: "live", Records: a.records, Dead: a.dead}
	if s.rest {
		r.State = "at rest"
	}
	slices.SortFunc(a.letters, func(x, y named) int { return x.at.compare(y.at) })
	for _, l := range a.letters {
		r.DeadLetters = append(r.DeadLetters, l.text)
	}
	for _, l := range r.Laws {
		r.Violations += l.Violations
	}
	return r
}

// Violations that records and files have shown so far by themselves, and the first of the first law that is broken. It is cheap enough to ask after each record.
func (a *Auditor) Violations() (n int64, first string) {
	for _, l := range a.all() {
		if n += l.Violations; first == "" && l.First != "" {
			first = l.ID + ": " + l.First
		}
	}
	return n, first
}

// Laws as records and files have shown them so far.
func (a *Auditor) Laws() []*Law { return a.all() }

// atRest tells whether every message has arrived: the topics stood still while they were read, products answered all that they were asked and orders took all
// answers. When nothing was written for longer than messages are under way, what has not arrived never will, and the system is at rest as well.
func (s *settlement) atRest() bool {
	if !s.still || s.asOfMS-s.newestMS > Grace.Milliseconds() {
		return s.still
	}
	for _, o := range s.orders {
		if o.row.awaiting != 0 {
			return false
		}
	}
	return s.asked == s.answered
}

// settleInboxes: what is no message has one dead letter.
func (s *settlement) settleInboxes() {
	for at, m := range s.inbox {
		if s.complete.Checked++; m.letters == 0 {
			s.due(&s.complete, m.ms, at, "a record of an inbox that is no message has no dead letter")
		} else if m.letters > 1 && at.topic != placeIndex[topics.PaymentRequests.Name] { // gateways set aside at least once
			s.complete.Violated(at, "a record has %d dead letters", m.letters)
		}
	}
}

// settleWaits: nothing waits for long, neither for a group nor for an answer. What the payment provider owes has a deadline of its own, and is looked at with it (I6).
func (s *settlement) settleWaits() {
	if !s.prompt.Partly {
		for p, left := range s.backlog {
			if s.prompt.Checked++; len(left) > 0 {
				s.due(&s.prompt, left[0].ms, Place{left[0].offset, p.partition, p.topic}, "this record and %d behind it were not taken for %d s", len(left)-1, (s.asOfMS-left[0].ms)/1000)
			}
		}
	}
	for id, o := range s.orders {
		if s.prompt.Checked++; o.row.awaiting != 0 {
			s.due(&s.prompt, o.row.nowMS, o.row.at, "%q waits for answers of %d products for %d s", id, o.row.awaiting, (s.asOfMS-o.row.nowMS)/1000)
		}
	}
}

// settleLife: what was accepted is decided (I6), by the facts that the rows count (I7), once per key (I11).
func (s *settlement) settleLife() {
	for id, o := range s.orders {
		s.decided.Checked++
		switch {
		case o.placed.none() && o.created.none():
			if !o.row.at.none() || o.events.sequence > 0 || o.payments.sequence > 0 {
				s.decided.Violated(o.row.at, "there is something of %q, which was never created", id)
			}
		case o.created.none() && o.dead.none():
			s.due(&s.decided, o.placedMS, o.placed, "%q was placed and never created", id)
		case o.placed.none():
			if s.still {
				s.decided.Violated(o.created, "%q was created, and nobody placed it", id)
			}
		case o.status.of() == schemas.OrderStatusPending:
			s.due(&s.decided, o.deadline, o.created, "%q was to be decided by %d and is not", id, o.deadline)
		}
		if !o.created.none() && !o.placed.none() {
			by := slices.IndexFunc(o.commands, func(c command) bool { return c.id == o.cause })
			s.repeats.Demand(by >= 0, o.created, "%q was created by a command that is not among its own", id)
			s.owners.Demand(by < 0 || o.commands[by].owner == o.owner, o.created, "%q belongs to another shop or buyer than the command that created it", id)
		}
		if o.undone != 0 {
			s.owners.Demand(!s.foreign[o.undone], o.created, "%q was cancelled by a command of another shop", id)
		}
		if o.row.fixed != 0 && !o.confirmed.none() {
			s.legal.Demand(o.row.fixed == o.prices, o.row.at, "lines or total of %q are others than were confirmed at %s", id, o.confirmed)
		}
		if !s.still || o.row.at.none() && o.events.sequence == 0 {
			continue
		}
		s.complete.Demand(o.row.events == o.events.sequence && o.row.payments == o.payments.sequence, o.row.at, "the row of %q counts %d and %d facts, the topics have %d and %d",
			id, o.row.events, o.row.payments, o.events.sequence, o.payments.sequence)
		s.legal.Demand(o.row.status == o.status, o.row.at, "the row of %q is %s, its facts say %s", id, o.row.status, o.status)
	}
}

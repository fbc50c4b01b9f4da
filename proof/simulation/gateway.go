package simulation

import (
	"context"

	"oms/gateways/payment"
	"oms/proof/provider"
	"oms/schemas"
	"oms/topics"
)

// gateway is the dispatcher of payment requests: it asks at least once, requests of one payment one after the other in the order of the log.
type gateway struct {
	w         *world
	requests  []*partition
	d         dice
	dead      bool
	life      int     // what was begun in an earlier one is void
	position  []int64 // next offset to take, by partition
	committed []int64
	jobs      [][]*job        // not yet passed by committed, by partition, in order of offset
	last      map[string]*job // by payment: its latest that is not done
}

// job is a request from its record until its reply is in the log.
type job struct {
	a       *actor
	request payment.Request
	offset  int64
	done    bool
	doubt   bool  // the provider may have heard it
	until   int64 // when the gateway stops asking
	next    *job  // of the same payment
}

const attemptMS = 2_000 // one asking

// openOutside opens the gateway and its provider.
func (w *world) openOutside() {
	d := w.dice("provider", 0)
	declines, less, acts := d.Float64()*.2, d.Float64()*.1, d.Float64()*.1
	w.provider = &provider.Provider{Frank: d.chance(.5), Ledger: &w.ledger, NowMS: func() int64 { return w.now }}
	w.provider.Declines = func(r payment.Request) bool { return w.actors[r.OrderID].chance(declines / 2) }
	w.provider.Verdict = func(r payment.Request) (schemas.PaymentOutcome, int64) {
		a := w.actors[r.OrderID]
		outcome, amount := schemas.PaymentOutcomeAuthorized, r.AmountMinor
		if r.Capture == schemas.CapturePolicyAtPlacing && a.chance(.5) {
			outcome = schemas.PaymentOutcomeCaptured
		}
		switch {
		case a.chance(declines):
			return schemas.PaymentOutcomeDeclined, 0
		case a.chance(acts):
			w.after(a.between(500, 90_000), func() { w.act(a, r) })
			return schemas.PaymentOutcomeRequiresAction, 0
		case a.chance(less):
			w.result.Faults["authorized for less"]++
			amount = max(1, amount/2)
		}
		return outcome, amount
	}
	g := &gateway{w: w, d: d, requests: w.topics[topics.PaymentRequests.Name], position: make([]int64, w.partitions), committed: make([]int64, w.partitions), jobs: make([][]*job, w.partitions), last: map[string]*job{}}
	w.gateway = g
	for _, p := range g.requests {
		p.reader = func(r *record) { w.after(w.delay(w.owner(r)), func() { g.read(p.number) }) }
	}
}

// act: the buyer does what the provider required, and the provider calls back, or means to.
func (w *world) act(a *actor, r payment.Request) {
	answer, open := w.provider.Act(r.RequestID)
	if !open || w.fails(a, w.lost, "callback lost") {
		return
	}
	reply := r.Reply(answer)
	reply.ID += ".callback"
	w.reply(a, reply)
}

// reply says an answer to the order, now and then twice.
func (w *world) reply(a *actor, m *schemas.PaymentReply) {
	w.tell(m)
	if w.fails(a, w.twice, "reply written twice") {
		w.after(w.delay(a)+a.between(0, 5_000), func() { w.tell(m) })
	}
}

// read takes what is readable of a partition.
func (g *gateway) read(p int32) {
	in := g.requests[p]
	for ; !g.dead && g.position[p] < int64(in.stable); g.position[p]++ {
		r := in.records[g.position[p]]
		if !r.readable() {
			continue
		}
		request, err := payment.RequestOf(schemas.Decode(r.Value))
		if err != nil {
			g.bury(r, err)
			continue
		}
		j := &job{a: g.w.owner(r), request: request, offset: r.Offset}
		g.jobs[p] = append(g.jobs[p], j)
		before := g.last[request.PaymentID]
		g.last[request.PaymentID] = j
		if before != nil {
			before.next = j
			continue
		}
		g.turn(j)
	}
}

// bury sets a record aside that is no request. Until something after it is done and committed, the next life of the gateway buries it again.
func (g *gateway) bury(r *record, why error) {
	g.w.append(g.w.home(topics.PaymentDeadLetters, string(r.Key)), string(r.Key), r.Value, nil, g.w.now, nil, letterHeaders(r, why.Error())...)
}

// turn: nothing of the payment is before the job any more.
func (g *gateway) turn(j *job) {
	j.until = g.w.now + g.w.hold
	g.ask(j)
}

// ask sends a request to the provider once. What becomes of it is drawn now, so that it does not depend on what others do meanwhile.
func (g *gateway) ask(j *job) {
	w, a, life := g.w, j.a, g.life
	heard := func(ms int64, do func()) { // by this life of the gateway
		w.after(ms, func() {
			if g.life == life {
				do()
			}
		})
	}
	switch {
	case w.fails(a, w.unreached, "provider not reached"):
		heard(a.between(0, 50), func() { g.again(j) })
	case w.fails(a, w.silent, "done and not answered in time"):
		w.after(w.delay(a), func() { w.perform(j.request) })
		j.doubt = true
		heard(attemptMS, func() { g.again(j) })
	case w.fails(a, w.late, "request arrived late"):
		w.after(a.between(attemptMS, 120_000), func() { w.perform(j.request) })
		j.doubt = true
		heard(attemptMS, func() { g.again(j) })
	case w.fails(a, w.gone, "gateway killed between effect and reply"):
		w.after(w.delay(a), func() {
			w.perform(j.request)
			if g.life == life {
				g.die()
			}
		})
	default:
		w.after(w.delay(a), func() {
			answer := w.perform(j.request)
			heard(w.delay(a), func() { g.answer(j, answer) })
		})
	}
}

// perform lets a request meet the provider. What it refuses it refuses for good.
func (w *world) perform(r payment.Request) payment.Answer {
	a, err := payment.Ask(context.Background(), w.provider, r)
	if err != nil {
		return payment.Answer{Outcome: schemas.PaymentOutcomeRefused, Reason: err.Error()}
	}
	return a
}

// again asks once more while there is time, and answers without an answer after that.
func (g *gateway) again(j *job) {
	pause := j.a.between(0, 1_000)
	switch {
	case g.w.now+pause < j.until:
		life := g.life
		g.w.after(pause, func() {
			if g.life == life {
				g.ask(j)
			}
		})
	case j.doubt:
		g.answer(j, payment.Answer{Outcome: schemas.PaymentOutcomeUnknown, Reason: "no answer"})
	default:
		g.answer(j, payment.Answer{Outcome: schemas.PaymentOutcomeUnavailable, Reason: "not reached"})
	}
}

// answer says the reply; with it in the log the job is done and the payment's next has its turn.
func (g *gateway) answer(j *job, a payment.Answer) {
	reply := j.request.Reply(a)
	if a.AmountMinor > 0 && g.w.fails(j.a, g.w.lies, "told with an amount that cannot be") {
		reply.AmountMinor = []int64{0, a.AmountMinor + 1_000_000}[j.a.IntN(2)]
	}
	g.w.reply(j.a, reply)
	j.done = true
	if j.next == nil {
		delete(g.last, j.request.PaymentID)
	} else {
		g.turn(j.next)
	}
	if j.a.chance(.3) {
		g.commit()
	}
}

// commit notes how far everything is done without a gap.
func (g *gateway) commit() {
	for p, jobs := range g.jobs {
		for len(jobs) > 0 && jobs[0].done {
			g.committed[p] = jobs[0].offset + 1
			jobs = jobs[1:]
		}
		g.jobs[p] = jobs
	}
}

// die ends the process; the next one asks again what was not committed.
func (g *gateway) die() {
	g.dead = true
	g.life++
	clear(g.last)
	g.w.after(g.d.between(100, 20_000), func() {
		g.dead = false
		copy(g.position, g.committed)
		for p := range g.jobs {
			g.jobs[p] = nil
			g.read(int32(p))
		}
	})
}

package audit

import "oms/proof/audit/checkpoint"

// Fields shows the books of the topics, to be written or to be filled in a new Auditor; those of files are none of it. Whatever is added to the books is to be added here.
func (a *Auditor) Fields(c *checkpoint.Codec) {
	for _, l := range a.all() {
		l.fields(c)
	}
	k := keeper{c, a}
	checkpoint.Map(c, a.orders, k.text, func(o **order) { k.order(made(o)) })
	checkpoint.Map(c, a.products, k.name, func(p **product) { k.product(made(p)) })
	checkpoint.Map(c, a.facts, func(f *factKey) {
		checkpoint.Number(c, &f.topic)
		k.name(&f.key)
	}, func(t **trail) { k.trail(made(t)) })
	checkpoint.Map(c, a.effects, func(e *effect) {
		k.text(&e.request)
		checkpoint.Text(c, &e.what)
	}, func(e **charge) {
		k.amount(&made(e).fact)
		k.amount(&(*e).done)
		checkpoint.Number(c, &(*e).doneMS)
	})
	for _, set := range []map[uint64]bool{a.requests, a.foreign, a.counted} {
		checkpoint.Map(c, set, func(h *uint64) { checkpoint.Number(c, h) }, func(b *bool) { checkpoint.Bool(c, b) })
	}
	checkpoint.Map(c, a.inbox, k.place, func(m **misfit) {
		checkpoint.Number(c, &made(m).ms)
		checkpoint.Number(c, &(*m).letters)
	})
	checkpoint.Map(c, a.backlog, func(s *stretch) {
		checkpoint.Number(c, &s.topic)
		checkpoint.Number(c, &s.partition)
	}, func(l *[]waiting) {
		checkpoint.List(c, l, func(w *waiting) {
			checkpoint.Number(c, &w.offset)
			checkpoint.Number(c, &w.ms)
		})
	})
	for _, n := range []*int64{&a.asked, &a.answered, &a.records, &a.dead, &a.newestMS} {
		checkpoint.Number(c, n)
	}
	checkpoint.List(c, &a.letters, func(l *named) {
		k.place(&l.at)
		k.text(&l.text)
	})
}

// made is what a pointer points to, which is new where it points to nothing.
func made[T any](p **T) *T {
	if *p == nil {
		*p = new(T)
	}
	return *p
}

func (l *Law) fields(c *checkpoint.Codec) {
	checkpoint.Number(c, &l.Checked)
	checkpoint.Number(c, &l.Violations)
	checkpoint.Text(c, &l.First)
	keeper{c: c}.place(&l.firstAt)
}

// keeper shows the parts of the books to a codec.
type keeper struct {
	c *checkpoint.Codec
	a *Auditor
}

func (k keeper) text(s *string) { checkpoint.Text(k.c, s) }

// name is written as its text: names are given anew.
func (k keeper) name(n *name) {
	var s string
	if !k.c.Reading() {
		s = k.a.text(*n)
	}
	if k.text(&s); k.c.Reading() {
		*n = k.a.one(s)
	}
}

func (k keeper) numbers(n ...*int64) {
	for _, n := range n {
		checkpoint.Number(k.c, n)
	}
}

func (k keeper) hashes(h ...*uint64) {
	for _, h := range h {
		checkpoint.Number(k.c, h)
	}
}

func (k keeper) place(p *Place) {
	checkpoint.Number(k.c, &p.topic)
	checkpoint.Number(k.c, &p.partition)
	checkpoint.Number(k.c, &p.offset)
}

func (k keeper) status(s *status) {
	is := s.of()
	checkpoint.Text(k.c, &is)
	*s = statusOf(is)
}

func (k keeper) stamp(s *stamp) {
	checkpoint.Number(k.c, &s.version)
	checkpoint.Number(k.c, &s.ordinal)
}

func (k keeper) trail(t *trail) {
	checkpoint.Number(k.c, &t.sequence)
	k.stamp(&t.last)
}

func (k keeper) amount(a *amount) {
	k.place(&a.at)
	checkpoint.Number(k.c, &a.minor)
	k.name(&a.currency)
}

func (k keeper) hold(h *hold) {
	k.name(&h.product)
	k.name(&h.location)
	checkpoint.Number(k.c, &h.line)
	checkpoint.Number(k.c, &h.quantity)
	k.place(&h.at)
}

func (k keeper) order(o *order) {
	for _, p := range []*Place{&o.placed, &o.created, &o.dead, &o.statusAt, &o.confirmed} {
		k.place(p)
	}
	k.numbers(&o.placedMS, &o.deadline, &o.statusMS, &o.total)
	k.hashes(&o.cause, &o.prices, &o.owner, &o.placer, &o.shop, &o.undone)
	checkpoint.List(k.c, &o.commands, func(m *command) { k.hashes(&m.id, &m.owner) })
	checkpoint.Bool(k.c, &o.invoice)
	k.status(&o.status)
	k.trail(&o.events)
	k.trail(&o.payments)
	checkpoint.List(k.c, &o.stamps, k.stamp)
	checkpoint.List(k.c, &o.open, k.hold)
	m := &o.money
	k.numbers(&m.authorized, &m.taken, &m.fromHold, &m.voided, &m.refunded)
	k.row(&o.row)
}

func (k keeper) row(r *row) {
	k.place(&r.at)
	k.numbers(&r.version, &r.events, &r.payments, &r.nowMS)
	k.hashes(&r.sum, &r.fixed)
	k.status(&r.status)
	checkpoint.Number(k.c, &r.awaiting)
	checkpoint.List(k.c, &r.held, k.hold)
	k.numbers(&r.authorized, &r.captured, &r.refunded)
}

func (k keeper) product(p *product) {
	if p.levels == nil {
		p.levels = map[name]*level{}
	}
	checkpoint.Map(k.c, p.levels, k.name, func(l **level) {
		k.numbers(&made(l).onHand, &(*l).reserved, &(*l).promised)
		k.place(&(*l).at)
	})
	k.numbers(&p.version, &p.rowSeq)
	k.hashes(&p.sum)
	checkpoint.List(k.c, &p.row, func(l *rowLevel) {
		k.name(&l.location)
		k.numbers(&l.onHand, &l.reserved)
	})
	k.place(&p.rowAt)
	k.amount(&p.listed)
	k.amount(&p.sold)
}

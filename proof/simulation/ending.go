package simulation

// endSoon ends the open transaction in a moment; what goes wrong with that is drawn from who has the first record in it. asked are the deadlines that it says.
func (m *member) endSoon(a *actor, asked []due) {
	life := m.life
	m.w.after(m.between(1, m.w.commitMS), func() {
		if m.life == life {
			m.endNow(a, asked)
		}
	})
}

// endNow is the end of a transaction, which has three outcomes: committed, aborted, and not known.
func (m *member) endNow(a *actor, asked []due) {
	w := m.w
	switch {
	case m.session != m.g.session || m.txn.ended:
		w.result.Faults["zombie fenced"]++
		m.rejoin()
	case w.fails(a, w.ending/3, "killed before a commit"):
		m.die()
	case w.fails(a, w.pause, "stood still before a commit"):
		m.stand(a, asked)
	case w.fails(a, w.unknown, "commit not heard of"):
		if a.chance(.5) {
			m.commit()
		}
		m.drop() // whatever it was, the state is read again
		m.begin()
	default:
		m.commit()
		if w.fails(a, w.ending/3, "killed between commit and state") {
			m.die()
			return
		}
		m.keep(asked)
		if w.fails(a, w.ending/3, "killed after a commit") {
			m.die()
			return
		}
		m.turn()
	}
}

// commit makes everything of the transaction visible at once.
func (m *member) commit() {
	m.w.result.Commits++
	for _, p := range m.owned {
		if m.g.pending[p] == m.txn {
			m.g.committed[p] = m.position[p]
		}
	}
	for i := range m.steps {
		m.w.met(m.g, &m.steps[i])
	}
	m.w.result.Steps += len(m.steps)
	m.w.end(m.txn, true)
}

// keep lets the state follow a commit.
func (m *member) keep(asked []due) {
	m.txn = nil
	for _, key := range m.changed {
		m.stores[m.w.home(m.g.Table, key).number].put(key, m.rows[key])
	}
	for p, at := range m.rowsAt {
		m.stores[p].offset = at
	}
	for _, d := range asked {
		m.asked[d.key] = d.ms
	}
	for i := range m.steps {
		delete(m.asked, m.steps[i].key)
	}
	if m.chance(.05) {
		for _, s := range m.stores {
			s.flush()
		}
	}
}

// die ends the process. Its transaction stays open until it comes back or the broker has had enough of it.
func (m *member) die() {
	m.life++
	m.alive, m.running = false, false
	open := m.txn
	m.txn = nil
	wiped := m.w.fails(m.actor, m.w.wiped, "state deleted")
	for i, s := range m.stores {
		if s.kill(); wiped {
			m.stores[i] = newStore()
		}
	}
	life := m.life
	m.w.after(sessionMS, func() { m.missed(life) })
	m.w.after(transactionMS, func() { m.w.end(open, false) })
	m.w.after(m.away(), func() {
		m.w.end(open, false) // its first act: to ask for its producer id
		m.alive = true
		m.rejoin()
	})
}

// stand: the process stands still and goes on later as if nothing had been.
func (m *member) stand(a *actor, asked []due) {
	m.paused = true
	life, open := m.life, m.txn
	m.w.after(sessionMS, func() { m.missed(life) })
	m.w.after(transactionMS, func() {
		if m.paused && m.life == life {
			m.w.end(open, false)
		}
	})
	m.w.after(m.between(1_000, 40_000), func() {
		m.paused = false
		m.endNow(a, asked)
	})
}

// away is how long a dead process takes to come back: mostly a moment, now and then longer than its place is kept.
func (m *member) away() int64 {
	if m.chance(.85) {
		return m.between(50, 1_500)
	}
	return m.between(1_500, 25_000)
}

// missed: the group has waited long enough.
func (m *member) missed(life int) {
	if m.life == life && m.joined && (m.paused || !m.alive) {
		m.joined = false
		m.g.rebalance()
	}
}

// rejoin: a member that kept its place goes on with its partitions, one that lost it asks for a new one.
func (m *member) rejoin() {
	if m.joined && m.session == m.g.session {
		m.begin()
		return
	}
	m.joined = true
	m.g.rebalance()
}

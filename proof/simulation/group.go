package simulation

import (
	"oms/internal/kafka"
	"oms/internal/stream"
	"oms/processors"
)

// group is a consumer group of processors: its members share the partitions of inbox and table.
type group struct {
	*processors.Group
	w         *world
	inbox     []*partition
	table     []*partition
	committed []int64        // next inbox offset, by partition
	pending   []*transaction // the last that moves that offset
	members   []*member
	session   int // generation of the group
}

const (
	sessionMS     = 10_000 // a member that is silent for longer loses its partitions
	transactionMS = 12_000 // the broker aborts a transaction that is open for longer
)

func (w *world) openGroups() {
	for i := range processors.Groups {
		g := &group{Group: &processors.Groups[i], w: w, committed: make([]int64, w.partitions), pending: make([]*transaction, w.partitions)}
		g.inbox, g.table = w.topics[g.Inbox.Name], w.topics[g.Table.Name]
		for n := range w.members {
			m := &member{g: g, w: w, actor: &actor{w.dice(g.Name, uint64(n))}, joined: true, alive: true, position: make([]int64, w.partitions), backlog: make([]int64, w.partitions)}
			m.skew = m.between(-w.skewMS, w.skewMS)
			for range w.partitions {
				m.stores = append(m.stores, newStore())
			}
			g.members = append(g.members, m)
		}
		for _, p := range g.inbox {
			p.reader = func(r *record) {
				w.after(w.delay(w.owner(r)), func() {
					if m := g.ownerOf(p.number); m != nil {
						m.turn()
					}
				})
			}
		}
		w.groups = append(w.groups, g)
		g.rebalance()
	}
}

func (g *group) ownerOf(partition int32) *member {
	for _, m := range g.members {
		for _, p := range m.owned {
			if p == partition && m.running && m.session == g.session {
				return m
			}
		}
	}
	return nil
}

// rebalance hands the partitions to the members that are there. Those that stand still or are dead do not come along.
func (g *group) rebalance() {
	g.session++
	var there []*member
	for _, m := range g.members {
		if m.joined = m.joined && m.alive && !m.paused; m.joined {
			there = append(there, m)
		}
	}
	for i, m := range there {
		m.owned = nil
		for p := range g.w.partitions {
			if (int(p)+g.session)%len(there) == i {
				m.owned = append(m.owned, p)
			}
		}
		m.begin()
	}
}

// member is one process of a group, with the state that it keeps on its disk.
type member struct {
	*actor
	g      *group
	w      *world
	skew   int64 // of its clock
	stores []*store

	alive   bool
	paused  bool // it stands still, and does not know
	joined  bool // it has its place in the group
	running bool // its state is up to date, and it takes records

	life    int // what was begun in an earlier one is void
	session int // generation of the group that it knows of
	owned   []int32

	position []int64          // next inbox offset to take
	backlog  []int64          // end of the inbox when the partition was assigned: before it no deadline is asked for
	asked    map[string]int64 // by key: the deadline that was said into the inbox, until a record of the key passes
	timer    int64            // when it looks for deadlines; 0: not set

	txn      *transaction
	overlay  map[string]*processors.State
	rows     map[string][]byte // of the overlay
	changed  []string          // keys of the overlay, in order
	rowsAt   map[int32]int64
	rowTimes map[string]int64
	steps    []step
}

// step is one record as the group took it.
type step struct {
	key    string
	before []byte
	taken  processors.Taken
}

// begin starts a session: whatever was under way is aborted, and the state is brought up to date.
func (m *member) begin() {
	m.drop()
	m.life++
	m.session, m.running, m.timer, m.asked = m.g.session, false, 0, map[string]int64{}
	life := m.life
	m.w.after(m.between(1, 200), func() { m.recover(life) })
}

// drop aborts the open transaction, and with it all that it would have changed.
func (m *member) drop() {
	m.w.end(m.txn, false)
	m.txn = nil
}

// recover reads the changelogs from where the stored rows stand. It waits for transactions that are still open, in the table or over the offsets.
func (m *member) recover(life int) {
	if m.life != life {
		return
	}
	for _, p := range m.owned {
		for _, t := range []*transaction{m.g.table[p].open(), m.g.pending[p]} {
			if t != nil && !t.ended {
				t.whenEnded = append(t.whenEnded, func() { m.recover(life) })
				return
			}
		}
	}
	for _, p := range m.owned {
		m.stores[p].recover(m.g.table[p])
		m.position[p], m.backlog[p] = m.g.committed[p], int64(m.g.inbox[p].stable)
	}
	m.running = true
	m.turn()
}

// turn is one round of the loop: deadlines that have come, else records that wait.
func (m *member) turn() {
	if !m.running || m.paused || m.txn != nil {
		return
	}
	if m.tick() {
		return
	}
	if records := m.poll(); len(records) > 0 {
		m.batch(records)
	}
}

// poll takes what is readable, up to a batch.
func (m *member) poll() (records []*record) {
	limit := int(m.between(1, m.w.batch))
	for _, p := range m.owned {
		in := m.g.inbox[p]
		for ; m.position[p] < int64(in.stable) && len(records) < limit; m.position[p]++ {
			if r := in.records[m.position[p]]; r.readable() {
				records = append(records, r)
			}
		}
	}
	return records
}

// batch takes records in one transaction: what they say is written as they say it, the last value of each row at the end.
func (m *member) batch(records []*record) {
	m.open()
	for _, p := range m.owned {
		m.g.pending[p] = m.txn
	}
	for _, r := range records {
		if m.w.fails(m.w.owner(r), m.w.crash, "killed within a batch") {
			m.die()
			return
		}
		m.take(r)
	}
	for _, key := range m.changed {
		p := m.w.home(m.g.Table, key)
		m.rowsAt[p.number] = int64(len(p.records))
		m.w.append(p, key, m.rows[key], nil, m.rowTimes[key], m.txn)
	}
	m.endSoon(m.w.owner(records[0]), nil)
}

func (m *member) open() {
	m.txn = &transaction{}
	m.overlay, m.rows, m.rowTimes, m.rowsAt = map[string]*processors.State{}, map[string][]byte{}, map[string]int64{}, map[int32]int64{}
	m.changed, m.steps = m.changed[:0], m.steps[:0]
}

// take is one step on the overlay. A row stays in memory until its batch ends, as in the engine.
func (m *member) take(r *record) {
	key := string(r.Key)
	before, there := m.rows[key]
	if !there {
		before = m.stores[r.Partition].rows[key]
	}
	row := m.overlay[key]
	if row == nil {
		row = m.g.State(before)
	}
	t := m.g.TakeOn(key, r.Value, r.Timestamp.UnixMilli(), func() *processors.State { return row })
	if t.Changed {
		if !there {
			m.changed = append(m.changed, key)
		}
		var err error
		if _, t.Row, m.rowTimes[key], err = row.Encode(); err != nil {
			m.w.violated("a row cannot be written: " + err.Error())
		}
		m.overlay[key], m.rows[key] = row, t.Row
	}
	m.steps = append(m.steps, step{key, before, t})
	if t.Dead != "" {
		m.w.append(m.w.home(m.g.DeadLetters, key), key, r.Value, nil, r.Timestamp.UnixMilli(), m.txn, letterHeaders(r, t.Dead)...)
	}
	for _, s := range t.Said {
		m.w.say(s.Message, s.Value, t.NowMS, m.txn)
	}
}

func letterHeaders(r *record, why string) (headers []kafka.Header) {
	for name, value := range stream.DeadLetterHeaders(stream.Origin{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}, why, 1) {
		headers = append(headers, kafka.Header{Key: name, Value: value})
	}
	return headers
}

// tick says the deadlines that have come into the inbox, in a transaction of their own.
func (m *member) tick() bool {
	if m.g.Tick == nil {
		return false
	}
	var found []due
	for _, p := range m.owned {
		if m.position[p] >= m.backlog[p] {
			found = append(found, m.stores[p].dueBy(m.now(), m.asked)...)
		}
	}
	if len(found) == 0 {
		m.arm()
		return false
	}
	m.open()
	for _, d := range found {
		said := m.g.Tick(d.key, d.ms)
		m.w.append(m.w.home(m.g.Inbox, d.key), d.key, encode(said), said, m.now(), m.txn)
	}
	m.endSoon(m.w.actors[found[0].key], found)
	return true
}

func (m *member) now() int64 { return m.w.now + m.skew }

// arm sets the timer for the next deadline.
func (m *member) arm() {
	for _, p := range m.owned {
		ms, wants := m.stores[p].wake(m.asked)
		at := max(m.w.now+1, ms-m.skew)
		if !wants || m.timer != 0 && m.timer <= at {
			continue
		}
		m.timer = at
		life := m.life
		m.w.after(at-m.w.now, func() {
			if m.life == life && m.timer == at {
				m.timer = 0
				m.turn()
			}
		})
	}
}

package processors

import (
	"errors"
	"fmt"
	"runtime/debug"

	"oms/schemas"
	"oms/topics"
)

// Taken is what came of one record of a group's inbox.
type Taken struct {
	Message schemas.Message // as it was read; a *schemas.Malformed when it could not be
	NowMS   int64           // time of the step, and of everything said in it
	Said    []Said
	Changed bool   // the row is another one from now on
	Row     []byte // of Take: what the row is from now on; nil: it stays as it was
	Dead    string // why the record is a dead letter: Said then holds only what a waiting client is told
	Failed  bool   // the record is a dead letter because the step failed, which is a defect of ours or a damaged row
	Newer   error  // a newer build wrote the row: the record is for a build that can read it, and nothing else here holds
}

// Said is a message with its bytes: everything is encoded before anything is emitted, so a step is said whole or not at all.
type Said struct {
	Message schemas.Message
	Value   []byte
}

// State is a row in memory while steps are taken on it. What a step leaves behind is what decoding its bytes would give.
type State struct {
	group  *Group
	row    Row    // nil: not read yet
	before []byte // as it was read or encoded last; nil: there is none yet
	taken  []step // since before
	nowMS  int64  // of the last step that changed it
}

// step is a record that was taken. Its bytes, not the message: the row may have made parts of that its own.
type step struct {
	value []byte
	nowMS int64
}

// State of the bytes of a row; nil bytes: there is none yet.
func (g *Group) State(before []byte) *State { return &State{group: g, before: before} }

// open reads the row. After a step that failed it is the row before that step once more: the steps that succeeded are taken again.
func (s *State) open() error {
	if s.row != nil {
		return nil
	}
	row := s.group.New()
	if s.before != nil {
		if err := schemas.Newer(s.before); err != nil {
			return err
		}
		m := schemas.Decode(s.before)
		if bad, ok := m.(*schemas.Malformed); ok {
			return fmt.Errorf("the row cannot be read: %s", bad.Reason)
		}
		row = m.(Row)
	}
	for _, t := range s.taken {
		s.group.Step(row, schemas.Input{Message: schemas.Decode(t.value), NowMS: t.nowMS})
	}
	s.row = row
	return nil
}

// Encode answers the row's bytes as it was read or encoded last (nil: there was none), its bytes now, and the time of its last step (UTC, ms).
func (s *State) Encode() (before, value []byte, atMS int64, err error) {
	if err := s.open(); err != nil {
		return nil, nil, 0, err
	}
	if value, err = schemas.Encode(s.row); err != nil {
		return nil, nil, 0, err
	}
	before, s.before, s.taken = s.before, value, nil
	return before, value, s.nowMS, nil
}

// Take is one step from bytes to bytes: the record's key, value and timestamp (UTC ms), and the row under the key, nil when there is none. It depends on nothing else.
func (g *Group) Take(key string, value []byte, ms int64, row func() []byte) Taken {
	var s *State
	t := g.TakeOn(key, value, ms, func() *State { s = g.State(row()); return s })
	if t.Changed {
		var err error
		if _, t.Row, _, err = s.Encode(); err != nil {
			g.fail(&t, key, ms, err)
		}
	}
	return t
}

// TakeOn is Take on a row in memory, which it changes.
func (g *Group) TakeOn(key string, value []byte, ms int64, state func() *State) Taken {
	t := Taken{Message: schemas.Decode(value), NowMS: ms}
	if t.Dead = g.unfit(t.Message, key); t.Dead != "" {
		g.refuse(&t, key)
	} else if err := state().apply(&t, value); err != nil {
		g.fail(&t, key, ms, err)
	}
	return t
}

// fail makes the record a dead letter.
func (g *Group) fail(t *Taken, key string, ms int64, err error) {
	*t = Taken{Message: t.Message, NowMS: ms, Dead: err.Error(), Failed: true}
	if errors.Is(err, schemas.ErrNewer) {
		t.Newer = err
	}
	g.refuse(t, key)
}

// apply lets the group decide and encodes what it says. A panic is a defect of ours that one record met: it costs that record, not the partition.
func (s *State) apply(t *Taken, value []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
		if err != nil {
			s.row = nil // half changed
		}
	}()
	if err := s.open(); err != nil {
		return err
	}
	head := s.row.RowHead()
	version := head.Version
	in := schemas.Input{Message: t.Message, NowMS: max(head.NowMS, t.NowMS)}
	for _, m := range s.group.Step(s.row, in) {
		b, err := schemas.Encode(m)
		if err != nil {
			return err
		}
		t.Said = append(t.Said, Said{m, b})
	}
	if t.NowMS, t.Changed = in.NowMS, head.Version != version; t.Changed {
		s.taken, s.nowMS = append(s.taken, step{value, in.NowMS}), in.NowMS
	}
	return nil
}

// unfit says why a record of the inbox is no message to the row of its key; "" when it is.
func (g *Group) unfit(m schemas.Message, key string) string {
	if bad, ok := m.(*schemas.Malformed); ok {
		return bad.Reason
	}
	if !topics.KindHas(g.Inbox, m.Kind()) {
		return fmt.Sprintf("%s is not said on %s", m.Kind(), g.Inbox.Name)
	}
	if key == "" || key != m.Key() {
		return fmt.Sprintf("the record's key is %q, the message's is %q: they must be equal and not empty", key, m.Key())
	}
	return ""
}

// refuse tells who waits for a command that it is a dead letter.
func (g *Group) refuse(t *Taken, key string) {
	c, border := t.Message.(interface{ CommandHead() *schemas.Command })
	if !border || key == "" {
		return
	}
	m := &schemas.CommandRefused{CommandID: c.CommandHead().CommandID, Tenant: c.CommandHead().Tenant, Family: g.Family, Subject: key,
		Code: schemas.RefusalCodeDeadLettered, Detail: "the command could not be decided and was set aside for the operators"}
	b, err := schemas.Encode(m)
	if err != nil { // its texts were read from a record: nothing that the schema could refuse
		panic(fmt.Sprintf("group %s: %v", g.Name, err))
	}
	t.Said = []Said{{m, b}}
}

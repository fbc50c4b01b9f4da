package processors

import (
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
	Row     []byte // what the row is from now on; nil: it stays as it was
	Dead    string // why the record is a dead letter: Said then holds only what a waiting client is told
	Failed  bool   // the record is a dead letter because the step failed, which is a defect of ours or a damaged row
}

// Said is a message with its bytes: everything is encoded before anything is emitted, so a step is said whole or not at all.
type Said struct {
	Message schemas.Message
	Value   []byte
}

// Take is one step from bytes to bytes: the record's key, value and timestamp (UTC ms), and the row under the key, nil when there is none. It depends on nothing else.
func (g *Group) Take(key string, value []byte, ms int64, row func() []byte) Taken {
	t := Taken{Message: schemas.Decode(value), NowMS: ms}
	if t.Dead = g.unfit(t.Message, key); t.Dead == "" {
		if err := g.apply(&t, row()); err != nil {
			t.Said, t.Row, t.NowMS, t.Dead, t.Failed = nil, nil, ms, err.Error(), true
		}
	}
	if t.Dead != "" && key != "" {
		g.refuse(&t, key)
	}
	return t
}

// apply decodes the row, lets the group decide and encodes what came of it. A panic is a defect of ours that one record met: it costs that record, not the partition.
func (g *Group) apply(t *Taken, before []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	row := g.New()
	if before != nil {
		m := schemas.Decode(before)
		if bad, ok := m.(*schemas.Malformed); ok {
			return fmt.Errorf("the row cannot be read: %s", bad.Reason)
		}
		row = m.(Row)
	}
	head := row.RowHead()
	version := head.Version
	t.NowMS = max(head.NowMS, t.NowMS)
	for _, m := range g.Step(row, schemas.Input{Message: t.Message, NowMS: t.NowMS}) {
		b, err := schemas.Encode(m)
		if err != nil {
			return err
		}
		t.Said = append(t.Said, Said{m, b})
	}
	if head.Version != version {
		t.Row, err = schemas.Encode(row)
	}
	return err
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
	if !border {
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

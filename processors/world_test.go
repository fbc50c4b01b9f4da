package processors

import (
	"bytes"
	"fmt"
	"slices"

	"oms/schemas"
)

// world holds rows and what they have said to each other but not yet heard, so that a test chooses who hears what when. Rows and messages go through their
// codec at every step, as they do between the topics. After every step the laws of law_test.go are checked.
type world struct {
	now      int64
	rows     map[string]Row
	kept     map[string]*State            // the same rows, never encoded in between
	inboxes  map[string][]schemas.Message // by group and key: said inside, not yet delivered
	requests map[string][]schemas.Message // by order: asked of the payment provider, not yet answered
	ids      map[string]bool
	fail     func(string)
}

func newWorld(fail func(string)) *world {
	return &world{rows: map[string]Row{}, kept: map[string]*State{}, inboxes: map[string][]schemas.Message{}, requests: map[string][]schemas.Message{}, ids: map[string]bool{}, fail: fail}
}

func groupOf(m schemas.Message) *Group {
	for i := range Groups {
		if home, ok := homeOf(m); ok && Groups[i].Inbox == home {
			return &Groups[i]
		}
	}
	return nil
}

// outcome of a step.
type outcome struct {
	key     string
	said    []schemas.Message
	changed bool
	dead    string // why the message became a dead letter
}

// take lets the row that a message is for decide on it, and files what it says.
func (w *world) take(m schemas.Message) (out outcome) {
	m = recoded(m)
	g, key := groupOf(m), m.Key()
	at := g.Name + "/" + key
	row, twin := g.New(), g.New()
	if kept := w.rows[at]; kept != nil {
		row, twin = recoded(kept).(Row), recoded(kept).(Row)
	}
	before := encoded(row)
	out.key = key
	defer func() {
		now := before
		if out.changed {
			now = encoded(row)
		}
		w.keep(g, at, m, now)
	}()
	defer func() {
		if r := recover(); r != nil {
			impossible, ok := r.(schemas.Impossible)
			if !ok {
				panic(r)
			}
			out = outcome{key: key, dead: impossible.Error()}
		}
	}()
	was := row.RowHead().Version
	now := max(w.now, row.RowHead().NowMS)
	out.said = g.Step(row, schemas.Input{Message: m, NowMS: now})
	out.changed = row.RowHead().Version != was
	w.checkStep(m, was, before, row, out)
	w.checkReplay(row, out.said, twin, g.Step(twin, schemas.Input{Message: recoded(m), NowMS: now}))
	if out.changed {
		w.rows[at] = row
	}
	for i, m := range out.said {
		m = recoded(m)
		out.said[i] = m
		switch {
		case m.Kind().Info().Class == schemas.RequestClass:
			w.requests[m.Key()] = append(w.requests[m.Key()], m)
		case groupOf(m) != nil:
			to := groupOf(m).Name + "/" + m.Key()
			w.inboxes[to] = append(w.inboxes[to], m)
		}
	}
	return out
}

// keep takes the message on the row in memory too, and demands that its bytes are those of the row that is decoded and encoded at every step.
func (w *world) keep(g *Group, at string, m schemas.Message, want []byte) {
	if w.kept[at] == nil {
		w.kept[at] = g.State(nil)
	}
	g.TakeOn(m.Key(), encoded(m), w.now, func() *State { return w.kept[at] })
	if _, got, _, err := w.kept[at].Encode(); err != nil || !bytes.Equal(got, want) {
		w.fail(fmt.Sprintf("after %T of %s a row in memory is %x, not %x: %v", m, m.Key(), got, want, err))
	}
}

// deliver hands the next message to the row of an inbox; false: there is none.
func (w *world) deliver(at string) (outcome, bool) {
	waiting := w.inboxes[at]
	if len(waiting) == 0 {
		return outcome{}, false
	}
	w.inboxes[at] = waiting[1:]
	return w.take(waiting[0]), true
}

// waiting are the inboxes with something in them, in order of name.
func (w *world) waiting() (at []string) {
	for name, inbox := range w.inboxes {
		if len(inbox) > 0 {
			at = append(at, name)
		}
	}
	slices.Sort(at)
	return at
}

func (w *world) order(id string) *schemas.OrderRow {
	row, _ := w.rows["orders/"+id].(*schemas.OrderRow)
	return row
}

func (w *world) product(id string) *schemas.ProductRow {
	row, _ := w.rows["products/"+id].(*schemas.ProductRow)
	return row
}

// deadline says to an order's row that its deadline has come; false: it has none.
func (w *world) deadline(id string) (outcome, bool) {
	row := w.order(id)
	if row == nil || row.DeadlineMS == 0 {
		return outcome{}, false
	}
	w.now = max(w.now, row.DeadlineMS)
	return w.take(Groups[0].Tick(id, row.DeadlineMS)), true
}

// reply is what the gateway answers to a request.
func (w *world) reply(request schemas.Message, o schemas.PaymentOutcome, amount int64) *schemas.PaymentReply {
	r := &schemas.PaymentReply{OrderID: request.Key(), Outcome: o, AmountMinor: amount, ProviderRef: "ref"}
	switch q := request.(type) {
	case *schemas.AuthorizePayment:
		r.PaymentID, r.RequestID, r.Operation = q.PaymentID, q.RequestID, schemas.PaymentOperationAuthorize
	case *schemas.CapturePayment:
		r.PaymentID, r.RequestID, r.Operation = q.PaymentID, q.RequestID, schemas.PaymentOperationCapture
	case *schemas.VoidPayment:
		r.PaymentID, r.RequestID, r.Operation = q.PaymentID, q.RequestID, schemas.PaymentOperationVoid
	case *schemas.RefundPayment:
		r.PaymentID, r.RequestID, r.Operation = q.PaymentID, q.RequestID, schemas.PaymentOperationRefund
	case *schemas.ReconcilePayment:
		r.PaymentID, r.RequestID, r.Operation = q.PaymentID, q.RequestID, schemas.PaymentOperationReconcile
	case *schemas.CancelPayment:
		r.PaymentID, r.RequestID, r.Operation = q.PaymentID, q.RequestID, schemas.PaymentOperationCancel
	}
	r.ID = fmt.Sprintf("%s.%s.reply.%d", r.RequestID, r.Operation, len(w.ids))
	return r
}

func encoded(m schemas.Message) []byte {
	b, err := schemas.Encode(m)
	if err != nil {
		panic(err)
	}
	return b
}

func recoded(m schemas.Message) schemas.Message { return schemas.Decode(bytes.Clone(encoded(m))) }

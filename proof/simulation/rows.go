package simulation

import (
	"fmt"
	"slices"
	"strings"

	"oms/processors"
	"oms/schemas"
)

// A row of a state table is named "machine: state · trigger · outcome". Rows are found from what committed steps did, not from what the machines say of themselves.

// absent is the state of what is not there.
const absent = "–"

// races is what finding races needs to remember.
type races struct {
	placed   map[string]int64 // time of OrderCreated, by order
	reserved map[string]int64 // time of the last reservation, by product
}

func (w *world) found(machine, state, trigger, outcome string) {
	w.result.Rows[machine+": "+state+" · "+trigger+" · "+outcome]++
}

func (w *world) race(name string) { w.result.Rows["race: "+name]++ }

// met counts the rows that a committed step met.
func (w *world) met(g *group, s *step) {
	if s.taken.Dead != "" {
		return // the auditor has a word to say about that
	}
	before, after := decoded(g, s.before), decoded(g, s.taken.Row)
	if s.taken.Row == nil {
		after = before
	}
	switch before := before.(type) {
	case *schemas.OrderRow:
		w.metOrder(before, after.(*schemas.OrderRow), &s.taken)
	case *schemas.ProductRow:
		w.metProduct(before, &s.taken)
	case *schemas.LoginRow:
		w.found("login", there(before.CustomerID != "", "taken"), kind(s.taken.Message), said(&s.taken, ""))
	case *schemas.CustomerRow:
		w.found("customer", there(before.LoginID != "", "registered"), kind(s.taken.Message), said(&s.taken, ""))
	}
}

func decoded(g *group, row []byte) processors.Row {
	if row == nil {
		return g.New()
	}
	return schemas.Decode(row).(processors.Row)
}

func there(yes bool, state string) string {
	if yes {
		return state
	}
	return absent
}

// kind is the message's name without its family.
func kind(m schemas.Message) string {
	name := m.Kind().String()
	return name[strings.LastIndexByte(name, '.')+1:]
}

// said names what a step said: how it answered a command, else what it said beside facts of the kinds that every such step states.
func said(t *processors.Taken, otherwise string) string {
	var names []string
	for _, s := range t.Said {
		switch m := s.Message.(type) {
		case *schemas.CommandRefused:
			return "refused " + string(m.Code)
		case *schemas.CommandRepeated:
			return "repeated"
		case *schemas.StockReply, *schemas.OrderCreated:
		default:
			if name := kind(m); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if otherwise != "" {
		names = append([]string{otherwise}, names...)
	}
	if len(names) == 0 {
		return "no effect"
	}
	return strings.Join(names, ", ")
}

func (w *world) metOrder(before, after *schemas.OrderRow, t *processors.Taken) {
	state, trigger := string(before.Order.Status), kind(t.Message)
	if before.Version == 0 {
		state = absent
	}
	outcome := said(t, "")
	changed := t.Row != nil
	if changed {
		outcome = string(after.Order.Status)
		if after.Order.Status == schemas.OrderStatusRejected && before.Order.Status != after.Order.Status {
			outcome += " " + string(after.Order.Reasons[0])
		}
	}
	switch m := t.Message.(type) {
	case *schemas.RequestStatus:
		trigger += " " + m.Status
	case *schemas.StockReply:
		trigger += " " + stock(m, before.Order.Status != schemas.OrderStatusPending)
		if after.Order.Awaiting > 0 {
			trigger += ", more awaited"
		}
		w.raceOfStock(before, m)
	case *schemas.OrderDeadlineReached:
		w.raceOfDeadline(before, changed)
	case *schemas.PlaceOrder:
		w.races.placed[m.OrderID] = after.Order.PlacedAtMS
		switch {
		case outcome == "repeated":
			w.race("the same PlaceOrder twice")
		case strings.HasPrefix(outcome, "refused"):
			w.race("another body under one key")
		}
	}
	w.found("order", state, trigger, outcome)
	for i := range after.Payments {
		var p *schemas.PaymentState
		if i < len(before.Payments) {
			p = &before.Payments[i]
		}
		w.metPayment(after, p, &after.Payments[i], t)
	}
}

// stock names what the lines of a reply came to. For an order that is gone the reasons of a refusal are all one.
func stock(m *schemas.StockReply, gone bool) string {
	var names []string
	for _, r := range m.Results {
		name := string(r.Outcome)
		if r.Outcome == schemas.StockOutcomeRejected && !gone {
			name = string(r.Reason)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if slices.Sort(names); len(names) > 1 {
		return "of several kinds"
	}
	return names[0]
}

// metPayment counts the row of the payment machine; before is nil for a payment that came to be.
func (w *world) metPayment(order *schemas.OrderRow, before, after *schemas.PaymentState, t *processors.Taken) {
	name := func(p *schemas.PaymentState) string {
		if p == nil {
			return absent
		}
		if p.Undo {
			return string(p.Status) + " of a gone order"
		}
		return string(p.Status)
	}
	same := before != nil && before.Status == after.Status && before.Undo == after.Undo && before.Asked == after.Asked && before.DeadlineMS == after.DeadlineMS
	trigger := "order"
	switch m := t.Message.(type) {
	case *schemas.PaymentReply:
		if m.PaymentID != after.PaymentID {
			return
		}
		trigger = string(m.Operation) + " " + string(m.Outcome)
		w.raceOfPayment(order, before, m, t.Row != nil)
	case *schemas.OrderDeadlineReached:
		if same {
			return
		}
		trigger = "deadline"
	default:
		if same {
			return
		}
	}
	outcome := "no effect"
	if t.Row == nil {
		trigger = "reply late or twice"
	} else {
		outcome = name(after)
		for _, s := range t.Said {
			if s.Message.Kind().Info().Class == schemas.RequestClass {
				outcome += ", " + kind(s.Message)
			}
		}
	}
	w.found("payment", name(before), trigger, outcome)
}

func (w *world) metProduct(before *schemas.ProductRow, t *processors.Taken) {
	state := there(before.Exists, "listed")
	switch m := t.Message.(type) {
	case *schemas.AdjustStock:
		w.found("product", state, kind(m)+" "+string(m.Mode), said(t, ""))
	case *schemas.ReserveStock:
		reply := t.Said[len(t.Said)-1].Message.(*schemas.StockReply)
		outcome := stock(reply, false)
		if slices.ContainsFunc(reply.Results, func(r schemas.StockResult) bool { return len(r.Allocations) > 1 }) {
			outcome += " over locations"
		}
		w.found("product", state, kind(m), said(t, outcome))
		w.raceOfUnits(m, reply, t)
	default:
		w.found("product", state, kind(m), said(t, ""))
	}
}

// raceOfUnits: an order is refused what another took after this one was placed.
func (w *world) raceOfUnits(m *schemas.ReserveStock, reply *schemas.StockReply, t *processors.Taken) {
	for _, r := range reply.Results {
		switch {
		case r.Outcome == schemas.StockOutcomeReserved:
			w.races.reserved[m.ProductID] = t.NowMS
		case r.Reason == schemas.ReasonOutOfStock && w.races.placed[m.OrderID] <= w.races.reserved[m.ProductID]:
			w.race("two orders want the last unit")
			return
		}
	}
}

func (w *world) raceOfStock(before *schemas.OrderRow, m *schemas.StockReply) {
	if before.Order.Status != schemas.OrderStatusPending && m.Results[0].Outcome == schemas.StockOutcomeReserved {
		w.race(fmt.Sprintf("stock comes for an order that is %s", before.Order.Status))
	}
}

func (w *world) raceOfDeadline(before *schemas.OrderRow, changed bool) {
	if !changed && before.Order.Status == schemas.OrderStatusConfirmed {
		w.race("authorization before the deadline: the deadline is stale")
	}
}

func (w *world) raceOfPayment(order *schemas.OrderRow, before *schemas.PaymentState, m *schemas.PaymentReply, changed bool) {
	moved := m.Outcome == schemas.PaymentOutcomeAuthorized || m.Outcome == schemas.PaymentOutcomeCaptured
	switch status := order.Order.Status; {
	case !changed && m.RequestID != before.RequestID:
		w.race("replies out of order")
	case !changed && m.Outcome == schemas.PaymentOutcomeRefunded:
		w.race("refund told twice")
	case !changed:
		w.race("reply twice")
	case moved && before.Undo && status == schemas.OrderStatusCancelling:
		w.race(fmt.Sprintf("cancel while authorizing, %s after it", m.Outcome))
	case moved && before.Undo && status == schemas.OrderStatusExpired:
		w.race("deadline before the authorization: it is undone")
	}
}

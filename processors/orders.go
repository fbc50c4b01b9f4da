package processors

import (
	"oms/processors/order"
	"oms/processors/payment"
	"oms/schemas"
)

// StepOrders is one step of an order's row: the message goes to the machine that it is for, and what the machines of the row say to each other is delivered
// before the step ends, first in, first out.
func StepOrders(row *schemas.OrderRow, in schemas.Input) []schemas.Message {
	command := orderCommand(in.Message)
	if a := command.answer(&row.Row, row.Seen); a != nil {
		return stamp(&row.Row, in.Message.Key(), schemas.FamilyOrder, in, []schemas.Message{a}, false, nil)
	}
	d := delivery{row: row, now: in.NowMS, queue: make([]letter, 0, 4)} // room for most steps
	d.post(in.Message)
	d.run()
	if d.changed {
		touch(&row.Row, in)
		row.OrderID = in.Message.Key()
		row.DeadlineMS = d.earliest()
		row.Seen = command.remember(row.Seen, row.Version)
	}
	return stamp(&row.Row, in.Message.Key(), schemas.FamilyOrder, in, d.said, d.changed, func(fact schemas.Message) *int64 {
		if fact.Kind() == schemas.KindPaymentProcessed {
			return &row.Sequences.Payment
		}
		return &row.Sequences.Order
	})
}

// orderCommand reads the head of a client's command to an order that is there. PlaceOrder is not among them: the order remembers it for ever, by itself.
func orderCommand(m schemas.Message) borderCommand {
	switch m := m.(type) {
	case *schemas.CancelOrder:
		return borderCommand{head: &m.Command, fingerprint: m.Fingerprint, expectedVersion: m.ExpectedVersion}
	case *schemas.RequestStatus:
		return borderCommand{head: &m.Command, fingerprint: m.Fingerprint, expectedVersion: m.ExpectedVersion}
	}
	return borderCommand{}
}

// machine of an order's row.
type machine int

const (
	orderMachine machine = iota
	paymentMachine
)

// maxDeliveries bounds a step: two machines that answer each other for ever would hold the partition.
const maxDeliveries = 32

// delivery is the post among the machines of one row, within one step.
type delivery struct {
	row     *schemas.OrderRow
	now     int64
	queue   []letter
	said    []schemas.Message
	changed bool
}

type letter struct {
	to      machine
	message schemas.Message
}

// post puts a message in the queue for whom it is for. A deadline is for every machine whose own has come; one that is no longer the row's is for nobody.
func (d *delivery) post(m schemas.Message) {
	to := orderMachine
	switch m := m.(type) {
	case *schemas.PaymentReply, *schemas.CollectPayment, *schemas.UndoPayments:
		to = paymentMachine
	case *schemas.OrderDeadlineReached:
		if m.DeadlineMS != d.row.DeadlineMS {
			return
		}
		if at := paymentDeadline(d.row.Payments); at != 0 && at <= m.DeadlineMS {
			d.queue = append(d.queue, letter{paymentMachine, m})
		}
		if at := d.row.Order.DeadlineMS; at == 0 || at > m.DeadlineMS {
			return
		}
	}
	d.queue = append(d.queue, letter{to, m})
}

// run delivers until nothing is left.
func (d *delivery) run() {
	for n := 0; n < len(d.queue); n++ {
		l := d.queue[n]
		if n == maxDeliveries {
			panic(schemas.Impossible{Machine: "order", State: string(d.row.Order.Status), Message: l.message, Why: "the machines of the row do not come to an end"})
		}
		said, same := unchanged(d.step(l))
		d.changed = d.changed || !same
		for _, m := range said {
			if m.Kind() != schemas.KindInside {
				d.said = append(d.said, m)
				continue
			}
			d.post(m)
		}
	}
}

func (d *delivery) step(l letter) (said []schemas.Message) {
	in := schemas.Input{Message: l.message, NowMS: d.now}
	switch l.to {
	case paymentMachine:
		money := schemas.Money{Payments: d.row.Payments, Ledger: d.row.Ledger}
		money, said = payment.Step(money, in)
		d.row.Payments, d.row.Ledger = money.Payments, money.Ledger
	default:
		d.row.Order, said = order.Step(d.row.Order, in)
	}
	return said
}

// earliest deadline of the machines; 0: none.
func (d *delivery) earliest() int64 {
	return earlier(d.row.Order.DeadlineMS, paymentDeadline(d.row.Payments))
}

func paymentDeadline(payments []schemas.PaymentState) (ms int64) {
	for i := range payments {
		ms = earlier(ms, payments[i].DeadlineMS)
	}
	return ms
}

func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

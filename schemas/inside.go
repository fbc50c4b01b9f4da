package schemas

import (
	"fmt"
	"strings"
)

// What the machines of one row say to each other. It is delivered within the step that says it, so it has no schema and no topic.

// KindInside is the kind of every message of this file; it is no place in the register.
const KindInside Kind = 0xff

// Inside heads what machines of one order say to each other.
type Inside struct {
	OrderID string
}

func (Inside) Kind() Kind    { return KindInside }
func (i Inside) Key() string { return i.OrderID }

// CollectPayment: the order machine wants its total covered.
type CollectPayment struct {
	Inside
	AmountMinor int64 // 0 or more
	Currency    string
	Intent      PaymentIntent
	Provider    string
	TimeoutMS   int64 // how long an answer is waited for
}

// UndoPayments: the order is gone; held money is let go, taken money given back. Saying it again asks whether that is done.
type UndoPayments struct{ Inside }

// PaymentCovered: the total is held, taken or owed by invoice.
type PaymentCovered struct{ Inside }

// PaymentDeclined: the total will not be covered.
type PaymentDeclined struct{ Inside }

// PaymentsUndone: no payment of the order holds or owes anything any more.
type PaymentsUndone struct{ Inside }

// Unchanged comes first in the answer of a machine that leaves its state as it was: a message that came too late, or one that is only answered.
// A refused or repeated command leaves the state alone as well, and needs no such word.
type Unchanged struct{ Inside }

// Money is the state of the payment machine.
type Money struct {
	Payments []PaymentState
	Ledger   Ledger
}

// Impossible is what a machine panics with when it meets what no sender in order could have sent. The record that it met becomes a dead letter.
type Impossible struct {
	Machine string
	State   string
	Message Message
	Why     string // names field, value and rule
}

// Error names the message by type and key only: its body may hold what no log should.
func (i Impossible) Error() string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", i.Message), "*schemas.")
	return fmt.Sprintf("%s machine in state %q met %s of %s: %s", i.Machine, i.State, name, i.Message.Key(), i.Why)
}

package processors

import (
	"bytes"
	"fmt"
	"reflect"

	"oms/schemas"
	"oms/topics"
)

func homeOf(m schemas.Message) (topics.Topic, bool) {
	if m.Kind() == schemas.KindMalformed || m.Kind() == schemas.KindInside {
		return topics.Topic{}, false
	}
	return topics.Of(m), true
}

// checkStep holds every step, of every test, to the laws of a group.
func (w *world) checkStep(m schemas.Message, was int64, before []byte, row Row, out outcome) {
	law := func(holds bool, text string, args ...any) {
		if !holds {
			w.fail(fmt.Sprintf("after %T of %s: ", m, m.Key()) + fmt.Sprintf(text, args...))
		}
	}
	head := row.RowHead()
	law(head.Version == was || head.Version == was+1, "version %d became %d", was, head.Version)
	law(out.changed != bytes.Equal(before, encoded(row)), "changed is %v, and the row's bytes say otherwise", out.changed)
	law(len(out.said) > 0 || out.changed || m.Kind() == schemas.KindOrderDeadlineReached || m.Kind() == schemas.KindPaymentReply, "nothing came of it")
	if _, border := m.(interface{ CommandHead() *schemas.Command }); border {
		answers := 0
		for _, s := range out.said {
			if class := s.Kind().Info().Class; class == schemas.FactClass || class == schemas.OutcomeClass || s.Kind() == schemas.KindCreateCustomer {
				answers++
				law(schemas.CauseOf(s) == schemas.CauseOf(m) || class == schemas.OutcomeClass, "%T names the cause %q", s, schemas.CauseOf(s))
			}
		}
		law(answers > 0, "the command was not answered")
	}
	for i, s := range out.said {
		switch h := s.(type) {
		case interface{ FactHead() *schemas.Fact }:
			f := h.FactHead()
			law(f.Version == head.Version && f.Ordinal == int32(i) && f.AtMS == head.NowMS && f.Tenant == head.Tenant && f.Cause == schemas.CauseOf(m), "fact %T is stamped %+v", s, *f)
			w.once(fmt.Sprintf("%s#%d", topics.Of(s).Name+"/"+s.Key(), f.Sequence))
			law(f.Sequence == 1 || w.ids[fmt.Sprintf("%s#%d", topics.Of(s).Name+"/"+s.Key(), f.Sequence-1)], "%T has sequence %d, and %d was never said", s, f.Sequence, f.Sequence-1)
		case interface{ SaidHead() *schemas.Said }:
			law(h.SaidHead().Tenant != "", "%T has no tenant", s)
			w.once(h.SaidHead().ID)
		}
	}
	switch row := row.(type) {
	case *schemas.OrderRow:
		checkOrder(row, law)
	case *schemas.ProductRow:
		for _, l := range row.Levels {
			law(0 <= l.Reserved && l.Reserved <= l.OnHand, "%d of %d reserved at %s", l.Reserved, l.OnHand, l.LocationID)
		}
	}
}

// checkReplay compares a step with the same step decided once more: nothing but row, message and time may have gone into it.
func (w *world) checkReplay(row Row, said []schemas.Message, again Row, saidAgain []schemas.Message) {
	same := reflect.DeepEqual(recoded(row), recoded(again)) && len(said) == len(saidAgain)
	for i := 0; same && i < len(said); i++ {
		same = reflect.DeepEqual(recoded(said[i]), recoded(saidAgain[i]))
	}
	if !same {
		w.fail(fmt.Sprintf("decided again, %s becomes\n%+v, not\n%+v; said %v, not %v", row.Key(), again, row, saidAgain, said))
	}
}

func (w *world) once(id string) {
	if w.ids[id] {
		w.fail("said twice: " + id)
	}
	w.ids[id] = true
}

func checkOrder(row *schemas.OrderRow, law func(bool, string, ...any)) {
	for _, l := range row.Order.Lines {
		open := l.Quantity - l.Reserved - l.Backordered - l.Shipped - l.Cancelled
		law(open >= 0 && (l.Status == schemas.LineStatusOpen) == (open > 0), "line %d is %s with %d open", l.Line, l.Status, open)
	}
	l, deadline := row.Ledger, row.Order.DeadlineMS
	var authorized, captured, refunded int64
	for _, p := range row.Payments {
		law(p.RefundedMinor <= p.CapturedMinor && p.CapturedMinor+p.VoidedMinor <= p.AuthorizedMinor && p.AuthorizedMinor <= p.AmountMinor, "payment %+v", p)
		authorized += p.AuthorizedMinor - p.CapturedMinor - p.VoidedMinor
		captured += p.CapturedMinor
		refunded += p.RefundedMinor
		if p.DeadlineMS != 0 && (deadline == 0 || p.DeadlineMS < deadline) {
			deadline = p.DeadlineMS
		}
	}
	law(l.Authorized == authorized && l.Captured == captured && l.Refunded == refunded, "ledger %+v, payments %d held, %d taken, %d given back", l, authorized, captured, refunded)
	owed := l.Goods + l.Tax + l.Shipping - l.Discount + l.Credit - (l.Captured - l.Refunded)
	law(owed >= 0 && l.Credit >= 0, "ledger %+v does not balance", l)
	law(row.DeadlineMS == deadline, "the row's deadline is %d, its machines' earliest %d", row.DeadlineMS, deadline)
	law(row.Order.Awaiting == 0 || row.Order.Status != schemas.OrderStatusConfirmed && row.Order.Status != schemas.OrderStatusCancelled, "%s with %d answers of products outstanding", row.Order.Status, row.Order.Awaiting)
	switch row.Order.Status {
	case schemas.OrderStatusPending, schemas.OrderStatusCancelling:
		law(row.DeadlineMS != 0, "%s without a deadline", row.Order.Status)
	case schemas.OrderStatusRejected, schemas.OrderStatusExpired, schemas.OrderStatusCancelled:
		law(owed == 0, "something is owed for a %s order", row.Order.Status)
		law(row.DeadlineMS != 0 || l.Authorized == 0 && l.Credit == 0, "%s and forgotten with ledger %+v", row.Order.Status, l)
	}
}

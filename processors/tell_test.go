package processors

import (
	"fmt"
	"strings"

	"oms/schemas"
)

// tell writes what came of a step as a shopkeeper would say it.
func (s *scenario) tell(out outcome) {
	if out.dead != "" {
		fmt.Fprintf(&s.b, "set aside: %s\n", out.dead)
		return
	}
	for _, m := range out.said {
		fmt.Fprintf(&s.b, "%s\n", describe(m))
	}
	switch {
	case !out.changed && len(out.said) == 0:
		fmt.Fprintf(&s.b, "%s: no effect\n", out.key)
	case out.changed && s.order(out.key) != nil:
		s.show(out.key)
	}
}

func describe(m schemas.Message) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", m), "*schemas.")
	switch m := m.(type) {
	case *schemas.CommandRefused:
		return strings.TrimSpace(fmt.Sprintf("refused %s: %s %s", m.Code, m.Detail, numbers(m.Numbers)))
	case *schemas.CommandRepeated:
		return fmt.Sprintf("repeated, the version is %d", m.Version)
	case *schemas.ReserveStock:
		return fmt.Sprintf("%s asks %s for %s", m.OrderID, m.ProductID, each(m.Lines, func(l schemas.ReserveLine) string { return fmt.Sprintf("%d (line %d)", l.Quantity, l.Line) }))
	case *schemas.ReleaseStock:
		return fmt.Sprintf("%s gives %s back %s", m.OrderID, m.ProductID, each(m.Lines, func(l schemas.ReleaseLine) string { return places(l.Allocations) + fmt.Sprintf(" (line %d)", l.Line) }))
	case *schemas.StockReply:
		return fmt.Sprintf("%s answers %s: %s", m.ProductID, m.OrderID, each(m.Results, result))
	case *schemas.AuthorizePayment:
		return fmt.Sprintf("provider, authorize %d %s under %s", m.AmountMinor, m.Currency, m.RequestID)
	case *schemas.CapturePayment:
		return fmt.Sprintf("provider, capture %d of %s under %s", m.AmountMinor, m.AuthorizationID, m.RequestID)
	case *schemas.VoidPayment:
		return fmt.Sprintf("provider, void %d of %s under %s", m.AmountMinor, m.AuthorizationID, m.RequestID)
	case *schemas.RefundPayment:
		return fmt.Sprintf("provider, refund %d of %s under %s", m.AmountMinor, m.AuthorizationID, m.RequestID)
	case *schemas.ReconcilePayment:
		return fmt.Sprintf("provider, what became of %s?", m.RequestID)
	case *schemas.CancelPayment:
		return fmt.Sprintf("provider, forget %s", m.RequestID)
	case *schemas.PaymentProcessed:
		return fmt.Sprintf("fact %s: %s %s %d", name, m.Operation, m.Outcome, m.AmountMinor)
	case *schemas.OrderCreated:
		return fmt.Sprintf("fact %s: %d lines, to be decided by %s", name, len(m.Lines), seconds(m.DeadlineMS))
	case *schemas.OrderConfirmed:
		return fmt.Sprintf("fact %s: %d %s", name, m.TotalMinor, m.Currency)
	case *schemas.OrderRejected:
		return strings.TrimSpace(fmt.Sprintf("fact %s: %v %s", name, m.Reasons, each(m.Lines, func(l schemas.LineReason) string {
			return fmt.Sprintf("line %d %s (%d available)", l.Line, l.Reason, l.Available)
		})))
	case *schemas.OrderCancellationRequested:
		return fmt.Sprintf("fact %s: %s, was %s", name, m.Reason, m.StatusBefore)
	case *schemas.InventoryUpdated:
		return fmt.Sprintf("fact %s: %s %s %s; now %s", name, m.ProductID, m.Movement, each(m.Entries, func(e schemas.StockEntry) string { return fmt.Sprintf("%d at %s", e.Quantity, e.LocationID) }), each(m.Levels, level))
	case *schemas.InventoryLow:
		return fmt.Sprintf("fact %s: %d available, threshold %d", name, m.Available, m.Threshold)
	case *schemas.BackInStock:
		return fmt.Sprintf("fact %s: %d available", name, m.Available)
	case *schemas.CreateCustomer:
		return fmt.Sprintf("to customers: %s %s of %s", name, m.CustomerID, m.LoginID)
	}
	return "fact " + name
}

func (s *scenario) show(id string) {
	if row := s.order(id); row != nil {
		o := &row.Order
		fmt.Fprintf(&s.b, "%s v%d %s, payment %s", id, row.Version, o.Status, row.PaymentStatus())
		if o.Awaiting > 0 {
			fmt.Fprintf(&s.b, ", awaits %d", o.Awaiting)
		}
		if row.DeadlineMS > 0 {
			fmt.Fprintf(&s.b, ", until %s", seconds(row.DeadlineMS))
		}
		s.b.WriteByte('\n')
	}
	if row := s.product(id); row != nil {
		fmt.Fprintf(&s.b, "%s v%d: %s\n", id, row.Version, each(row.Levels, level))
	}
}

func result(r schemas.StockResult) string {
	switch r.Outcome {
	case schemas.StockOutcomeReserved:
		return fmt.Sprintf("line %d %s at %d", r.Line, places(r.Allocations), r.UnitPriceMinor)
	case schemas.StockOutcomeRejected:
		return fmt.Sprintf("line %d %s", r.Line, r.Reason)
	}
	return fmt.Sprintf("line %d %s", r.Line, r.Outcome)
}

func level(l schemas.StockLevel) string {
	return fmt.Sprintf("%d at %s, %d reserved", l.OnHand, l.LocationID, l.Reserved)
}

func places(a []schemas.Allocation) string {
	return each(a, func(a schemas.Allocation) string { return fmt.Sprintf("%d from %s", a.Quantity, a.LocationID) })
}

func each[T any](items []T, say func(T) string) string {
	parts := make([]string, len(items))
	for i, item := range items {
		parts[i] = say(item)
	}
	return strings.Join(parts, ", ")
}

func numbers(n map[string]int64) string {
	if len(n) == 0 {
		return ""
	}
	return fmt.Sprint(n) // fmt sorts the keys
}

func seconds(ms int64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.3f", float64(ms)/1000), ".000") + "s"
}

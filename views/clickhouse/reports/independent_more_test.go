package reports_test

import (
	"fmt"
	"slices"
	"time"

	"oms/schemas"
)

func (f *facts) providers(same compare) {
	rates, reasons, all := sums{}, sums{}, sums{}
	for _, p := range f.payments {
		var held, taken, let, captures, failed int64
		switch {
		case p.Outcome == authorized:
			held = p.AmountMinor
		case p.Outcome == captured:
			taken, captures = p.AmountMinor, 1
			if p.Operation == schemas.PaymentOperationAuthorize {
				held = p.AmountMinor
			}
		case p.Outcome == schemas.PaymentOutcomeVoided:
			let = p.AmountMinor
		case p.Operation == schemas.PaymentOperationCapture:
			failed = 1
		}
		rates.add([]string{p.Provider, p.Currency}, held, taken, let, captures, failed)
		reasons.add([]string{p.Provider, string(p.Operation), string(p.Outcome), p.Reason}, 1)
		all.add([]string{p.Provider, string(p.Operation)}, 1)
	}
	same("capture-rate", nil, sorted(rates.rows(func(k []string, n []int64) []any {
		return []any{k[0], k[1], n[0], n[1], n[2], ratio(n[1], n[0]), n[3], n[4]}
	}), 1, 2))
	same("payment-reasons", nil, sorted(reasons.rows(func(k []string, n []int64) []any {
		return []any{k[0], k[1], k[2], k[3], n[0], ratio(n[0], all[k[0]+"\x00"+k[1]][0])}
	}), 1, 2, -5, 3, 4))
}

// demand is about what buyers ask for.
func (f *facts) demand(same compare, messages []schemas.Message) {
	fills, minutes, products := sums{}, sums{}, sums{}
	lines := int64(0)
	for _, o := range f.created {
		units := int64(0)
		for _, l := range o.Lines {
			units += l.Quantity
			lines++
			minutes.add([]string{l.ProductID, shown(time.UnixMilli(o.AtMS).UTC().Truncate(time.Minute))}, 1)
			products.add([]string{l.ProductID}, 1, l.Quantity)
		}
		fills.add([]string{shown(month(o.AtMS))}, 1, 0, int64(len(o.Lines)), 0, units, 0)
	}
	for _, o := range f.confirmed { // of those placed in the span, whenever they were confirmed
		units := int64(0)
		for _, l := range o.Lines {
			units += l.Quantity
		}
		fills.add([]string{shown(month(o.PlacedAtMS))}, 0, 1, 0, int64(len(o.Lines)), 0, units)
	}
	same("fill-rate", map[string]string{"granularity": "month"}, sorted(fills.rows(func(k []string, n []int64) []any {
		return []any{k[0], n[0], ratio(n[1], n[0]), n[2], n[3], ratio(n[3], n[2]), n[4], n[5], ratio(n[5], n[4])}
	}), 1))
	peaks := map[string][]string{} // lines and minute
	for _, row := range sorted(minutes.rows(func(k []string, n []int64) []any { return []any{k[0], k[1], n[0]} }), 1, -3, 2) {
		if peaks[row[0]] == nil {
			peaks[row[0]] = []string{row[2], row[1]}
		}
	}
	same("hot-products", nil, sorted(products.rows(func(k []string, n []int64) []any {
		return []any{k[0], f.name(k[0])[0], f.name(k[0])[1], peaks[k[0]][0], peaks[k[0]][1], n[0], ratio(n[0], lines), n[1]}
	}), -4, -6, 1))
	var alerts [][]string
	for _, m := range messages {
		switch m := m.(type) {
		case *schemas.InventoryLow:
			if m.Tenant == "shop" && f.in(m.AtMS) {
				alerts = append(alerts, []string{shown(time.UnixMilli(m.AtMS)), m.ProductID, f.name(m.ProductID)[0], f.name(m.ProductID)[1], "LOW", fmt.Sprint(m.Available), fmt.Sprint(m.Threshold)})
			}
		case *schemas.BackInStock:
			if m.Tenant == "shop" && f.in(m.AtMS) {
				alerts = append(alerts, []string{shown(time.UnixMilli(m.AtMS)), m.ProductID, f.name(m.ProductID)[0], f.name(m.ProductID)[1], "BACK_IN_STOCK", fmt.Sprint(m.Available), "null"})
			}
		}
	}
	same("low-stock", nil, sorted(alerts, -1, 2))
}

// stays walks through every order's facts, state by state.
func (f *facts) stays(same compare, messages []schemas.Message) {
	type state struct {
		name  string
		since int64
	}
	now, stays := map[string]state{}, map[[2]string][]int64{}
	to := func(h *schemas.Fact, order, next string) {
		if h.Tenant != "shop" || h.AtMS >= f.to.UnixMilli() {
			return
		}
		if old, ok := now[order]; ok && f.in(h.AtMS) {
			k := [2]string{old.name, next}
			stays[k] = append(stays[k], h.AtMS-old.since)
		}
		now[order] = state{next, h.AtMS}
	}
	for _, m := range messages {
		switch m := m.(type) {
		case *schemas.OrderCreated:
			to(&m.Fact, m.OrderID, "PENDING")
		case *schemas.OrderConfirmed:
			to(&m.Fact, m.OrderID, "CONFIRMED")
		case *schemas.OrderRejected:
			to(&m.Fact, m.OrderID, "REJECTED")
		case *schemas.OrderExpired:
			to(&m.Fact, m.OrderID, "EXPIRED")
		case *schemas.OrderCancellationRequested:
			to(&m.Fact, m.OrderID, "CANCELLING")
		case *schemas.OrderCancelled:
			to(&m.Fact, m.OrderID, "CANCELLED")
		}
	}
	var rows [][]string
	for k, w := range stays {
		slices.Sort(w)
		rank := func(percent int) string { return fmt.Sprint(w[(len(w)*percent+99)/100-1]) }
		rows = append(rows, []string{k[0], k[1], fmt.Sprint(len(w)), rank(50), rank(90), rank(99), rank(100)})
	}
	same("time-in-state", nil, sorted(rows, 1, 2))
}

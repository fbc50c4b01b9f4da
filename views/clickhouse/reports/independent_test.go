package reports_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"oms/schemas"
)

// facts of one shop within a span, sorted out; what the reports answer is computed from them here in another way.
type facts struct {
	from, to  time.Time
	created   []*schemas.OrderCreated
	confirmed []*schemas.OrderConfirmed
	rejected  []*schemas.OrderRejected
	asked     []*schemas.OrderCancellationRequested
	payments  []*schemas.PaymentProcessed
	moves     []*schemas.InventoryUpdated // also those before the span
	rows      map[string]*schemas.OrderRow
	products  map[string]*schemas.ProductAdded
	expired   int
}

func factsOf(messages []schemas.Message, tenant string, from, to time.Time) *facts {
	f := &facts{from: from, to: to, rows: map[string]*schemas.OrderRow{}, products: map[string]*schemas.ProductAdded{}}
	in := func(h *schemas.Fact) bool { return h.Tenant == tenant && f.in(h.AtMS) }
	for _, m := range messages {
		switch m := m.(type) {
		case *schemas.OrderCreated:
			if in(&m.Fact) {
				f.created = append(f.created, m)
			}
		case *schemas.OrderConfirmed:
			if in(&m.Fact) {
				f.confirmed = append(f.confirmed, m)
			}
		case *schemas.OrderRejected:
			if in(&m.Fact) {
				f.rejected = append(f.rejected, m)
			}
		case *schemas.OrderExpired:
			if in(&m.Fact) {
				f.expired++
			}
		case *schemas.OrderCancellationRequested:
			if in(&m.Fact) {
				f.asked = append(f.asked, m)
			}
		case *schemas.PaymentProcessed:
			if in(&m.Fact) {
				f.payments = append(f.payments, m)
			}
		case *schemas.InventoryUpdated:
			if m.Tenant == tenant && m.AtMS < to.UnixMilli() {
				f.moves = append(f.moves, m)
			}
		case *schemas.OrderRow:
			if old := f.rows[m.OrderID]; m.Tenant == tenant && f.in(m.Order.PlacedAtMS) && (old == nil || old.Version < m.Version) {
				f.rows[m.OrderID] = m
			}
		case *schemas.ProductAdded:
			if m.Tenant == tenant {
				f.products[m.ProductID] = m
			}
		}
	}
	return f
}

func (f *facts) in(ms int64) bool { return ms >= f.from.UnixMilli() && ms < f.to.UnixMilli() }

func (f *facts) name(product string) []string {
	if p := f.products[product]; p != nil {
		return []string{p.Name, p.Category}
	}
	return []string{"", ""}
}

// sums are numbers by a key of several words.
type sums map[string][]int64

func (s sums) add(key []string, numbers ...int64) {
	k := strings.Join(key, "\x00")
	if s[k] == nil {
		s[k] = make([]int64, len(numbers))
	}
	for i, n := range numbers {
		s[k][i] += n
	}
}

// rows are the words of the keys with the numbers, made to text by the function.
func (s sums) rows(row func(key []string, n []int64) []any) (rows [][]string) {
	for k, n := range s {
		var texts []string
		for _, v := range row(strings.Split(k, "\x00"), n) {
			texts = append(texts, shown(v))
		}
		rows = append(rows, texts)
	}
	return rows
}

// sorted puts rows in order of columns: 2 is the second one growing, -3 is the third one falling; numbers are compared as numbers.
func sorted(rows [][]string, by ...int) [][]string {
	slices.SortFunc(rows, func(a, b []string) int {
		for _, c := range by {
			i := max(c, -c) - 1
			x, errX := strconv.ParseFloat(a[i], 64)
			y, errY := strconv.ParseFloat(b[i], 64)
			d := cmp.Compare(a[i], b[i])
			if errX == nil && errY == nil {
				d = cmp.Compare(x, y)
			}
			if c < 0 {
				d = -d
			}
			if d != 0 {
				return d
			}
		}
		return 0
	})
	return rows
}

func ratio(a, b int64) float64 { return float64(a) / float64(b) }

func midnight(ms int64) string { return shown(time.UnixMilli(ms).UTC().Truncate(24 * time.Hour)) }

func month(ms int64) time.Time {
	t := time.UnixMilli(ms).UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// independent compares reports over all months with what this file computes from the messages.
func independent(s *shelf) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := factsOf(stream(), "shop", from, now)
	same := func(name string, given map[string]string, want [][]string) {
		s.Helper()
		all := map[string]string{"from": "2026-01-01"}
		for k, v := range given {
			all[k] = v
		}
		a := s.ask(name, "shop", all)
		if got, want := (answer{rows: a.rows}).String(), (answer{rows: want}).String(); got != want {
			s.Errorf("%s answers%s\ncomputed are%s", name, got, want)
		}
	}
	f.sales(same)
	f.sellers(same)
	f.values(same)
	f.ends(same)
	f.people(same)
	f.money(same)
	f.shelves(same)
	f.providers(same)
	f.demand(same, stream())
	f.stays(same, stream())
}

type compare func(name string, given map[string]string, want [][]string)

func (f *facts) sales(same compare) {
	byDay, byCountry, byProduct, byCategory := sums{}, sums{}, sums{}, sums{}
	split := sums{}
	for _, o := range f.confirmed {
		units := int64(0)
		for _, l := range o.Lines {
			units += l.Quantity
			byProduct.add([]string{o.Currency, l.ProductID}, 1, l.Quantity, l.Quantity*l.UnitPriceMinor)
			byCategory.add([]string{o.Currency, f.products[l.ProductID].Category}, 1, l.Quantity, l.Quantity*l.UnitPriceMinor)
			more := int64(0)
			if len(l.Allocations) > 1 {
				more = 1
			}
			split.add([]string{shown(month(o.AtMS))}, 1, more, int64(len(l.Allocations)))
		}
		byDay.add([]string{midnight(o.AtMS), o.Currency}, 1, int64(len(o.Lines)), units, o.TotalMinor)
		byCountry.add([]string{shown(month(o.AtMS)), o.Currency, o.ShipCountry}, 1, int64(len(o.Lines)), units, o.TotalMinor)
	}
	same("sales", nil, sorted(byDay.rows(func(k []string, n []int64) []any { return []any{k[0], k[1], n[0], n[1], n[2], n[3]} }), 1, 2))
	same("sales-by-country", map[string]string{"granularity": "month"},
		sorted(byCountry.rows(func(k []string, n []int64) []any { return []any{k[0], k[1], k[2], n[0], n[1], n[2], n[3]} }), 1, 2, -7, 3))
	same("sales-by-product", nil, sorted(byProduct.rows(func(k []string, n []int64) []any {
		return []any{f.from, k[0], k[1], f.name(k[1])[0], f.name(k[1])[1], n[0], n[1], n[2]}
	}), 1, 2, -8, 3))
	same("sales-by-category", nil, sorted(byCategory.rows(func(k []string, n []int64) []any { return []any{f.from, k[0], k[1], n[0], n[1], n[2]} }), 1, 2, -6, 3))
	same("split-rate", map[string]string{"granularity": "month"}, sorted(split.rows(func(k []string, n []int64) []any { return []any{k[0], n[0], n[1], ratio(n[1], n[0]), n[2]} }), 1))
}

func (f *facts) sellers(same compare) {
	sold, wanted := sums{}, sums{}
	last := map[string]int64{}
	all := int64(0)
	for _, o := range f.confirmed {
		for _, l := range o.Lines {
			sold.add([]string{l.ProductID}, l.Quantity, 1)
			last[l.ProductID] = max(last[l.ProductID], o.AtMS)
			all += l.Quantity
		}
	}
	best := sorted(sold.rows(func(k []string, n []int64) []any {
		return []any{"", k[0], f.name(k[0])[0], f.name(k[0])[1], n[0], ratio(n[0], all), n[1]}
	}), -5, 2)
	for i := range best {
		best[i][0] = fmt.Sprint(i + 1)
	}
	same("best-sellers", nil, best)
	var worst [][]string
	for id, p := range f.products {
		if p.AtMS >= f.to.UnixMilli() {
			continue
		}
		n, at := sold[id], "null"
		if n == nil {
			n = []int64{0, 0}
		} else {
			at = shown(time.UnixMilli(last[id]))
		}
		worst = append(worst, []string{id, p.Name, p.Category, shown(time.UnixMilli(p.AtMS)), fmt.Sprint(n[0]), fmt.Sprint(n[1]), at})
	}
	same("worst-sellers", nil, sorted(worst, 5, 1))
	bounds := map[string][2]int64{}
	for _, o := range f.rejected {
		for _, l := range o.Lines {
			if l.Reason == schemas.ReasonOutOfStock {
				wanted.add([]string{l.ProductID}, 1, l.Quantity, max(0, l.Quantity-l.Available))
				b, met := bounds[l.ProductID]
				if !met {
					b[0] = o.AtMS
				}
				bounds[l.ProductID] = [2]int64{min(b[0], o.AtMS), max(b[1], o.AtMS)}
			}
		}
	}
	same("oversell", nil, sorted(wanted.rows(func(k []string, n []int64) []any {
		b := bounds[k[0]]
		return []any{k[0], f.name(k[0])[0], f.name(k[0])[1], n[0], n[1], n[2], time.UnixMilli(b[0]), time.UnixMilli(b[1])}
	}), -4, 1))
}

func (f *facts) values(same compare) {
	byDay, bySize := sums{}, sums{}
	totals, waits := map[string][]int64{}, map[string][]int64{}
	for _, o := range f.confirmed {
		units := int64(0)
		for _, l := range o.Lines {
			units += l.Quantity
		}
		byDay.add([]string{midnight(o.AtMS), o.Currency}, 1, o.TotalMinor, int64(len(o.Lines)), units)
		bySize.add([]string{fmt.Sprint(len(o.Lines))}, 1, units)
		key := midnight(o.AtMS) + o.Currency
		totals[key] = append(totals[key], o.TotalMinor)
		waits[midnight(o.AtMS)] = append(waits[midnight(o.AtMS)], o.AtMS-o.PlacedAtMS)
	}
	same("order-value", nil, sorted(byDay.rows(func(k []string, n []int64) []any {
		t := slices.Sorted(slices.Values(totals[k[0]+k[1]]))
		return []any{k[0], k[1], n[0], n[1], (n[1] + n[0]/2) / n[0], t[(len(t)-1)/2], ratio(n[2], n[0]), ratio(n[3], n[0])}
	}), 1, 2))
	same("order-size", nil, sorted(bySize.rows(func(k []string, n []int64) []any {
		return []any{k[0], n[0], ratio(n[0], int64(len(f.confirmed))), n[1]}
	}), 1))
	var rows [][]string
	for day, w := range waits {
		slices.Sort(w)
		rows = append(rows, []string{day, fmt.Sprint(len(w)), fmt.Sprint(w[(len(w)*50+99)/100-1]), fmt.Sprint(w[(len(w)*90+99)/100-1]), fmt.Sprint(w[(len(w)*99+99)/100-1]), fmt.Sprint(w[len(w)-1])})
	}
	same("time-to-confirm", nil, sorted(rows, 1))
}

func (f *facts) ends(same compare) {
	reasons, cancels, now := sums{}, sums{}, sums{}
	unpaid, refused := 0, 0
	for _, o := range f.rejected {
		units := int64(0)
		for _, l := range o.Lines {
			units += l.Quantity
		}
		reasons.add([]string{string(o.Reasons[0])}, 1, int64(len(o.Lines)), units)
		if o.Reasons[0] == schemas.ReasonPaymentDeclined || o.Reasons[0] == schemas.ReasonPaymentUnavailable {
			unpaid++
		} else {
			refused++
		}
	}
	decided := len(f.rejected) + len(f.confirmed)
	same("refusals", nil, sorted(reasons.rows(func(k []string, n []int64) []any { return []any{k[0], n[0], ratio(n[0], int64(decided)), n[1], n[2]} }), -2, 1))
	back := 0
	for _, o := range f.asked {
		cancels.add([]string{string(o.Reason), string(o.StatusBefore), o.Currency}, 1, o.TotalMinor)
		if o.StatusBefore == schemas.OrderStatusConfirmed {
			back++
		}
	}
	same("cancellations", nil, sorted(cancels.rows(func(k []string, n []int64) []any {
		return []any{k[0], k[1], k[2], n[0], ratio(n[0], int64(len(f.asked))), n[1]}
	}), 1, 2, 3))
	for _, r := range f.rows {
		reason := schemas.ReasonNone
		if len(r.Order.Reasons) > 0 {
			reason = r.Order.Reasons[0]
		}
		now.add([]string{string(r.Order.Status), string(reason)}, 1)
	}
	same("drop-off", nil, sorted(now.rows(func(k []string, n []int64) []any { return []any{k[0], k[1], n[0], ratio(n[0], int64(len(f.rows)))} }), -3, 1, 2))
	placed, confirmed := len(f.created), len(f.confirmed)
	var funnel [][]string
	for i, step := range []struct {
		name         string
		orders, lost int
		to           string
	}{
		{"placed", placed, 0, ""},
		{"decided", decided, placed - decided, "expired, cancelled before, or not decided yet"},
		{"in stock", decided - refused, refused, "stock, price, currency or limit"},
		{"confirmed", confirmed, unpaid, "payment"},
		{"kept", confirmed - back, back, "cancelled after the confirmation"},
	} {
		funnel = append(funnel, []string{fmt.Sprint(i + 1), step.name, fmt.Sprint(step.orders), shown(ratio(int64(step.orders), int64(placed))), fmt.Sprint(step.lost), step.to})
	}
	same("funnel", nil, funnel)
}

func (f *facts) people(same compare) {
	visits := map[string][]time.Time{} // months of each customer's orders that stand
	for _, r := range f.rows {
		if r.Order.Status == schemas.OrderStatusConfirmed && r.Order.CustomerID != "" {
			visits[r.Order.CustomerID] = append(visits[r.Order.CustomerID], month(r.Order.PlacedAtMS))
		}
	}
	repeats, cohorts, months := sums{}, sums{}, sums{}
	for _, v := range visits {
		slices.SortFunc(v, time.Time.Compare)
		repeats.add([]string{fmt.Sprint(min(len(v), 10))}, 1, int64(len(v)))
		for i, m := range v {
			if i > 0 && m.Equal(v[i-1]) {
				months.add([]string{shown(m)}, 0, 0, 1)
				continue
			}
			later := (m.Year()-v[0].Year())*12 + int(m.Month()-v[0].Month())
			cohorts.add([]string{shown(v[0]), fmt.Sprint(later)}, 1)
			first := int64(0)
			if i == 0 {
				first = 1
			}
			months.add([]string{shown(m)}, 1, first, 1)
		}
	}
	same("repeat-rate", nil, sorted(repeats.rows(func(k []string, n []int64) []any { return []any{k[0], n[0], ratio(n[0], int64(len(visits))), n[1]} }), 1))
	same("cohorts", nil, sorted(cohorts.rows(func(k []string, n []int64) []any {
		return []any{k[0], k[1], n[0], ratio(n[0], cohorts[k[0]+"\x000"][0])}
	}), 1, 2))
	same("customers", nil, sorted(months.rows(func(k []string, n []int64) []any {
		return []any{k[0], n[0], n[1], n[0] - n[1], ratio(n[0]-n[1], n[0]), n[2]}
	}), 1))
}

func (f *facts) money(same compare) {
	answers, refunds, days := sums{}, sums{}, sums{}
	for _, p := range f.payments {
		if p.Operation == schemas.PaymentOperationAuthorize && p.Outcome != schemas.PaymentOutcomeRequiresAction {
			yes := int64(0)
			if p.Outcome == authorized || p.Outcome == captured {
				yes = 1
			}
			answers.add([]string{p.Provider, string(p.Method)}, 1, yes)
		}
		switch p.Outcome {
		case captured:
			refunds.add([]string{shown(month(p.AtMS)), p.Currency}, 0, 0, p.AmountMinor)
			days.add([]string{midnight(p.AtMS), p.Currency}, 0, 0, p.AmountMinor, 0)
		case schemas.PaymentOutcomeRefunded:
			refunds.add([]string{shown(month(p.AtMS)), p.Currency}, 1, p.AmountMinor, 0)
			days.add([]string{midnight(p.AtMS), p.Currency}, 0, 0, 0, p.AmountMinor)
		}
	}
	for _, o := range f.confirmed {
		days.add([]string{midnight(o.AtMS), o.Currency}, o.TotalMinor, 0, 0, 0)
	}
	for _, o := range f.asked {
		if o.StatusBefore == schemas.OrderStatusConfirmed {
			days.add([]string{midnight(o.AtMS), o.Currency}, 0, o.TotalMinor, 0, 0)
		}
	}
	same("authorization-rate", nil, sorted(answers.rows(func(k []string, n []int64) []any {
		return []any{k[0], k[1], n[0], n[1], n[0] - n[1], ratio(n[1], n[0])}
	}), 1, 2))
	same("refunds", map[string]string{"granularity": "month"}, sorted(refunds.rows(func(k []string, n []int64) []any { return []any{k[0], k[1], n[0], n[1], n[2], ratio(n[1], n[2])} }), 1, 2))
	same("reconciliation", nil, sorted(days.rows(func(k []string, n []int64) []any {
		return []any{k[0], k[1], n[0], n[1], n[2], n[3], n[2] - n[3], n[0] - (n[2] - n[3])}
	}), 1, 2))
}

// shelves follows the stock of each product through time, step by step.
func (f *facts) shelves(same compare) {
	type level struct{ free, available, taken, area int64 } // area: free units × milliseconds, so far
	now, since := map[string]map[string]schemas.StockLevel{}, map[string]int64{}
	state := map[string]*level{}
	span := f.to.UnixMilli() - f.from.UnixMilli()
	for _, m := range f.moves { // each product's moves come in order
		if state[m.ProductID] == nil {
			state[m.ProductID], since[m.ProductID], now[m.ProductID] = &level{}, f.from.UnixMilli(), map[string]schemas.StockLevel{}
		}
		l := state[m.ProductID]
		l.area += l.free * (m.AtMS - since[m.ProductID])
		since[m.ProductID] = m.AtMS
		for _, v := range m.Levels {
			now[m.ProductID][v.LocationID] = v
		}
		l.free, l.available = 0, 0
		for _, v := range now[m.ProductID] {
			l.free += v.OnHand - v.Reserved
			l.available += max(0, v.OnHand-v.Reserved-v.SafetyStock)
		}
		for _, e := range m.Entries {
			switch m.Movement {
			case schemas.MovementReserved:
				l.taken += e.Quantity
			case schemas.MovementReleased:
				l.taken -= e.Quantity
			}
		}
	}
	var turns, days [][]string
	for id, l := range state {
		l.area += l.free * (f.to.UnixMilli() - since[id])
		average, _ := strconv.ParseFloat(strconv.FormatFloat(ratio(l.area, span), 'f', 2, 64), 64)
		turned := float64(l.taken) / average
		turns = append(turns, []string{id, f.name(id)[0], f.name(id)[1], fmt.Sprint(l.taken), shown(average), shown(turned), shown(turned * 365 * 86400000 / float64(span)), fmt.Sprint(l.free)})
		perDay, left := ratio(l.taken*86400000, span), "null"
		if l.taken > 0 {
			left = shown(float64(l.available) / perDay)
		}
		days = append(days, []string{id, f.name(id)[0], f.name(id)[1], fmt.Sprint(l.available), "0", fmt.Sprint(l.taken), shown(perDay), left})
	}
	same("stock-turns", nil, sorted(turns, -6, 1))
	same("days-of-stock", nil, sorted(days, 8, 1)) // "null" stands behind digits
}

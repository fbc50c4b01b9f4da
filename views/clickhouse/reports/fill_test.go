package reports_test

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"oms/internal/clickhouse"
	"oms/internal/clickhouse/clickhousetest"
	sink "oms/views/clickhouse"
	"oms/views/clickhouse/reports"
)

// bench is tables filled with so many lines.
func bench(t *testing.T, lines string, to time.Time) *shelf {
	t.Helper()
	engine := clickhousetest.Start(t)
	db, err := clickhouse.OpenDB(engine.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := sink.Migrate(t.Context(), db, 0); err != nil {
		t.Fatal(err)
	}
	s := &shelf{T: t, write: open(t, engine.URL()), read: open(t, engine.ReaderURL()), now: to}
	for _, statement := range reports.Fill() {
		if err := s.write.Exec(t.Context(), statement, ch.Named("lines", lines), ch.Named("to", to.Format("2006-01-02 15:04:05.000")), ch.Named("tenant", "bench")); err != nil {
			t.Fatalf("%v\n%s", err, statement)
		}
	}
	return s
}

// TestFill: the shop of the benchmark has as many lines as were asked for, every report has an answer about it, and the reports about the same thing agree.
func TestFill(t *testing.T) {
	s := bench(t, "46000", time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC))
	for query, want := range map[string]uint64{
		"SELECT count() FROM order_lines FINAL WHERE type = 'OrderCreated'":                                                                           46_000,
		"SELECT sum(lines) FROM orders_now FINAL":                                                                                                     46_000,
		"SELECT count() FROM order_events FINAL WHERE type = 'OrderCreated'":                                                                          40_000,
		"SELECT uniqExact(order_id) FROM order_events FINAL":                                                                                          40_000,
		"SELECT count() FROM (SELECT 1 FROM order_events FINAL GROUP BY order_id HAVING countIf(type = 'OrderCreated') != 1)":                         0,
		"SELECT count() FROM order_events FINAL WHERE at < placed_at":                                                                                 0,
		"SELECT abs((SELECT sum(total_minor) FROM order_lines FINAL) - (SELECT sumIf(total_minor, type = 'OrderConfirmed') FROM order_events FINAL))": 0,
		"SELECT abs((SELECT sum(captured_minor) FROM orders_now FINAL) - (SELECT sumIf(amount_minor, outcome = 'CAPTURED') FROM payments FINAL))":     0,
	} {
		var got float64
		row := s.write.QueryRow(t.Context(), "SELECT toFloat64(("+query+"))")
		if err := row.Scan(&got); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if got != float64(want) {
			t.Errorf("%s answers %.0f, want %d", query, got, want)
		}
	}
	for _, r := range reports.All() {
		if a := s.ask(r.Name, "bench", nil); len(a.rows) == 0 {
			t.Errorf("%s has no answer", r.Name)
		}
	}
	total := func(name, column string, given map[string]string) (sum int64) {
		for _, row := range s.ask(name, "bench", given).only([]string{column}) {
			sum += number(t, row[0])
		}
		return sum
	}
	sales := total("sales", "sales_minor", nil)
	for name, given := range map[string]map[string]string{"sales-by-country": nil, "sales-by-category": nil, "sales-by-product": {"limit": "10000"}, "order-value": nil} {
		if other := total(name, "sales_minor", given); other != sales {
			t.Errorf("%s has sales of %d, sales of %d", name, other, sales)
		}
	}
	if confirmed := total("reconciliation", "confirmed_minor", nil); confirmed != sales {
		t.Errorf("reconciliation has %d confirmed, sales %d", confirmed, sales)
	}
	pruned(s)
}

var reads = regexp.MustCompile(`ReadFromMergeTree \(\w+\.(\w+)\)`)

var granules = regexp.MustCompile(`Granules: ([0-9]+)/([0-9]+)`)

// pruned: a report about one of thirty days reads a small part of the facts.
func pruned(s *shelf) {
	for _, name := range []string{"sales", "sales-by-product", "refusals", "best-sellers", "order-value", "time-to-confirm", "split-rate", "authorization-rate", "refunds", "oversell", "hot-products"} {
		r, _ := reports.Find(name)
		bound, err := r.Bind("bench", map[string]string{"from": "2026-11-10", "to": "2026-11-11"}, s.now)
		if err != nil {
			s.Fatal(err)
		}
		var args []any
		for k, v := range bound {
			args = append(args, ch.Named(k, v))
		}
		rows, err := s.read.Query(s.Context(), "EXPLAIN indexes = 1 "+r.SQL, args...)
		if err != nil {
			s.Fatal(name, err)
		}
		read, all, table := 0, 0, "" // of the table that the lines are about: the first index sees all of it, each later one what the one before left
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				s.Fatal(err)
			}
			if m := reads.FindStringSubmatch(line); m != nil {
				table = m[1]
			}
			if m := granules.FindStringSubmatch(line); m != nil && table != "products" {
				read, _ = strconv.Atoi(m[1])
				if all == 0 {
					all, _ = strconv.Atoi(m[2])
				}
			}
		}
		if rows.Close(); all < 5 || read > 2+all/8 {
			s.Errorf("%s about a day of thirty reads %d of %d granules", name, read, all)
		}
	}
}

package reports_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"oms/internal/clickhouse"
	"oms/internal/clickhouse/clickhousetest"
	"oms/proof/chaos"
)

// TestRealOrders: the 5,000 real documents of a wholesaler go the whole way, over HTTP through the log into ClickHouse, and eight reports answer what a script computes
// straight from the files, to the minor unit.
func TestRealOrders(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	clickhousetest.Library(t)
	shared := os.Getenv("OMS_SHARED")
	if shared == "" {
		shared = "../../../../shared"
	}
	dir := filepath.Join(shared, "data", "uci-online-retail")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the real orders are not at hand (OMS_SHARED names the folder that holds data/uci-online-retail):", err)
	}
	want := computed(t, dir)
	s := loaded(t, dir)
	// Columns of the report that the script computes, by name.
	for name, columns := range map[string][]string{
		"sales-by-country": {"currency", "country", "orders", "lines", "units", "sales_minor"},
		"sales-by-product": {"product_id", "lines", "units", "sales_minor"},
		"best-sellers":     {"product_id", "units", "lines"},
		"order-size":       {"lines", "orders", "units"},
		"cancellations":    {"currency", "orders", "given_up_minor"},
		"drop-off":         {"status", "orders"},
		"repeat-rate":      {"orders_each", "customers", "orders"},
	} {
		given := map[string]string{"from": "-30d"}
		if name == "sales-by-product" {
			given["limit"] = "10000"
		}
		if got := s.ask(name, "default", given).only(columns); !slices.EqualFunc(got, want[name], slices.Equal) {
			t.Errorf("%s answers %d rows\n%v\nthe files say %d\n%v", name, len(got), got, len(want[name]), want[name])
		}
		delete(want, name)
	}
	// The load may run over midnight; over all days the numbers are the files'.
	orders, sales := int64(0), int64(0)
	for _, row := range s.ask("order-value", "default", map[string]string{"from": "-30d"}).only([]string{"orders", "sales_minor"}) {
		orders, sales = orders+number(t, row[0]), sales+number(t, row[1])
	}
	if w := want["order-value"][0]; fmt.Sprint(orders) != w[1] || fmt.Sprint(sales) != w[2] {
		t.Errorf("order-value answers %d orders worth %d, the files say %v", orders, sales, w)
	}
	// Stock was opened with what the documents take, so what is left is what was cancelled.
	left := int64(0)
	for _, row := range s.ask("days-of-stock", "default", map[string]string{"from": "-30d", "limit": "10000"}).only([]string{"available_units"}) {
		left += number(t, row[0])
	}
	if delete(want, "order-value"); fmt.Sprint(left) != want["stock-left"][0][0] {
		t.Errorf("days-of-stock has %d units, the files say %v", left, want["stock-left"])
	}
	if delete(want, "stock-left"); len(want) > 0 {
		t.Errorf("nobody compares %v", want)
	}
	nonsense(s)
}

// nonsense demands that every report answers something about real orders, refusals and the like excepted.
func nonsense(s *shelf) {
	for _, q := range questions() {
		if len(q.given) > 0 {
			continue
		}
		a := s.ask(q.name, "default", nil)
		none := slices.Contains([]string{"refusals", "oversell"}, q.name) // there were none
		if none != (len(a.rows) == 0) {
			s.Errorf("%s answers %d rows", q.name, len(a.rows))
		}
		if strings.Contains(a.String(), "not a number") {
			s.Errorf("%s answers\n%s", q.name, a)
		}
	}
}

// computed runs the script.
func computed(t *testing.T, dir string) map[string][][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "python3", filepath.Join("testdata", "real.py"), dir)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("real.py: %v\n%s", err, complaint.Bytes())
	}
	var answers map[string][][]any
	in := json.NewDecoder(bytes.NewReader(out))
	in.UseNumber()
	if err := in.Decode(&answers); err != nil {
		t.Fatal(err)
	}
	texts := map[string][][]string{}
	for name, rows := range answers {
		for _, row := range rows {
			var text []string
			for _, v := range row {
				text = append(text, fmt.Sprint(v))
			}
			texts[name] = append(texts[name], text)
		}
	}
	return texts
}

// loaded starts the shop, loads the documents, and waits until the tables have what came of them.
func loaded(t *testing.T, dir string) *shelf {
	t.Helper()
	work := t.TempDir()
	binary := filepath.Join(work, "oms")
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	t.Cleanup(cancel)
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "oms").CombinedOutput(); err != nil {
		t.Fatalf("building the binary: %v\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(work, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if all, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("the processes said:\n%s", all[max(0, len(all)-8_000):])
		}
		log.Close()
	})
	data := filepath.Join(work, "data")
	p, err := chaos.Start(ctx, binary, log, "up", "--data", data, "--http", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	out, err := exec.CommandContext(ctx, binary, "load", "--server", p.HTTP, "-o", "json", "--format", "uci-online-retail", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("the loader: %v\n%s", err, out)
	}
	engines, err := filepath.Glob(filepath.Join(data, "clickhouse", "*"))
	if err != nil || len(engines) != 1 {
		t.Fatalf("engines: %v, %v", engines, err)
	}
	endpoint, err := clickhouse.ReadEndpoint(engines[0])
	if err != nil {
		t.Fatal(err)
	}
	url, err := endpoint.FullURL()
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{T: t, write: open(t, url), read: open(t, strings.Replace(endpoint.URL, "://", "://reader@", 1)), now: time.Now().Add(time.Minute)}
	for s.behind(ctx) {
		select {
		case <-ctx.Done():
			t.Fatal("the tables do not come to stand where the topics do")
		case <-time.After(100 * time.Millisecond):
		}
	}
	return s
}

// behind tells whether facts that the last documents brought are not in the tables yet: an order's confirmation, its lines, its payment, its stock and its row, of all
// that were placed, and all cancellations.
func (s *shelf) behind(ctx context.Context) bool {
	var ready bool
	err := s.write.QueryRow(ctx, `SELECT
		(SELECT (countIf(type = 'OrderConfirmed'), countIf(type = 'OrderCancelled')) FROM order_events FINAL) = (3973, 18)
		AND (SELECT countIf(type = 'OrderConfirmed') FROM order_lines FINAL) = 105233
		AND (SELECT (countIf(status = 'CONFIRMED'), countIf(status = 'CANCELLED')) FROM orders_now FINAL) = (3955, 18)
		AND (SELECT countIf(movement = 'RESERVED') FROM stock_movements FINAL) = 105233
		AND (SELECT countIf(movement = 'ADJUSTED' AND quantity < 0) FROM stock_movements FINAL) = 217`).Scan(&ready)
	return err != nil || !ready
}

// only answers some columns of the rows.
func (a answer) only(columns []string) [][]string {
	var rows [][]string
	for _, row := range a.rows {
		var some []string
		for _, c := range columns {
			some = append(some, row[slices.Index(a.columns, c)])
		}
		rows = append(rows, some)
	}
	return rows
}

func number(t *testing.T, s string) (n int64) {
	t.Helper()
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

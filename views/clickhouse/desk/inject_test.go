package desk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"oms/views/clickhouse/reports"
)

// attacks are values that try to be more than a value.
var attacks = []string{
	`'`, `''`, `"`, "`", `\`, `\'`, `\\'`, `'--`, `' OR '1'='1`, `' OR tenant = 'other`, `' OR tenant != '' --`, `default' OR 1=1 -- `, `') OR ('' = '`, `' UNION ALL SELECT * FROM orders_now --`,
	`' UNION DISTINCT SELECT tenant, customer_id FROM orders_now WHERE tenant='other' --`, `'; DROP TABLE orders_now; --`, `'; INSERT INTO products (tenant) VALUES ('other'); --`, `'; ALTER TABLE payments DELETE WHERE 1; --`,
	`'; TRUNCATE TABLE order_lines; --`, `/* */`, `*/ OR 1 /*`, `'/**/OR/**/1=1--`, `#' OR 1`, `-- `, `{tenant:String}`, `{tenant:Identifier}`, `{x:Identifier}`, `{{tenant:String}}`, `{`, `}`, `{a:String}{tenant:String}`,
	`' INTO OUTFILE '/tmp/oms-attack' --`, `' FORMAT Native --`, `' SETTINGS readonly = 0 --`, `' SETTINGS max_result_rows = 0, max_memory_usage = 0 --`, `file('/etc/passwd')`, `' OR (SELECT count() FROM file('/etc/passwd', 'LineAsString')) --`,
	`' OR (SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')) --`, `' OR (SELECT * FROM remote('127.0.0.1', 'oms', 'orders_now')) --`, `executable('id')`, `' OR sleep(3) --`, `%27%20OR%201=1`, `%`, `_`, `*`, `\N`, `NULL`, `nan`, `inf`,
	"\u2019 OR 1=1", "\uFF07 OR 1=1 \uFF0D\uFF0D", "\u02BC", "\u202E' OR 1=1", "a\u0300'", "\xbf' OR 1=1", "\xff\xfe", "\x00", "a\x00' OR 1=1", "\n' OR 1=1", "\r\n--", "\t", "\x1b[2J", `$$' OR 1=1$$`, `$tag$ OR 1 $tag$`,
	`0x27`, `char(39)`, `1; SELECT 1`, `1 OR 1`, `-1`, `9223372036854775808`, `1e9`, `01`, ` 1`, `now()`, `now`, `-99999999d`, `-1d/d'`, `2026-05-01' OR '1`, `2026-13-01`, `2026-05-01T00:00:00Z; DROP TABLE x`, `day') FROM orders_now --`, `hour,day`, `(SELECT 1)`, `[1]`,
	`other`, `other-`, strings.Repeat("'", 199), strings.Repeat("A", 4000), strings.Repeat(`\`, 200), "",
}

// contents are how many rows each table has, and a sum over them.
func contents(t testing.TB) string {
	conn, _ := shop(t)
	var all []string
	for _, table := range []string{"order_events", "order_lines", "payments", "stock_movements", "stock_alerts", "products", "orders_now"} {
		var n, sum uint64
		if err := conn.QueryRow(t.Context(), "SELECT count(), sum(cityHash64(*)) FROM "+table).Scan(&n, &sum); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(table, " ", n, " ", sum))
	}
	return strings.Join(all, "\n")
}

func TestAttacksAreRefusedOrData(t *testing.T) {
	if len(attacks) < 40 {
		t.Fatal("too few attacks")
	}
	before := contents(t)
	at := serve(t, staffOf("default"), func(c *Config) { c.AtOnce = 64 })
	type try struct{ report, param, value string }
	tries := make(chan try)
	var workers sync.WaitGroup
	var lock sync.Mutex
	refused, bound := 0, 0
	for range 4 {
		workers.Go(func() {
			for a := range tries {
				h := get(t, at+"/api/reports/"+a.report+"?format=csv&"+url.Values{a.param: {a.value}}.Encode())
				lock.Lock()
				switch {
				case h.StatusCode == 400 && h.problem.Code == "BAD_PARAMETER":
					refused++
				case h.StatusCode == 200:
					bound++
				default:
					t.Errorf("%s: %s=%q: %d %.300s", a.report, a.param, a.value, h.StatusCode, h.body)
				}
				if bytes.Contains(h.body, []byte("other-")) && h.StatusCode == 200 {
					t.Errorf("%s: %s=%q: another shop's row: %.300s", a.report, a.param, a.value, h.body)
				}
				lock.Unlock()
			}
		})
	}
	for i, r := range reports.All() {
		for _, p := range r.Params {
			for n, value := range attacks {
				if !testing.Short() || n%6 == i%6 {
					tries <- try{r.Name, p.Name, value}
				}
			}
		}
		for _, own := range append([]string{"tenant", "param_tenant", "query", "database", "readonly", "max_result_rows", "default_format", "user", "x' OR 1"}, ownParameters...) {
			if own != "format" {
				tries <- try{r.Name, own, attacks[(i*7)%len(attacks)]}
			}
		}
	}
	close(tries)
	workers.Wait()
	if after := contents(t); after != before {
		t.Errorf("the tables were\n%s\nand are\n%s", before, after)
	}
	t.Logf("%d refused, %d bound", refused, bound)
	if refused == 0 || bound == 0 {
		t.Error("one of the ways out was never taken")
	}
}

// What gets past the rules of a text is answered as it was given.
func TestABoundTextIsTheText(t *testing.T) {
	echo := custom("echo", "SELECT {v:String} AS v, {tenant:String} AS tenant", reports.Param{Name: "v", Type: "text", Default: "", Doc: "?"})
	at := serve(t, staffOf("default"), echo)
	same := 0
	for _, value := range attacks {
		h := get(t, at+"/api/reports/echo?"+url.Values{"v": {value}}.Encode())
		if h.StatusCode == 400 {
			continue
		}
		var doc struct {
			Rows []struct{ V, Tenant string }
		}
		if err := json.Unmarshal(h.body, &doc); err != nil || len(doc.Rows) != 1 || doc.Rows[0].V != value || doc.Rows[0].Tenant != "default" {
			t.Errorf("%q came back as %d %s", value, h.StatusCode, h.body)
		}
		same++
	}
	if same < 40 {
		t.Errorf("only %d texts were tried", same)
	}
}

func TestNamesOfReportsAreNoPaths(t *testing.T) {
	at := serve(t, staffOf("default"), nil)
	for _, name := range attacks {
		if strings.ContainsAny(name, "\x00") || name == "" {
			continue
		}
		if h := get(t, at+"/api/reports/"+url.PathEscape(name)); h.StatusCode != 404 && h.StatusCode != 400 && h.StatusCode != 431 {
			t.Errorf("%q: %d", name, h.StatusCode)
		}
	}
}

package reports

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

var noon = time.Date(2026, 11, 24, 12, 30, 15, 123456789, time.UTC)

// withoutFinal are reports that a repeated row cannot change, because they ask for a greatest time or group by order; TestAnswers repeats every row.
var withoutFinal = []string{"freshness", "time-in-state"}

func TestCatalogue(t *testing.T) {
	rs := All()
	for i, r := range rs {
		if i > 0 && rs[i-1].Name >= r.Name {
			t.Errorf("%s does not stand behind %s", r.Name, rs[i-1].Name)
		}
		if again, ok := Find(r.Name); !ok || again.SQL != r.SQL {
			t.Errorf("%s is not found", r.Name)
		}
		if !strings.HasSuffix(r.Question, ".") || !strings.Contains(r.Question, "?") {
			t.Errorf("%s: a question asks, and then says in sentences what is counted", r.Name)
		}
		for _, p := range r.Params {
			if p.Name == "limit" && (p.Min != 1 || p.Max != 10000) {
				t.Errorf("%s: limit is from %d to %d", r.Name, p.Min, p.Max)
			}
		}
		for _, table := range []string{"order_events", "order_lines", "payments", "stock_movements", "stock_alerts", "products", "orders_now"} {
			if n, final := strings.Count(r.SQL, "FROM "+table)+strings.Count(r.SQL, "JOIN "+table), strings.Count(r.SQL, table+" FINAL"); n != final && !slices.Contains(withoutFinal, r.Name) {
				t.Errorf("%s reads %s %d times, and %d times deduplicated", r.Name, table, n, final)
			}
		}
	}
	if _, ok := Find("nothing"); ok {
		t.Error("a report that is not there was found")
	}
}

func TestDefectsInHeaders(t *testing.T) {
	good := "-- title: T\n-- question: Q?\n-- param: from time -1d \"d\"\n-- chart: none\nSELECT {tenant:String}, {from:DateTime64(3, 'UTC')}"
	if _, err := parse("good", good); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{
		"-- title: T\n":              "",
		"-- question: Q?\n":          "",
		"-- chart: none\n":           "",
		"-- chart: none":             "-- chart: pie",
		"chart: none":                "chart: bar x=a",
		"-- chart: n":                "-- colour: n",
		"-1d":                        "soon",
		"time -1d":                   "time -1d 1..2",
		"time -1d \"d\"":             "time -1d",
		" \"d\"":                     " \"d",
		"from time":                  "tenant time",
		"{tenant:String}":            "1",
		"DateTime64(3, 'UTC')":       "String",
		"{from:":                     "{form:",
		"time -1d \"d\"\n":           "time -1d \"d\"\n-- param: limit number 0 1..10 \"d\"\n",
		"-- param: from time -1d":    "-- param: from choice c a,b",
		"SELECT":                     "DROP",
		"{tenant:String}, ":          "{tenant:String}; SELECT ",
		"-- param: from time -1d \"": "-- param: from time -1d \"d\"\n-- param: from time -1d \"",
	} {
		bad := strings.Replace(good, from, to, 1)
		if r, err := parse("bad", bad); err == nil || bad == good {
			t.Errorf("%q in place of %q was taken: %+v", to, from, r)
		}
	}
	if _, err := parse("Bad_Name", good); err == nil {
		t.Error("a bad name was taken")
	}
	defer func() {
		if recover() == nil {
			t.Error("a defect did not panic")
		}
	}()
	parseAll(fstest.MapFS{"x.sql": {Data: []byte("SELECT 1")}})
}

var sample = Report{Name: "sample", Params: []Param{
	{Name: "from", Type: "time", Default: "-30d/d"}, {Name: "to", Type: "time", Default: "now"}, {Name: "granularity", Type: "choice", Default: "day", Choices: []string{"hour", "day"}},
	{Name: "limit", Type: "number", Default: "100", Min: 1, Max: 10000}, {Name: "currency", Type: "text"},
}}

func TestBindFillsDefaults(t *testing.T) {
	for _, c := range []struct {
		given map[string]string
		want  map[string]string
	}{
		{nil, map[string]string{"tenant": "shop", "from": "2026-10-25 00:00:00.000", "to": "2026-11-24 12:30:15.123", "granularity": "day", "limit": "100", "currency": ""}},
		{map[string]string{"to": "2024-03-01"}, map[string]string{"from": "2024-01-31 00:00:00.000", "to": "2024-03-01 00:00:00.000"}},
		{map[string]string{"from": "-12h", "limit": "7"}, map[string]string{"from": "2026-11-24 00:30:15.123", "limit": "7"}},
		{map[string]string{"from": "-7d", "to": "-1d/d"}, map[string]string{"from": "2026-11-17 12:30:15.123", "to": "2026-11-23 00:00:00.000"}},
		{map[string]string{"from": "2026-11-24T10:00:00.5+02:00", "currency": "EUR"}, map[string]string{"from": "2026-11-24 08:00:00.500", "currency": "EUR"}},
		{map[string]string{"from": "2016-11-24", "to": "2026-11-24"}, map[string]string{"from": "2016-11-24 00:00:00.000"}},
		{map[string]string{"currency": "'; DROP TABLE order_events; --"}, map[string]string{"currency": "'; DROP TABLE order_events; --"}}, // a value like any other
	} {
		bound, err := sample.Bind("shop", c.given, noon)
		if err != nil {
			t.Errorf("%v: %v", c.given, err)
		}
		for name, want := range c.want {
			if bound[name] != want {
				t.Errorf("%v: %s is %q, not %q", c.given, name, bound[name], want)
			}
		}
		if len(bound) != 6 {
			t.Errorf("%v: bound %v", c.given, bound)
		}
	}
}

func TestBindRefuses(t *testing.T) {
	for _, c := range []struct{ name, value string }{
		{"tenant", "other"}, {"form", "-1d"}, {"", ""}, {"From", "-1d"},
		{"from", ""}, {"from", "now"}, {"from", "yesterday"}, {"from", "2026-13-01"}, {"from", "2026-02-30"}, {"from", "1969-12-31"}, {"from", "2027-01-01"}, {"from", "2016-11-23"},
		{"from", "-0x1d"}, {"from", "-1w"}, {"from", "1d"}, {"from", "--1d"}, {"from", "-99999999999d"}, {"from", "-999999d"}, {"from", "-1d/h"}, {"from", "2026-11-24 10:00:00"},
		{"from", "2026-11-24T10:00:00"}, {"from", "1764000000"}, {"from", "2026-11-24' OR 1=1 --"}, {"from", " -1d"}, {"from", "NOW"}, {"from", "-1d\n"}, {"from", "0000-01-01"},
		{"to", "2100-01-01"}, {"to", "{from:String}"}, {"to", "-3653d"},
		{"granularity", ""}, {"granularity", "Day"}, {"granularity", "second"}, {"granularity", "day'"}, {"granularity", "hour,day"},
		{"limit", "0"}, {"limit", "10001"}, {"limit", "-1"}, {"limit", "+1"}, {"limit", "1e3"}, {"limit", "01"}, {"limit", "1.0"}, {"limit", ""}, {"limit", "99999999999999999999"}, {"limit", "1; SELECT 1"},
		{"limit", "١"}, {"currency", strings.Repeat("x", 201)}, {"currency", "a\x00"}, {"currency", "a\tb"}, {"currency", "\xff"},
	} {
		given := map[string]string{c.name: c.value}
		if c.value == "-3653d" {
			given["from"] = "-3652d"
		}
		bound, err := sample.Bind("shop", given, noon)
		var fault *Fault
		if !errors.As(err, &fault) || bound != nil {
			t.Errorf("%s=%q was bound: %v, %v", c.name, c.value, bound, err)
		} else if fault.Rule == "" || fault.Value != given[fault.Param] || c.value != "-3653d" && fault.Param != c.name {
			t.Errorf("%s=%q: %+v", c.name, c.value, fault)
		}
	}
}

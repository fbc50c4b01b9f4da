package reports_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"oms/views/clickhouse/reports"
)

// attacks are values that would do harm, or show another shop's facts, were they pasted.
var attacks = []string{
	"'", "''", `"`, "`", `\`, `\'`, `\\'`, "' OR '1'='1", "' OR 1=1 -- ", "'); DROP TABLE order_events; --", "EUR'; SELECT * FROM system.users; --", "' UNION ALL SELECT 1,2,3,4,5,6 -- ",
	"{tenant:String}", "{currency:Identifier}", "%27%20OR%201=1", "'||(SELECT tenant FROM order_events LIMIT 1)||'", "') OR tenant != '", "/* */", "*/", "-- ", "#", "$$ $$",
	"url('http://localhost/')", "other", "NULL", `\N`, "0x27", "CHAR(39)", "ʼ", "＇", "shop'--", "sleep(3)", "toString(throwIf(1))",
}

// attack binds harmful values wherever a text is taken: they are compared as they are, and fit nothing.
func attack(s *shelf) {
	var before, after uint64
	count := func(into *uint64) {
		if err := s.write.QueryRow(s.Context(), "SELECT count() FROM order_events").Scan(into); err != nil {
			s.Fatal(err)
		}
	}
	count(&before)
	for _, r := range reports.All() {
		for _, value := range attacks {
			for _, p := range r.Params {
				given := map[string]string{p.Name: value}
				if p.Type != "text" {
					var fault *reports.Fault
					if _, err := r.Bind("shop", given, s.now); !errors.As(err, &fault) || fault.Param != p.Name {
						s.Errorf("%s takes %s=%q: %v", r.Name, p.Name, value, err)
					}
				} else if a := s.ask(r.Name, "shop", given); len(a.rows) > 0 {
					s.Errorf("%s with %s=%q answers\n%s", r.Name, p.Name, value, a)
				}
			}
		}
	}
	for _, value := range attacks {
		if value == "other" {
			continue // which is a shop
		}
		if a := s.ask("sales", value, map[string]string{"from": "2026-01-01"}); len(a.rows) > 0 {
			s.Errorf("sales of the shop %q answers\n%s", value, a)
		}
	}
	if count(&after); before != after {
		s.Errorf("%d rows were there before the attacks, %d are now", before, after)
	}
}

// FuzzBind: whatever is given, Bind answers a fault that names it, or values in the form of their types.
func FuzzBind(f *testing.F) {
	for _, value := range append(attacks, "-1d", "2026-05-01", "now", "2026-05-01T10:00:00Z", "day", "10", "") {
		for _, name := range []string{"from", "to", "granularity", "limit", "currency", "product", "tenant"} {
			f.Add(name, value)
		}
	}
	all := reports.All()
	f.Fuzz(func(t *testing.T, name, value string) {
		for _, r := range all {
			bound, err := r.Bind("shop", map[string]string{name: value}, now)
			var fault *reports.Fault
			if err != nil {
				if !errors.As(err, &fault) || fault.Rule == "" {
					t.Fatalf("%s %s=%q: %v", r.Name, name, value, err)
				}
				continue
			}
			if bound["tenant"] != "shop" || len(bound) != len(r.Params)+1 {
				t.Fatalf("%s %s=%q: bound %v", r.Name, name, value, bound)
			}
			for _, p := range r.Params {
				v := bound[p.Name]
				if p.Type == "time" {
					if _, err := time.Parse("2006-01-02 15:04:05.000", v); err != nil {
						t.Fatalf("%s %s=%q: %s is %q", r.Name, name, value, p.Name, v)
					}
				}
				if p.Type != "text" && strings.ContainsAny(v, "'\"\\;\n\x00") {
					t.Fatalf("%s %s=%q: %s is %q", r.Name, name, value, p.Name, v)
				}
			}
		}
	})
}

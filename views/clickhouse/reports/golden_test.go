package reports_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"oms/views/clickhouse/reports"
)

var update = flag.Bool("update", false, "write the golden answers anew")

// question is a report with the values of its parameters.
type question struct {
	name  string
	given map[string]string
}

// questions are asked of every report: with its defaults, over all months, and with each of its choices.
func questions() (qs []question) {
	for _, r := range reports.All() {
		all := map[string]string{}
		for _, p := range r.Params {
			if p.Name == "from" {
				all["from"] = "2026-01-01"
			}
		}
		qs = append(qs, question{r.Name, nil})
		if len(all) > 0 {
			qs = append(qs, question{r.Name, all})
		}
		for _, p := range r.Params {
			for _, choice := range p.Choices {
				if choice != p.Default {
					qs = append(qs, question{r.Name, map[string]string{p.Name: choice}})
				}
			}
			if p.Name == "limit" {
				qs = append(qs, question{r.Name, map[string]string{"limit": "2"}})
			}
		}
	}
	return qs
}

// TestAnswers holds every report against its golden answers, against what is computed here, against tables in which each row is twice, and against a shop without facts.
func TestAnswers(t *testing.T) {
	s := fill(t, stream())
	t.Run("golden", func(t *testing.T) { golden(s.in(t)) })
	t.Run("independent", func(t *testing.T) { independent(s.in(t)) })
	t.Run("twice", func(t *testing.T) { twice(s.in(t)) })
	t.Run("nobody", func(t *testing.T) { nobody(s.in(t)) })
	t.Run("attack", func(t *testing.T) { attack(s.in(t)) })
}

// golden: every report answers as it did, and with columns that its chart names.
func golden(s *shelf) {
	files := map[string][]map[string]any{}
	for _, q := range questions() {
		a := s.ask(q.name, "shop", q.given)
		r, _ := reports.Find(q.name)
		for _, c := range append(slices.Clone(r.Chart.Y), r.Chart.X, r.Chart.Series) {
			if c != "" && !slices.Contains(a.columns, c) {
				s.Errorf("%s: its chart has a column %s, its answer has %v", q.name, c, a.columns)
			}
		}
		files[q.name] = append(files[q.name], map[string]any{"given": q.given, "columns": a.columns, "types": a.types, "rows": a.rows})
	}
	for name, cases := range files {
		path := filepath.Join("testdata", "golden", name+".json")
		text := render(cases)
		if *update {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				s.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path); err != nil {
			s.Error(err)
		} else if !bytes.Equal(want, text) {
			s.Errorf("%s answers\n%s\nand should answer\n%s", name, text, want)
		}
	}
	known, _ := filepath.Glob(filepath.Join("testdata", "golden", "*.json"))
	if len(known) != len(files) {
		s.Errorf("%d golden answers of %d reports", len(known), len(files))
	}
}

// render writes a row a line.
func render(cases []map[string]any) []byte {
	var b bytes.Buffer
	put := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		b.Write(text)
	}
	b.WriteString("[")
	for i, c := range cases {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n{\"given\": ")
		put(c["given"])
		b.WriteString(",\n \"columns\": ")
		put(c["columns"])
		b.WriteString(",\n \"types\": ")
		put(c["types"])
		b.WriteString(",\n \"rows\": [")
		for j, r := range c["rows"].([][]string) {
			if j > 0 {
				b.WriteString(",")
			}
			b.WriteString("\n  ")
			put(r)
		}
		b.WriteString("]}")
	}
	b.WriteString("\n]\n")
	return b.Bytes()
}

// twice inserts every row once more, as a sink does that was not sure, and lets nothing be merged: no answer may change.
func twice(s *shelf) {
	before := map[int]string{}
	qs := questions()
	for i, q := range qs {
		before[i] = s.ask(q.name, "shop", q.given).String()
	}
	for _, table := range []string{"order_events", "order_lines", "payments", "stock_movements", "stock_alerts", "products", "orders_now"} {
		var n, again uint64
		for _, statement := range []string{"SYSTEM STOP MERGES " + table, "INSERT INTO " + table + " SELECT * FROM " + table + " SETTINGS insert_deduplicate = 0"} {
			if err := s.write.Exec(s.Context(), statement); err != nil {
				s.Fatal(err)
			}
		}
		if err := s.write.QueryRow(s.Context(), "SELECT count(), (SELECT count() FROM "+table+" FINAL) FROM "+table).Scan(&n, &again); err != nil || n < 2*again || n == 0 {
			s.Fatalf("%s has %d rows, %d of them different (%v): nothing came twice", table, n, again, err)
		}
	}
	for i, q := range qs {
		if after := s.ask(q.name, "shop", q.given).String(); after != before[i] {
			s.Errorf("%s %v answered\n%s\nand with each row twice\n%s", q.name, q.given, before[i], after)
		}
	}
}

// nobody asks for a shop that has nothing, and for a span in which nothing happened: answers without rows, or with rows that say so, and no error.
func nobody(s *shelf) {
	for _, q := range questions() {
		a := s.ask(q.name, "nobody", q.given)
		if len(a.rows) > 0 && q.name != "funnel" && q.name != "freshness" {
			s.Errorf("%s %v of nobody answers\n%s", q.name, q.given, a)
		}
		for _, row := range a.rows {
			if slices.Contains(row, "not a number") {
				s.Errorf("%s %v of nobody answers\n%s", q.name, q.given, a)
			}
		}
	}
}

// Package reports is the catalogue of what analysts ask: one .sql file a report, which begins with its title, its question, its parameters and its chart.
//
// Columns of answers keep to a few rules. Money is …_minor, whole minor units of the column currency beside it; times and days are UTC; …_ms are milliseconds, …_share is a
// part of 1, …_days are days; other numbers count what they are called. The rows of an answer have a total order. Each table is read deduplicated, so that a row
// that stands in it twice counts once.
//
// A parameter is used as {name:Type} and bound by ClickHouse, never pasted. {tenant:String} is in every report, and comes from who asks.
package reports

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed *.sql
var files embed.FS

// Param is a parameter of a report.
type Param struct {
	Name     string
	Type     string   // time, text, number or choice
	Default  string   // as it could be given; see Bind
	Doc      string   // one sentence
	Choices  []string // of a choice
	Min, Max int64    // of a number
}

// Chart says how an answer is drawn, by names of its columns.
type Chart struct {
	Kind   string   // line, bar or none
	X      string   // along the axis
	Y      []string // numbers
	Series string   // values that are drawn apart; empty: none
}

// Report is a question with its answer's SQL: one SELECT, without a semicolon.
type Report struct {
	Name     string // of the file, without .sql
	Title    string
	Question string // what is asked, and what is counted
	Params   []Param
	Chart    Chart
	SQL      string
}

var (
	all    = parseAll(files)
	byName = index(all)
)

// All answers every report in order of name.
func All() []Report { return slices.Clone(all) }

// Find answers the report of a name, and whether there is one.
func Find(name string) (Report, bool) {
	r, ok := byName[name]
	return r, ok
}

func index(rs []Report) map[string]Report {
	m := make(map[string]Report, len(rs))
	for _, r := range rs {
		m[r.Name] = r
	}
	return m
}

// parseAll reads the files of a directory. A defect is one of the program: it panics.
func parseAll(dir fs.FS) []Report {
	names, err := fs.Glob(dir, "*.sql")
	if err != nil {
		panic(err)
	}
	var rs []Report
	for _, file := range names {
		text, err := fs.ReadFile(dir, file)
		if err == nil {
			var r Report
			if r, err = parse(strings.TrimSuffix(file, ".sql"), string(text)); err == nil {
				rs = append(rs, r)
				continue
			}
		}
		panic(fmt.Sprintf("report %s: %v", file, err))
	}
	slices.SortFunc(rs, func(a, b Report) int { return cmp.Compare(a.Name, b.Name) })
	return rs
}

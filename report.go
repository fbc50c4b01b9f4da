package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"time"

	"oms/internal/clickhouse"
	"oms/schemas"
	"oms/views/clickhouse/desk"
	"oms/views/clickhouse/reports"
)

// ReportCmd answers a report.
type ReportCmd struct {
	databaseFlags
	Name    string            `arg:"" optional:"" help:"Which one; without a name, all are listed."`
	From    string            `help:"First instant of the span: 2026-11-24, 2026-11-24T10:00:00Z, now, or before now: --from=-30d, --from=-12h." placeholder:"TIME"`
	To      string            `help:"First instant behind the span." placeholder:"TIME"`
	Set     map[string]string `help:"Another parameter of the report; repeatable." placeholder:"NAME=VALUE" mapsep:"none"`
	Output  string            `short:"o" help:"table, csv, json or parquet." enum:"table,csv,json,parquet" default:"table"`
	Plot    string            `help:"File that gets a picture besides." placeholder:"FILE.svg"`
	Timeout time.Duration     `help:"How long the report may take." default:"1m"`
}

// Run prints the answer, or the list.
func (c ReportCmd) Run(r *run) error {
	if c.Name == "" {
		return c.list(r)
	}
	report, known := reports.Find(c.Name)
	if !known {
		return fmt.Errorf("%s: there is no such report; oms report lists them%s", c.Name, similar(c.Name))
	}
	given := maps.Clone(c.Set)
	if given == nil {
		given = map[string]string{}
	}
	for name, value := range map[string]string{"from": c.From, "to": c.To} {
		if value != "" {
			given[name] = value
		}
	}
	params, err := report.Bind(schemas.DefaultTenant, given, time.Now())
	if err != nil {
		return err
	}
	if err := noBinary(c.Output); err != nil {
		return err
	}
	conf, err := c.settings(r, map[string]any{})
	if err != nil {
		return err
	}
	conn, closer, err := r.analytics(conf)
	if err != nil {
		return err
	}
	_, err = c.answer(r.ctx, conn, report, params, r.out, func(w io.Writer, a *desk.Answer, about desk.About) (int64, error) {
		return desk.Write(w, c.Output, a, about)
	})
	if err == nil && c.Plot != "" {
		err = c.plot(r.ctx, conn, report, params)
	}
	return errors.Join(explained(err, c.Timeout), closer())
}

// answer runs the report and hands its rows to an encoder.
func (c ReportCmd) answer(ctx context.Context, conn clickhouse.Conn, report reports.Report, params map[string]string, w io.Writer, encode func(io.Writer, *desk.Answer, desk.About) (int64, error)) (int64, error) {
	a, err := desk.AskReport(ctx, conn, report, params, desk.Limits{Time: c.Timeout, Memory: 4 << 30, Rows: 1 << 40})
	if err != nil {
		return 0, err
	}
	defer a.Close()
	told := maps.Clone(params)
	delete(told, "tenant")
	return encode(w, a, desk.About{Report: report.Name, Params: told})
}

// plot writes the picture; nothing is left behind when there is none.
func (c ReportCmd) plot(ctx context.Context, conn clickhouse.Conn, report reports.Report, params map[string]string) error {
	f, err := os.Create(c.Plot)
	if err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	_, err = c.answer(ctx, conn, report, params, f, func(w io.Writer, a *desk.Answer, _ desk.About) (int64, error) {
		return desk.WriteSVG(w, a, desk.PlotOf(report, true))
	})
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("--plot: %w", errors.Join(err, os.Remove(c.Plot)))
	}
	return nil
}

// list prints every report with its parameters.
func (c ReportCmd) list(r *run) error {
	switch c.Output {
	case "json":
		return json.NewEncoder(r.out).Encode(desk.List())
	case "table":
	default:
		return fmt.Errorf("-o %s: the list comes as table or json", c.Output)
	}
	group := ""
	for _, e := range desk.List() {
		if e.Group != group {
			if group != "" {
				fmt.Fprintln(r.out)
			}
			group = e.Group
			fmt.Fprintln(r.out, strings.ToUpper(group))
		}
		question, _, _ := strings.Cut(e.Question, "? ")
		var names []string
		for _, p := range e.Params {
			names = append(names, p.Name)
		}
		fmt.Fprintf(r.out, "  %-20s %s? [%s]\n", e.Name, strings.TrimSuffix(question, "?"), strings.Join(names, " "))
	}
	return nil
}

// similar suggests reports whose names share a word with the one that is none.
func similar(name string) string {
	var near []string
	for _, e := range desk.List() {
		for word := range strings.FieldsFuncSeq(name, func(c rune) bool { return c == '-' || c == '_' || c == ' ' }) {
			if len(word) > 2 && strings.Contains(e.Name, word) {
				near = append(near, e.Name)
				break
			}
		}
	}
	if len(near) == 0 {
		return ""
	}
	return "; is one of these meant? " + strings.Join(near, ", ")
}

// noBinary keeps Parquet from a terminal.
func noBinary(shape string) error {
	if shape == "parquet" && terminal(os.Stdout) != nil {
		return errors.New("-o parquet: a terminal cannot show it; add > FILE.parquet")
	}
	return nil
}

// explained says what a person can do about a statement that has no answer.
func explained(err error, limit time.Duration) error {
	if err == nil {
		return nil
	}
	switch desk.Refusal(err) {
	case desk.TooLong:
		return fmt.Errorf("it took longer than %s; --timeout gives it more", limit)
	case desk.TooLarge:
		return fmt.Errorf("it needs more memory than it may: ask for a shorter span (%w)", err)
	case desk.Away:
		if clickhouse.Code(err) == clickhouse.UnknownTable {
			return fmt.Errorf("there is no such table, or the tables are not made yet: %w", err)
		}
		return fmt.Errorf("ClickHouse does not answer, or has no tables yet: %w", err)
	case desk.Gone:
		return errors.New("interrupted")
	}
	return err
}

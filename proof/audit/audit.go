// Package audit is the second bookkeeper: it checks the laws of the shop from the topics alone, with books of its own, and shares no deciding code with what it checks.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"oms/internal/kafka"
	"oms/topics"
)

// Config of an audit.
type Config struct {
	Kafka  kafka.Settings
	Ledger string // file of what the payment provider did, JSON lines; empty: law I4 is checked in part
	Client string // file of what clients were told, JSON lines; empty: laws I6 and I11 are checked in part
}

// grace is how long a message may be under way before its absence is a violation.
const grace = 60 * time.Second

// Report is what an audit found.
type Report struct {
	Laws        []*Law   `json:"laws"`
	Violations  int64    `json:"violations"`
	State       string   `json:"state"`                  // "at rest", or "live": things were moving, and what was under way is counted as that
	Records     int64    `json:"records"`                // read
	DeadLetters []string `json:"dead_letters,omitempty"` // the first of them, by place, origin and reason
	Dead        int64    `json:"dead_letter_count"`
	Seconds     float64  `json:"seconds"`
}

// rounds bounds how often the audit reads on while the topics grow; after them it calls the system live.
const rounds = 3

// Run reads every topic from its start and checks the laws.
func Run(ctx context.Context, c Config) (Report, error) {
	start := time.Now()
	var names []string
	for _, t := range topics.All {
		names = append(names, t.Name)
	}
	r, err := c.Kafka.NewReader(ctx, kafka.From{}, names...)
	if err != nil {
		return Report{}, err
	}
	defer r.Close()
	a, asOf, still := New(), time.Time{}, false
	for n := 0; n < rounds && !still; n++ {
		asOf = time.Now()
		if err := r.ToEnd(ctx, a.Take); err != nil {
			return Report{}, err
		}
		ends, err := r.Ends(ctx)
		if err != nil {
			return Report{}, err
		}
		still = r.Reached(ends)
	}
	if err := errors.Join(file(c.Ledger, a.Ledger), file(c.Client, a.Client)); err != nil {
		return Report{}, err
	}
	report := a.Report(asOf, still)
	report.Seconds = time.Since(start).Seconds()
	return report, nil
}

// file hands the file of that name to read; without a name there is none.
func file(name string, read func(io.Reader) error) error {
	if name == "" {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := read(f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Text prints the report for people.
func (r Report) Text(w io.Writer) error {
	fmt.Fprintf(w, "%d records read in %.1f s; the system was %s\n\n", r.Records, r.Seconds, r.State)
	for _, l := range r.Laws {
		verdict := "holds"
		switch {
		case l.Violations > 0:
			verdict = "BROKEN"
		case l.Partly:
			verdict = "holds, partly checked"
		}
		fmt.Fprintf(w, "%-4s%s\n    %s: %d checked, %d violations, %d under way\n", l.ID, l.Text, verdict, l.Checked, l.Violations, l.UnderWay)
		if l.Why != "" {
			fmt.Fprintf(w, "    %s\n", l.Why)
		}
		if l.First != "" {
			fmt.Fprintf(w, "    first: %s\n", l.First)
		}
	}
	for _, d := range r.DeadLetters {
		fmt.Fprintf(w, "dead letter: %s\n", d)
	}
	_, err := fmt.Fprintf(w, "\n%d violations, %d dead letters\n", r.Violations, r.Dead)
	return err
}

// JSON prints the report as one line.
func (r Report) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

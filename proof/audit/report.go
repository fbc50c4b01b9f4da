// Package audit is the second bookkeeper: it checks the laws of the shop from the topics alone, with books of its own, and shares no deciding code with what it checks.
package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Grace is how long a message may be under way before its absence is a violation.
const Grace = 60 * time.Second

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

// Add puts a law that was checked elsewhere in its place by number.
func (r *Report) Add(l *Law) {
	r.Violations += l.Violations
	at := slices.IndexFunc(r.Laws, func(o *Law) bool { return o.number() > l.number() })
	if at < 0 {
		at = len(r.Laws)
	}
	r.Laws = slices.Insert(r.Laws, at, l)
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

package load

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"oms/proof/workload"
)

// Summary of a run. Outcomes add up to Documents.
type Summary struct {
	Documents int               `json:"documents"`
	Outcomes  map[string]int    `json:"outcomes"`
	Products  map[string]int    `json:"products,omitempty"` // the catalogue, by what became of it
	Replayed  int               `json:"replayed"`           // documents that the server had met before
	Retries   int64             `json:"retries"`            // requests repeated because they were not answered
	Seconds   float64           `json:"seconds"`            // from the first document to the last, without the catalogue
	PerSecond float64           `json:"per_second"`         // documents
	Examples  map[string]string `json:"examples,omitempty"` // for each refusal, the first document and what was said to it
	Lines     map[string][]int  `json:"lines,omitempty"`    // for each refusal, where in the file it stands: the first of them
}

// Undecided is how many documents have no final outcome.
func (s Summary) Undecided() int { return s.Outcomes[undecided] }

// summing is a summary in the making.
type summing struct {
	mu    sync.Mutex
	sum   Summary
	first time.Time
}

func newSumming() *summing {
	return &summing{sum: Summary{Outcomes: map[string]int{}, Products: map[string]int{}, Examples: map[string]string{}, Lines: map[string][]int{}}}
}

func (s *summing) add(d workload.Document, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.detail != "" && s.sum.Examples[o.name] == "" {
		s.sum.Examples[o.name] = where(d) + ": " + o.detail
	}
	if at := s.sum.Lines[o.name]; d.Line > 0 && len(at) < mostLines && strings.HasPrefix(o.name, "REFUSED:") {
		s.sum.Lines[o.name] = append(at, d.Line)
	}
	if d.Action == workload.Open {
		s.sum.Products[o.name]++
		s.first = time.Now()
		return
	}
	if s.first.IsZero() {
		s.first = time.Now()
	}
	s.sum.Documents++
	s.sum.Outcomes[o.name]++
	if o.replayed {
		s.sum.Replayed++
	}
}

// mostLines bounds the lines that a summary names of one refusal.
const mostLines = 20

// where is how a reader finds the document.
func where(d workload.Document) string {
	switch {
	case d.Line == 0:
		return d.Key
	case strings.HasPrefix(d.Key, "line-"): // made up, for want of its own
		return fmt.Sprintf("line %d", d.Line)
	}
	return fmt.Sprintf("line %d (%s)", d.Line, d.Key)
}

func (s *summing) close(retries int64) Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Retries = retries
	for _, at := range s.sum.Lines {
		slices.Sort(at) // they came as the workers took them
	}
	if !s.first.IsZero() {
		s.sum.Seconds = time.Since(s.first).Seconds()
	}
	if s.sum.Seconds > 0 {
		s.sum.PerSecond = float64(s.sum.Documents) / s.sum.Seconds
	}
	return s.sum
}

// Table prints the summary for people.
func (s Summary) Table(w io.Writer) error {
	rows := func(title string, counts map[string]int) {
		names := make([]string, 0, len(counts))
		total := 0
		for name, n := range counts {
			names = append(names, name)
			total += n
		}
		slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
		for _, name := range names {
			example := ""
			if s.Examples[name] != "" {
				example = "  first " + s.Examples[name]
			}
			if at := s.Lines[name]; len(at) > 1 {
				example += "; lines " + strings.ReplaceAll(strings.Trim(fmt.Sprint(at), "[]"), " ", ", ")
				if len(at) < counts[name] {
					example += " …"
				}
			}
			fmt.Fprintf(w, "%9d  %s%s\n", counts[name], name, example)
		}
		fmt.Fprintf(w, "%9d  %s\n\n", total, title)
	}
	if len(s.Products) > 0 {
		rows("products", s.Products)
	}
	rows("documents", s.Outcomes)
	_, err := fmt.Fprintf(w, "%.1f s, %.0f documents/s, %d met before, %d requests repeated\n", s.Seconds, s.PerSecond, s.Replayed, s.Retries)
	return err
}

// JSON prints the summary as one line.
func (s Summary) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(s) }

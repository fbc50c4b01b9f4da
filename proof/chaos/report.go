package chaos

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"oms/proof/audit"
	"oms/proof/load"
)

// Report is what was done and what stands.
type Report struct {
	Seed        uint64            `json:"seed"`
	Commit      string            `json:"commit"`
	Topology    string            `json:"topology"`
	Interrupted bool              `json:"interrupted,omitempty"`
	Seconds     float64           `json:"seconds"`
	Load        load.Summary      `json:"load"`
	Steps       []Done            `json:"steps"`
	Faults      map[Kind]int      `json:"faults"`            // done, by kind
	Skipped     map[string]int    `json:"skipped,omitempty"` // not done, by kind and why
	Recovery    map[Kind]Recovery `json:"recovery_ms"`       // by kind, and two at once
	All         Recovery          `json:"recovery_ms_all"`
	Kills       int               `json:"kills"`                         // of a process, by signal 9
	Ends        []string          `json:"ended_by_themselves,omitempty"` // what processes said that gave up and were started again
	Memory      struct {
		Start int64 `json:"start"`
		End   int64 `json:"end"`
	} `json:"resident_bytes"` // of all processes of the product, with the catalogue and at rest at the end
	Audit      audit.Report `json:"audit"`
	Violations []string     `json:"violations"`

	took map[Kind][]recovery
}

// twoAtOnce stands in the place of the kind where a step had two faults.
const twoAtOnce Kind = "two at once"

// Done is a step of the plan and when it began.
type Done struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// Recovery in milliseconds: First until an order was confirmed that was placed after the fault was over, Whole until each that was placed before was decided too.
type Recovery struct {
	Faults   int   `json:"faults"`
	FirstP50 int64 `json:"first_p50"`
	FirstMax int64 `json:"first_max"`
	WholeP50 int64 `json:"whole_p50"`
	WholeMax int64 `json:"whole_max"`
}

type recovery struct{ first, whole time.Duration }

func (r *Report) done(mu *sync.Mutex, f Fault) {
	mu.Lock()
	defer mu.Unlock()
	if r.Faults == nil {
		r.Faults = map[Kind]int{}
	}
	r.Faults[f.Kind]++
}

func (r *Report) skipped(mu *sync.Mutex, f Fault, why string) {
	mu.Lock()
	defer mu.Unlock()
	if r.Skipped == nil {
		r.Skipped = map[string]int{}
	}
	r.Skipped[string(f.Kind)+": "+why]++
}

func (r *Report) recovered(mu *sync.Mutex, step Step, first, whole time.Duration) {
	mu.Lock()
	defer mu.Unlock()
	if r.took == nil {
		r.took, r.Recovery = map[Kind][]recovery{}, map[Kind]Recovery{}
	}
	kind := twoAtOnce
	if len(step.Faults) == 1 {
		kind = step.Faults[0].Kind
	}
	r.took[kind] = append(r.took[kind], recovery{first, whole})
	r.Recovery[kind] = middle(r.took[kind])
	r.All = middle(slices.Concat(slices.Collect(maps.Values(r.took))...))
}

// middle is the median and the worst of some recoveries.
func middle(all []recovery) Recovery {
	r := Recovery{Faults: len(all)}
	of := func(part func(recovery) time.Duration) (p50, most int64) {
		sorted := slices.SortedFunc(slices.Values(all), func(a, b recovery) int { return cmp.Compare(part(a), part(b)) })
		return part(sorted[(len(sorted)-1)/2]).Milliseconds(), part(sorted[len(sorted)-1]).Milliseconds()
	}
	r.FirstP50, r.FirstMax = of(func(r recovery) time.Duration { return r.first })
	r.WholeP50, r.WholeMax = of(func(r recovery) time.Duration { return r.whole })
	return r
}

// JSON prints the report as one line.
func (r Report) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// Table prints the report for people.
func (r Report) Table(w io.Writer) error {
	fmt.Fprintf(w, "\nseed %d, commit %s, topology %s, %.0f s", r.Seed, r.Commit, r.Topology, r.Seconds)
	if r.Interrupted {
		fmt.Fprint(w, "; interrupted: the plan was not done to its end")
	}
	fmt.Fprint(w, "\n\n")
	if err := r.Load.Table(w); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\nfault\tdone\tnext confirmed p50\tmax\tall of before p50\tmax\t\n")
	row := func(name string, done int, x Recovery) {
		count := fmt.Sprint(done)
		if name == string(twoAtOnce) {
			count = "" // counted by their kinds
		}
		if x.Faults == 0 {
			fmt.Fprintf(t, "%s\t%s\t\t\t\t\t\n", name, count)
			return
		}
		fmt.Fprintf(t, "%s\t%s\t%d ms\t%d ms\t%d ms\t%d ms\t\n", name, count, x.FirstP50, x.FirstMax, x.WholeP50, x.WholeMax)
	}
	total := 0
	for _, k := range Kinds {
		if total += r.Faults[k]; r.Faults[k] > 0 {
			row(string(k), r.Faults[k], r.Recovery[k])
		}
	}
	if two := r.Recovery[twoAtOnce]; two.Faults > 0 {
		row(string(twoAtOnce), 0, two)
	}
	row("all", total, r.All)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, why := range slices.Sorted(maps.Keys(r.Skipped)) {
		fmt.Fprintf(w, "skipped %d × %s\n", r.Skipped[why], why)
	}
	fmt.Fprintf(w, "\n%d kills by signal 9; %d ends of processes by themselves, each with a word and started again", r.Kills, len(r.Ends))
	if len(r.Ends) > 0 {
		fmt.Fprintf(w, "; the last: %s", r.Ends[len(r.Ends)-1])
	}
	const mib = 1 << 20
	fmt.Fprintf(w, "\n%d MiB resident with the catalogue, %d MiB at rest at the end\n\n", r.Memory.Start/mib, r.Memory.End/mib)
	if err := r.Audit.Text(w); err != nil {
		return err
	}
	for _, v := range r.Violations {
		fmt.Fprintf(w, "VIOLATION: %s\n", v)
	}
	_, err := fmt.Fprintf(w, "%d faults, %d orders, %d violations\n", total, r.Load.Documents, len(r.Violations))
	return err
}

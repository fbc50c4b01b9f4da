package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"oms/internal/stream/streambench"
)

// Report is what was measured, and what it must be read with.
type Report struct {
	Seed       uint64   `json:"seed"`
	Commit     string   `json:"commit"`
	Settings   string   `json:"settings"`
	Durability string   `json:"durability"`
	Go         string   `json:"go"`
	CPUs       int      `json:"cpus"` // shared by the system, its broker and this generator
	At         string   `json:"at"`   // start, RFC 3339
	Results    []Result `json:"results"`
}

// Result of one scenario. What a scenario does not measure is absent.
type Result struct {
	Scenario string           `json:"scenario"`
	Door     string           `json:"door"`
	Mix      string           `json:"mix,omitempty"` // what an order looks like
	Orders   int64            `json:"orders,omitempty"`
	Outcomes map[string]int64 `json:"outcomes,omitempty"` // of all orders, warm-up included; they add up to Orders

	Seconds               float64 `json:"seconds"`                           // of measuring, without warm-up
	PerSecond             float64 `json:"per_second,omitempty"`              // confirmed orders
	BySecond              []int64 `json:"confirmed_by_second,omitempty"`     // a stall hides in a mean
	AcknowledgedPerSecond float64 `json:"acknowledged_per_second,omitempty"` // orders that the client was told exist

	Rate     int      `json:"rate,omitempty"` // orders per second that were meant
	Latency  *Latency `json:"latency_ms,omitempty"`
	Hops     []Hop    `json:"hops,omitempty"`
	Phases   []Phase  `json:"transactions,omitempty"`
	Steps    []Result `json:"steps,omitempty"` // of a ladder, by rate
	Oversold *int64   `json:"oversold,omitempty"`

	ServerCPUMS      float64            `json:"server_cpu_ms_per_order,omitempty"` // user and system time of its process, broker included when embedded
	ClientCPUMS      float64            `json:"client_cpu_ms_per_order,omitempty"` // of this generator
	Allocations      float64            `json:"allocations_per_order,omitempty"`   // of the server's process: objects
	AllocatedBytes   float64            `json:"allocated_bytes_per_order,omitempty"`
	Shares           map[string]float64 `json:"processor_share_by_part,omitempty"` // per cent, of a profile
	BytesPerOrder    float64            `json:"bytes_per_order,omitempty"`         // growth of the data directory
	BytesBy          map[string]float64 `json:"bytes_per_order_by,omitempty"`      // the same by directory, Kafka's by topic
	ResidentMiB      float64            `json:"resident_mib,omitempty"`            // at rest at the end
	PeakResidentMiB  float64            `json:"peak_resident_mib,omitempty"`
	BytesPerResident float64            `json:"resident_bytes_per_order,omitempty"` // growth of resident memory over the scenario

	Growth   []Step             `json:"growth,omitempty"`
	Recovery *Recovery          `json:"recovery,omitempty"`
	Sink     *Sink              `json:"sink,omitempty"`
	Asked    []Asked            `json:"reports,omitempty"`
	Sides    []Side             `json:"sides,omitempty"`  // of the engine scenario
	Ratios   map[string]float64 `json:"ratios,omitempty"` // engine ÷ stock goka by distribution of keys
}

// Side is one engine on one distribution of keys.
type Side struct {
	Keys int `json:"keys"`
	streambench.Result
}

// Latency in milliseconds, from the moment a request was meant to be sent to its answer.
type Latency struct {
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// newHistogram holds 1 µs to 5 minutes with three significant digits.
func newHistogram() *hdr.Histogram { return hdr.New(1, int64(5*time.Minute/time.Microsecond), 3) }

func percentiles(h *hdr.Histogram) *Latency {
	at := func(p float64) float64 { return float64(h.ValueAtPercentile(p)) / 1000 }
	return &Latency{P50: at(50), P95: at(95), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1000}
}

// JSON prints the report as one line.
func (r Report) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// Table prints the report for people.
func (r Report) Table(w io.Writer) error {
	fmt.Fprintf(w, "seed %d, commit %s, %s, %d processors for everything together\nsettings: %s\ndurability: %s\n\n", r.Seed, r.Commit, r.Go, r.CPUs, r.Settings, r.Durability)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, result := range r.Results {
		result.rows(t)
	}
	return t.Flush()
}

func (r Result) rows(w io.Writer) {
	name := r.Scenario
	row := func(what, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\t"+format+"\n", append([]any{name, what}, args...)...)
		name = ""
	}
	if r.Rate > 0 {
		row("meant", "%d orders/s", r.Rate)
	}
	if r.PerSecond > 0 {
		row("confirmed", "%.0f orders/s over %.1f s (%s)", r.PerSecond, r.Seconds, r.Mix)
	}
	if len(r.BySecond) > 0 {
		row("", "%d to %d in a second", slices.Min(r.BySecond), slices.Max(r.BySecond))
	}
	if r.AcknowledgedPerSecond > 0 {
		row("acknowledged", "%.0f orders/s", r.AcknowledgedPerSecond)
	}
	if l := r.Latency; l != nil {
		row("latency", "p50 %.1f  p95 %.1f  p99 %.1f  p99.9 %.1f  max %.1f ms", l.P50, l.P95, l.P99, l.P999, l.Max)
	}
	r.hopRows(row)
	for _, outcome := range slices.Sorted(maps.Keys(r.Outcomes)) {
		row("outcome", "%s %d", outcome, r.Outcomes[outcome])
	}
	if r.Oversold != nil {
		row("oversold", "%d units", *r.Oversold)
	}
	r.costRows(row)
	r.growthRows(row)
	if s := r.Sink; s != nil {
		row("sink", "%d rows, %.0f rows/s from the start of the process, %.1f s to catch up", s.Rows, s.RowsPerSecond, s.CatchUp)
		row("bare inserts", "%.0f rows/s: the sink has %.0f %% of them", s.BarePerSecond, 100*s.OfBare)
		row("freshness", "p50 %.0f  p95 %.0f  p99 %.0f  max %.0f ms", s.Freshness.P50, s.Freshness.P95, s.Freshness.P99, s.Freshness.Max)
		for i := range s.Off {
			row("latency", "sink off p50 %.1f  p99 %.1f ms, on p50 %.1f  p99 %.1f ms", s.Off[i].P50, s.Off[i].P99, s.On[i].P50, s.On[i].P99)
		}
		row("", "p99 × %.2f, of the medians", s.P99Ratio)
		row("memory", "%.0f MiB at most to open the log, %.0f to catch up besides; engine %.0f MiB resident", s.PeakBefore, s.PeakCatching, s.EngineMiB)
		row("disk", "%.0f bytes an order in ClickHouse as inserted, %.0f merged", s.BytesPer, s.MergedPer)
	}
	for i, a := range r.Asked {
		if i == 0 {
			row("filled", "%s in %.0f s", r.Mix, r.Seconds)
		}
		row(a.Report, "%.0f ms, at first %.0f, %d bytes", a.Median, a.First, a.Bytes)
	}
	for _, s := range r.Sides {
		row("steps", "%.0f/s %s, %d keys", s.StepsPerSecond, s.Name, s.Keys)
	}
	for _, keys := range slices.Sorted(maps.Keys(r.Ratios)) {
		row("ratio", "%.2f × stock goka, %s", r.Ratios[keys], keys)
	}
	for _, s := range r.Steps {
		s.Scenario = ""
		s.rows(w)
	}
}

// costRows tell what an order takes of processor, memory and disk.
func (r Result) costRows(row func(what, format string, args ...any)) {
	if r.ServerCPUMS > 0 {
		row("processor time", "%.3f ms an order in the server, %.3f in this generator", r.ServerCPUMS, r.ClientCPUMS)
	}
	if r.Allocations > 0 {
		row("allocations", "%.0f objects, %.1f kB an order in the server", r.Allocations, r.AllocatedBytes/1000)
	}
	for i, part := range slices.SortedFunc(maps.Keys(r.Shares), func(a, b string) int { return cmp.Compare(r.Shares[b], r.Shares[a]) }) {
		row(map[bool]string{true: "share"}[i == 0], "%4.1f %% %s", r.Shares[part], part)
	}
	if r.BytesPerOrder > 0 {
		row("disk", "%.0f bytes an order, %.2f GB a million", r.BytesPerOrder, r.BytesPerOrder/1000)
		for _, dir := range slices.Sorted(maps.Keys(r.BytesBy)) {
			row("", "%.0f %s", r.BytesBy[dir], dir)
		}
	}
	if r.ResidentMiB > 0 {
		row("memory", "%.0f MiB resident, %.0f at most", r.ResidentMiB, r.PeakResidentMiB)
	}
}

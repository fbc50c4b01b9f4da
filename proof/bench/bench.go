// Package bench measures a running system from outside: it places orders through one of its two doors and reads from the clock of the one who placed them what became of
// them. It is a program, not a test: no figure of it is a pass or a failure.
package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"oms/internal/kafka"
	"oms/proof/workload"
)

// Config of a measurement. The system should have nothing else to do: decisions are counted on its topics, whoever asked for them.
type Config struct {
	Server  string         // base URL of the system's HTTP server
	Kafka   kafka.Settings // its cluster
	PID     int            // its process, for processor time and memory; 0: not measured
	DataDir string         // its data, for bytes per order; empty: not measured

	Binary    string        // for scenarios that start systems of their own; empty: those are refused
	File      string        // settings of the systems that Self starts; empty: none
	Seed      uint64        // of the shop that the orders come from
	Scenarios []string      // by name; none: all but the optional ones
	Door      string        // "kafka" or "http": only scenarios through this door; empty: all
	Warm      time.Duration // before measuring; 0: 5 s
	Duration  time.Duration // of measuring; 0: 20 s
	Rate      int           // orders per second of scenarios latency, latency-kafka-invoice, hops and sink; 0: 500
	Window    int           // orders under way at most, door kafka; 0: 20,000
	Workers   int           // requests under way at most, door http; 0: 64
	Units     int64         // of the hot product; 0: 100,000
	Live      int           // orders to hold in scenarios memory and recovery; the last step of growth begins there; 0: 100,000
	Lines     int           // order lines of the reports scenario; 0: 1,000,000
	Profiles  string        // directory for a profile of the server's processor, one a measurement that has a duration; empty: none
	Records   int           // steps of each side in the engine scenario; 0: 200,000

	Commit     string // what was built; for the report alone, as the next two
	Settings   string // of the system, in words
	Durability string // what an acknowledged order survives, in words

	Record *workload.Record // what the system told, for the auditor; nil: not kept
	Bar    io.Writer        // a terminal for progress; nil: none
}

func (c Config) filled() Config {
	c.Warm = cmp.Or(c.Warm, 5*time.Second)
	c.Duration = cmp.Or(c.Duration, 20*time.Second)
	c.Rate = cmp.Or(c.Rate, 500)
	c.Window = cmp.Or(c.Window, 20_000)
	c.Workers = cmp.Or(c.Workers, 64)
	c.Units = cmp.Or(c.Units, 100_000)
	c.Live = cmp.Or(c.Live, 100_000)
	c.Lines = cmp.Or(c.Lines, 1_000_000)
	c.Records = cmp.Or(c.Records, 200_000)
	return c
}

func (c Config) check() error {
	if c.Warm < 0 || c.Duration < 0 {
		return fmt.Errorf("warm, duration: %s, %s: want no negative time", c.Warm, c.Duration)
	}
	for _, n := range []struct {
		name  string
		value int64
	}{{"rate", int64(c.Rate)}, {"window", int64(c.Window)}, {"workers", int64(c.Workers)}, {"units", c.Units}, {"live", int64(c.Live)}, {"records", int64(c.Records)}, {"lines", int64(c.Lines)}} {
		if n.value < 0 {
			return fmt.Errorf("%s: %d: want 1 or more", n.name, n.value)
		}
	}
	_, err := c.chosen()
	return err
}

// scenario is one measurement.
type scenario struct {
	name, door string
	optional   bool // only when asked for by name
	alone      bool // does not touch the system
	run        func(context.Context, *run) (Result, error)
}

var scenarios = []scenario{
	{name: "throughput-kafka", door: "kafka", run: retailThroughput},
	{name: "throughput-kafka-wholesale", door: "kafka", run: wholesaleThroughput},
	{name: "throughput-kafka-invoice", door: "kafka", optional: true, run: invoiceThroughput},
	{name: "throughput-http", door: "http", run: singlePosts},
	{name: "throughput-http-batch", door: "http", run: batchPosts},
	{name: "latency", door: "http", run: latency},
	{name: "latency-kafka-invoice", door: "kafka", optional: true, run: kafkaLatency},
	{name: "hot-product", door: "kafka", run: hotProduct},
	{name: "memory", door: "kafka", run: memory},
	{name: "engine", door: "kafka", alone: true, run: engine},
	{name: "sink", door: "kafka", alone: true, optional: true, run: sink},
	{name: "reports", door: "http", alone: true, optional: true, run: askReports},
	{name: "growth", door: "kafka", optional: true, run: growth},
	{name: "recovery", door: "kafka", alone: true, optional: true, run: recovery},
	{name: "hops", door: "http", optional: true, run: hopByHop},
	{name: "ladder", door: "http", optional: true, run: ladder},
}

// Names of all scenarios.
func Names() []string {
	var all []string
	for _, s := range scenarios {
		all = append(all, s.name)
	}
	return all
}

// Optional are the names of those that run only when they are asked for by name.
func Optional() []string {
	var some []string
	for _, s := range scenarios {
		if s.optional {
			some = append(some, s.name)
		}
	}
	return some
}

// chosen are the scenarios that the configuration asks for.
func (c Config) chosen() ([]scenario, error) {
	for _, name := range c.Scenarios {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("scenario: %q: want %s", name, strings.Join(Names(), ", "))
		}
	}
	if c.Door != "" && c.Door != "kafka" && c.Door != "http" {
		return nil, fmt.Errorf("door: %q: want kafka or http", c.Door)
	}
	var some []scenario
	for _, s := range scenarios {
		named := slices.Contains(c.Scenarios, s.name)
		if (named || len(c.Scenarios) == 0 && !s.optional) && (c.Door == "" || c.Door == s.door) {
			some = append(some, s)
		}
	}
	if len(some) == 0 {
		return nil, fmt.Errorf("scenario: none of %s goes through door %s", strings.Join(c.Scenarios, ", "), c.Door)
	}
	return some, nil
}

// run is a measurement under way.
type run struct {
	Config
	name   string // of the scenario
	prefix string // of products and orders: no two scenarios on one system share any
	hops   *hops  // of the scenario of that name
}

// Run measures the scenarios one after the other. With an error the report holds what was measured before it.
func Run(ctx context.Context, c Config) (Report, error) {
	return each(ctx, c, func(ctx context.Context, c Config, s scenario) (Result, error) { return c.measure(ctx, s) })
}

// each does the scenarios that the configuration asks for.
func each(ctx context.Context, c Config, measure func(context.Context, Config, scenario) (Result, error)) (Report, error) {
	if err := c.check(); err != nil {
		return Report{}, err
	}
	c = c.filled()
	report := Report{Seed: c.Seed, Commit: c.Commit, Settings: c.Settings, Durability: c.Durability, Go: runtime.Version(), CPUs: runtime.NumCPU(), At: time.Now().UTC().Format(time.RFC3339)}
	some, err := c.chosen()
	if err != nil {
		return report, err
	}
	for _, s := range some {
		result, err := measure(ctx, c, s)
		c.say("")
		if err != nil {
			return report, fmt.Errorf("%s: %w", s.name, err)
		}
		report.Results = append(report.Results, result)
	}
	if c.Record != nil {
		err = c.Record.Flush()
	}
	return report, err
}

func (c Config) measure(ctx context.Context, s scenario) (Result, error) {
	r := &run{Config: c, name: s.name, prefix: prefix(time.Now())}
	result, err := s.run(ctx, r)
	result.Scenario, result.Door = s.name, s.door
	return result, err
}

// prefix is no scenario's before. It is of letters alone: with the digits of the orders behind it a number could pass for that of a card, which the door refuses.
func prefix(at time.Time) string {
	return strings.Map(func(r rune) rune {
		if r <= '9' {
			r += 'q' - '0' // base 26 ends at p
		}
		return r
	}, strconv.FormatInt(at.UnixMicro(), 26)) + "-"
}

// say overwrites the line of progress.
func (c Config) say(format string, args ...any) {
	if c.Bar != nil {
		fmt.Fprintf(c.Bar, "\r\x1b[K"+format, args...)
	}
}

// Package peers measures what a shop would use instead, beside this system: on the same machine, in the same run, by turns.
package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"oms/internal/kafka"
	"oms/internal/kafka/apache"
	"oms/proof/bench"
	"oms/proof/chaos"
)

// Config of a comparison.
type Config struct {
	Binary   string        // this system
	Jars     string        // folder with the jars of Kafka and Kafka Streams
	Rounds   int           // of each measurement, by turns
	Warm     time.Duration // before each measurement
	Duration time.Duration // of each measurement
	Seed     uint64
	Commit   string    // for the report alone
	Log      io.Writer // what the systems say
	Progress io.Writer // a line a measurement
}

// The figures, each with who, what and what an acknowledged order survives.
const (
	process  = "killed process"
	power    = "power loss"
	perSec   = "orders/s"
	millis   = "ms"
	rate     = 500 // orders a second where latency is measured
	clients  = 8   // of PostgreSQL: more only wait for two processors
	hotUnits = 100_000
	deep     = "Kafka Streams, exactly_once_v2, commit interval 100 ms"
	quick    = "Kafka Streams, exactly_once_v2, commit interval 10 ms"
)

var figures = []Figure{
	{ID: "oms", Side: "oms", What: "1.15 lines an order, door kafka", Unit: perSec, Durability: process},
	{ID: "oms-invoice", Side: "oms", What: "1.15 lines an order, on invoice, door kafka", Unit: perSec, Durability: process},
	{ID: "pg", Side: "PostgreSQL, one function call", What: "1.15 lines an order", Unit: perSec, Durability: process},
	{ID: "oms-fsync", Side: "oms --fsync", What: "1.15 lines an order, door kafka", Unit: perSec, Durability: power},
	{ID: "pg-fsync", Side: "PostgreSQL, one function call", What: "1.15 lines an order", Unit: perSec, Durability: power},
	{ID: "oms-hot", Side: "oms", What: "one hot product", Unit: perSec, Durability: process},
	{ID: "pg-hot", Side: "PostgreSQL, one function call", What: "one hot product", Unit: perSec, Durability: process},
	{ID: "oms-http", Side: "oms", What: "single posts over HTTP", Unit: perSec, Durability: process},
	{ID: "pg-http", Side: "PostgreSQL behind an HTTP service in Go", What: "single posts over HTTP", Unit: perSec, Durability: process},
	{ID: "oms-kafka", Side: "oms", What: "1.15 lines, on a real Kafka", Unit: perSec, Durability: process},
	{ID: "oms-kafka-invoice", Side: "oms", What: "1.15 lines, on invoice, on a real Kafka", Unit: perSec, Durability: process},
	{ID: "streams-100", Side: deep, What: "1.15 lines, on a real Kafka", Unit: perSec, Durability: process},
	{ID: "streams-10", Side: quick, What: "1.15 lines, on a real Kafka", Unit: perSec, Durability: process},
	{ID: "oms-p50", Side: "oms, over HTTP", What: "placed → confirmed at 500/s on a real Kafka, p50", Unit: millis, Durability: process},
	{ID: "oms-invoice-p50", Side: "oms, on invoice, door kafka", What: "placed → confirmed at 500/s on a real Kafka, p50", Unit: millis, Durability: process},
	{ID: "streams-100-p50", Side: deep, What: "placed → confirmed at 500/s on a real Kafka, p50", Unit: millis, Durability: process},
	{ID: "streams-10-p50", Side: quick, What: "placed → confirmed at 500/s on a real Kafka, p50", Unit: millis, Durability: process},
	{ID: "oms-p99", Side: "oms, over HTTP", What: "placed → confirmed at 500/s on a real Kafka, p99", Unit: millis, Durability: process},
	{ID: "oms-invoice-p99", Side: "oms, on invoice, door kafka", What: "placed → confirmed at 500/s on a real Kafka, p99", Unit: millis, Durability: process},
	{ID: "streams-100-p99", Side: deep, What: "placed → confirmed at 500/s on a real Kafka, p99", Unit: millis, Durability: process},
	{ID: "streams-10-p99", Side: quick, What: "placed → confirmed at 500/s on a real Kafka, p99", Unit: millis, Durability: process},
	{ID: "engine", Side: "the engine, exactly once", What: "steps on 10,000 keys", Unit: "steps/s", Durability: process},
	{ID: "goka", Side: "stock goka, at least once", What: "steps on 10,000 keys", Unit: "steps/s", Durability: process},
	{ID: "engine-hot", Side: "the engine, exactly once", What: "steps on one hot key", Unit: "steps/s", Durability: process},
	{ID: "goka-hot", Side: "stock goka, at least once", What: "steps on one hot key", Unit: "steps/s", Durability: process},
}

// ratios that the figures are measured for. Where less is better it is the peer's over ours. No peer asks a provider of payments, so what faces them are our orders on
// invoice; those by card stand beside.
var ratios = []Ratio{
	{Name: "÷ PostgreSQL, throughput", Ours: "oms-invoice", Theirs: "pg", Floor: 1.5, Goal: 3},
	{Name: "÷ PostgreSQL, ours by card", Ours: "oms", Theirs: "pg"},
	{Name: "÷ PostgreSQL, one hot product", Ours: "oms-hot", Theirs: "pg-hot", Floor: 5, Goal: 10},
	{Name: "÷ PostgreSQL behind HTTP, ours by card", Ours: "oms-http", Theirs: "pg-http"},
	{Name: "÷ PostgreSQL, power loss, ours by card", Ours: "oms-fsync", Theirs: "pg-fsync"},
	{Name: "÷ Kafka Streams (10 ms), throughput", Ours: "oms-kafka-invoice", Theirs: "streams-10", Floor: 2, Goal: 3},
	{Name: "÷ Kafka Streams (100 ms), throughput", Ours: "oms-kafka-invoice", Theirs: "streams-100", Floor: 2, Goal: 3},
	{Name: "÷ Kafka Streams (100 ms), ours by card", Ours: "oms-kafka", Theirs: "streams-100"},
	{Name: "Kafka Streams (10 ms) ÷ oms, p50", Ours: "oms-invoice-p50", Theirs: "streams-10-p50", Less: true, Floor: 2, Goal: 3},
	{Name: "Kafka Streams (10 ms) ÷ oms, p99", Ours: "oms-invoice-p99", Theirs: "streams-10-p99", Less: true, Floor: 2, Goal: 3},
	{Name: "Kafka Streams (100 ms) ÷ oms, p50", Ours: "oms-invoice-p50", Theirs: "streams-100-p50", Less: true, Floor: 2, Goal: 3},
	{Name: "Kafka Streams (100 ms) ÷ oms, p99", Ours: "oms-invoice-p99", Theirs: "streams-100-p99", Less: true, Floor: 2, Goal: 3},
	{Name: "engine ÷ stock goka, uniform", Ours: "engine", Theirs: "goka", Floor: 2, Goal: 3},
	{Name: "engine ÷ stock goka, one hot key", Ours: "engine-hot", Theirs: "goka-hot", Floor: 3, Goal: 10},
	{Name: "power loss ÷ killed process, oms", Ours: "oms-fsync", Theirs: "oms", Goal: 0.5},
}

// measurement answers some figures by id.
type measurement struct {
	name string
	run  func(context.Context) (map[string]float64, error)
}

// Run measures each side once a round.
func Run(ctx context.Context, c Config) (Report, error) {
	report := Report{Seed: c.Seed, Commit: c.Commit, CPUs: runtime.NumCPU(), Go: runtime.Version(), At: time.Now().UTC().Format(time.RFC3339), Rounds: c.Rounds, Seconds: c.Duration.Seconds(),
		Versions: map[string]string{}, Figures: slices.Clone(figures)}
	dir, err := os.MkdirTemp("", "oms-peers-")
	if err != nil {
		return report, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // the server of PostgreSQL may be another user's
		return report, err
	}
	pg, err := startPostgres(ctx, filepath.Join(dir, "postgres"), c.Log)
	if err != nil {
		return report, err
	}
	defer pg.stop()
	if report.Versions["postgresql"], err = pg.version(ctx); err != nil {
		return report, err
	}
	fsync, few := filepath.Join(dir, "fsync.yaml"), filepath.Join(dir, "partitions.yaml")
	if err := errors.Join(os.WriteFile(fsync, []byte("kafka: {fsync: true}\n"), 0o600), os.WriteFile(few, fmt.Appendf(nil, "kafka: {partitions: %d}\n", partitions), 0o600)); err != nil {
		return report, err
	}
	streams, err := compileStreams(ctx, c, dir)
	if err != nil {
		return report, err
	}
	report.Versions["kafka"], report.Versions["kafka-streams"] = jarVersion(c.Jars, "kafka_2.13"), jarVersion(c.Jars, "kafka-streams")
	for round := range c.Rounds {
		for _, m := range []measurement{
			{"oms, door kafka", c.throughput("oms", "throughput-kafka", "")},
			{"oms, on invoice", c.throughput("oms-invoice", "throughput-kafka-invoice", "")},
			{"PostgreSQL", pg.bench(c, "pg", mixed, true)},
			{"oms, one hot product", c.throughput("oms-hot", "hot-product", "")},
			{"PostgreSQL, one hot product", pg.bench(c, "pg-hot", hot, true)},
			{"oms, door http", c.throughput("oms-http", "throughput-http", "")},
			{"PostgreSQL behind HTTP", pg.behindHTTP(c)},
			{"oms on a real Kafka", c.onKafka(dir, c.oms(few))},
			{"Kafka Streams", c.onKafka(dir, streams.measure)},
			{"engine and stock goka", c.engine},
			{"oms, power loss", c.throughput("oms-fsync", "throughput-kafka", fsync)},
			{"PostgreSQL, power loss", pg.bench(c, "pg-fsync", mixed, false)},
		} {
			began := time.Now()
			got, err := m.run(ctx)
			if err != nil {
				return report, fmt.Errorf("%s: %w", m.name, err)
			}
			for id, v := range got {
				report.add(id, v)
			}
			fmt.Fprintf(c.Progress, "round %d of %d: %s, %s: %v\n", round+1, c.Rounds, m.name, time.Since(began).Round(time.Second), got)
		}
	}
	report.sum()
	return report, nil
}

func (c Config) bench(scenario string) bench.Config {
	return bench.Config{Scenarios: []string{scenario}, Warm: c.Warm, Duration: c.Duration, Seed: c.Seed, Units: hotUnits, Rate: rate}
}

// throughput of a scenario on a fresh system of its own, with a file of settings.
func (c Config) throughput(id, scenario, file string) func(context.Context) (map[string]float64, error) {
	return func(ctx context.Context) (map[string]float64, error) {
		b := c.bench(scenario)
		b.File = file
		report, err := bench.Self(ctx, c.Binary, c.Log, b)
		if err != nil {
			return nil, err
		}
		return map[string]float64{id: report.Results[0].PerSecond}, nil
	}
}

func (c Config) engine(ctx context.Context) (map[string]float64, error) {
	report, err := bench.Self(ctx, c.Binary, c.Log, c.bench("engine"))
	if err != nil {
		return nil, err
	}
	got := map[string]float64{}
	for i, s := range report.Results[0].Sides {
		got[[]string{"engine", "goka", "engine-hot", "goka-hot"}[i]] = s.StepsPerSecond
	}
	return got, nil
}

// onKafka measures on a fresh real Kafka.
func (c Config) onKafka(dir string, measure func(context.Context, kafka.Settings, string) (map[string]float64, error)) func(context.Context) (map[string]float64, error) {
	return func(ctx context.Context) (got map[string]float64, err error) {
		dir, err := os.MkdirTemp(dir, "kafka-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		b, err := apache.Start(ctx, apache.Config{Jars: c.Jars, Dir: dir})
		if err != nil {
			return nil, err
		}
		defer b.Kill()
		return measure(ctx, b.Settings, dir)
	}
}

// partitions of both sides on a real Kafka: as many as the steps of two processors can use.
const partitions = 4

// oms on a real Kafka, by scenario. What throughput has left to be written is not of the latency after it.
func (c Config) oms(file string) func(context.Context, kafka.Settings, string) (map[string]float64, error) {
	return func(ctx context.Context, s kafka.Settings, dir string) (got map[string]float64, err error) {
		p, err := chaos.Start(ctx, c.Binary, c.Log, "--config", file, "--log", "warn", "up", "--no-analytics", "--kafka", s.Brokers[0], "--data", filepath.Join(dir, "oms"), "--http", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() {
			if stopped := p.Stop(); err == nil {
				err = stopped
			}
		}()
		got = map[string]float64{}
		for _, m := range []struct{ scenario, throughput, latency string }{
			{"throughput-kafka", "oms-kafka", ""}, {"latency", "", "oms"}, {"latency-kafka-invoice", "", "oms-invoice"}, {"throughput-kafka-invoice", "oms-kafka-invoice", ""},
		} {
			b := c.bench(m.scenario)
			b.Server, b.Kafka, b.PID = p.HTTP, kafka.Settings{Brokers: s.Brokers, ClientID: "oms-bench"}, p.PID()
			syscall.Sync()
			report, err := bench.Run(ctx, b)
			if err != nil {
				return nil, err
			}
			if r := report.Results[0]; m.latency != "" {
				got[m.latency+"-p50"], got[m.latency+"-p99"] = r.Latency.P50, r.Latency.P99
			} else {
				got[m.throughput] = r.PerSecond
			}
		}
		return got, nil
	}
}

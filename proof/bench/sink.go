package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"oms/internal/kafka"
	"oms/proof/chaos"
	"oms/proof/workload"
	"oms/schemas"
)

// filled are the tables of facts that the scenario counts and inserts again.
var filled = []string{"order_events", "order_lines", "payments", "stock_movements", "orders_now"}

// Sink is what the sink scenario measures besides latencies.
type Sink struct {
	Rows          uint64  `json:"rows"`
	CatchUp       float64 `json:"catch_up_seconds"` // from the start of the process to tables that lack nothing
	RowsPerSecond float64 `json:"rows_per_second"`
	BarePerSecond float64 `json:"bare_rows_per_second"` // clickhouse-go, the same rows, the same engine, by column, 50,000 an insert
	OfBare        float64 `json:"of_bare"`

	Off       []Latency `json:"latency_off_ms"` // placed → decided with the sink off, at the rate, by round
	On        []Latency `json:"latency_on_ms"`
	P99Ratio  float64   `json:"latency_p99_on_off"` // of the medians
	Freshness *Latency  `json:"freshness_ms"`       // now − the newest fact in the table that is furthest behind, asked every 100 ms at the rate

	ages         *hdr.Histogram
	PeakBefore   float64 `json:"peak_mib_without"`  // of the process, with the same log, analytics off
	PeakCatching float64 `json:"peak_mib_catch_up"` // of the process while it catches up
	EngineMiB    float64 `json:"engine_mib"`        // resident, of the engine's process, after catching up
	BytesPer     float64 `json:"bytes_per_order"`   // in ClickHouse, as inserted
	MergedPer    float64 `json:"bytes_per_merged"`  // the same after a merge
}

// sinkRounds of latencies with the sink off and on, in turn, each in a shop of its own: so many that their medians stand still where the p99 of one round is a tenth off.
const sinkRounds = 9

// sink compares a system that fills ClickHouse with one that does not, and its inserts with bare ones.
func sink(ctx context.Context, r *run) (result Result, err error) {
	if r.Binary == "" {
		return result, errors.New("it starts systems of its own: --self")
	}
	dir, err := os.MkdirTemp("", "oms-bench-")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	full := filepath.Join(dir, "full")
	s := workload.Shop{Products: catalogue, OnHand: plenty}
	result.Mix, result.Rate = retailMix, r.Rate
	out := &Sink{ages: newHistogram()}
	result.Sink = out

	var shop *workload.Shop
	err = r.with(ctx, full, []string{"--no-analytics"}, func(*chaos.Process) error {
		if shop, err = r.shop(ctx, s); err != nil {
			return err
		}
		all, err := r.fixed(ctx, "", r.Live, func(n int) *schemas.PlaceOrder { return placing(shop.Order(n)) }, 0)
		result.Orders, result.PerSecond, result.Seconds = all.Orders, all.PerSecond, all.Seconds
		return err
	})
	if err != nil {
		return result, err
	}
	// How much memory the log alone takes when it is opened.
	if err := r.with(ctx, full, []string{"--no-analytics"}, func(*chaos.Process) error {
		out.PeakBefore = float64(r.usage().peak) / (1 << 20)
		return nil
	}); err != nil {
		return result, err
	}
	if err := r.with(ctx, full, nil, func(*chaos.Process) error { return r.filling(ctx, &result) }); err != nil {
		return result, err
	}
	if err := r.rounds(ctx, dir, s, &result); err != nil {
		return result, err
	}
	// In a run of its own: asking ClickHouse ten times a second is work too.
	if err := r.with(ctx, full, nil, func(*chaos.Process) error { return r.fresh(ctx, shop, &result) }); err != nil {
		return result, err
	}
	out.Freshness = percentiles(out.ages)
	return result, nil
}

// rounds compare latencies in shops that begin empty, as scenario latency measures them: in one of a million orders what the log itself costs, collections of a large heap
// and compactions, comes and goes by more than the sink costs. They are left where they are until the end: a file system that is removing files is slow to make new ones.
func (r *run) rounds(ctx context.Context, dir string, s workload.Shop, result *Result) error {
	out, n := result.Sink, 0
	round := func(all *[]Latency, flags []string, measure func(*workload.Shop) (Latency, error)) error {
		n++
		return r.with(ctx, filepath.Join(dir, fmt.Sprint("round-", n)), flags, func(*chaos.Process) error {
			shop, err := r.shop(ctx, s)
			if err != nil {
				return err
			}
			one, err := measure(shop)
			*all = append(*all, one)
			return err
		})
	}
	for range sinkRounds {
		if err := round(&out.Off, []string{"--no-analytics"}, func(shop *workload.Shop) (Latency, error) { return r.rested(ctx, shop, result, r.PID) }); err != nil {
			return err
		}
		if err := round(&out.On, nil, func(shop *workload.Shop) (Latency, error) { return r.followed(ctx, shop, result) }); err != nil {
			return err
		}
	}
	out.P99Ratio = medianP99(out.On) / medianP99(out.Off)
	return nil
}

// filling measures how a system fills ClickHouse from a log that is there, and bare inserts of the same rows.
func (r *run) filling(ctx context.Context, result *Result) error {
	out := result.Sink
	began := time.Now()
	if err := r.caughtUp(ctx); err != nil {
		return err
	}
	out.CatchUp = time.Since(began).Seconds()
	out.PeakCatching = float64(r.usage().peak) / (1 << 20)
	conn, err := engineOf(r.DataDir)
	if err != nil {
		return err
	}
	defer conn.Close()
	resident, _ := chaos.Memory(childOf(r.PID))
	out.EngineMiB = float64(resident) / (1 << 20)
	if err := out.count(ctx, conn); err != nil {
		return err
	}
	out.RowsPerSecond = float64(out.Rows) / out.CatchUp
	if err := out.sizes(ctx, conn, result.Orders); err != nil {
		return err
	}
	if err := out.bare(ctx, conn, r); err != nil {
		return err
	}
	out.OfBare = out.RowsPerSecond / out.BarePerSecond
	return nil
}

// followed is the latency of orders while the sink follows.
func (r *run) followed(ctx context.Context, shop *workload.Shop, result *Result) (Latency, error) {
	if err := r.caughtUp(ctx); err != nil {
		return Latency{}, err
	}
	return r.rested(ctx, shop, result, r.PID, childOf(r.PID))
}

// fresh measures how far ClickHouse is behind now while orders flow.
func (r *run) fresh(ctx context.Context, shop *workload.Shop, result *Result) error {
	if err := r.caughtUp(ctx); err != nil { // before that no engine may be there
		return err
	}
	conn, err := engineOf(r.DataDir)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := result.Sink.sample(ctx, conn)
	_, err = r.followed(ctx, shop, result)
	stop()
	return err
}

// rested is the latency of orders at the rate, after the processes have come to rest.
func (r *run) rested(ctx context.Context, shop *workload.Shop, result *Result, pids ...int) (Latency, error) {
	if err := r.rest(ctx, pids...); err != nil {
		return Latency{}, err
	}
	one, err := r.posted(ctx, shop, "", r.Rate, r.Warm, r.Duration, int(result.Orders))
	if err != nil {
		return Latency{}, err
	}
	result.Orders += one.Orders
	return *one.Latency, nil
}

func medianP99(all []Latency) float64 {
	p99 := make([]float64, len(all))
	for i, l := range all {
		p99[i] = l.P99
	}
	slices.Sort(p99)
	return p99[len(p99)/2]
}

// with runs a system on the directory.
func (r *run) with(ctx context.Context, dir string, flags []string, do func(*chaos.Process) error) (err error) {
	args := append([]string{"--log", "warn", "up", "--data", dir, "--http", "127.0.0.1:0"}, flags...)
	if r.File != "" {
		args = append([]string{"--config", r.File}, args...)
	}
	p, err := chaos.Start(ctx, r.Binary, os.Stderr, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	r.Server, r.Kafka, r.PID, r.DataDir = p.HTTP, kafka.Settings{Brokers: []string{p.Kafka}, ClientID: "oms-bench"}, p.PID(), dir
	return do(p)
}

// rest waits until the disk has what earlier steps have written, and the processes have done with what those have left them, merges and compactions, and use a tenth of a
// processor at most; for that a minute at most.
func (r *run) rest(ctx context.Context, pids ...int) error {
	syscall.Sync()
	used := func() (all time.Duration) {
		for _, pid := range pids {
			all += processorTime(pid)
		}
		return all
	}
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); {
		before := used()
		r.say("%s: waiting for rest", r.name)
		if err := sleep(ctx, 3*time.Second, func() {}); err != nil {
			return err
		}
		if used()-before < 300*time.Millisecond {
			break
		}
	}
	return nil
}

// caughtUp waits until ClickHouse lacks nothing.
func (r *run) caughtUp(ctx context.Context) error {
	for {
		var body struct {
			Analytics struct {
				State  string `json:"state"`
				Behind int64  `json:"behind_offsets"`
				Error  string `json:"error"`
			} `json:"analytics"`
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Server+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		err = json.NewDecoder(res.Body).Decode(&body)
		res.Body.Close()
		switch a := body.Analytics; {
		case err != nil:
			return err
		case a.State == "off":
			return errors.New(a.Error)
		case a.State == "following" && a.Behind == 0:
			return nil
		default:
			r.say("%s: %s, %d offsets behind", r.name, a.State, a.Behind)
		}
		if err := sleep(ctx, 20*time.Millisecond, func() {}); err != nil {
			return err
		}
	}
}

// freshest asks for the time of the newest fact in the first, a middle and the last table that a batch goes into.
const freshest = `SELECT least((SELECT max(at) FROM order_events WHERE at > now64(3) - toIntervalMinute(10)), (SELECT max(at) FROM stock_movements WHERE at > now64(3) - toIntervalMinute(10)),
	(SELECT max(updated_at) FROM orders_now WHERE placed_at > now64(3) - toIntervalMinute(10)))`

// sample asks for the newest fact until it is stopped.
func (s *Sink) sample(ctx context.Context, conn driver.Conn) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		began := time.Now()
		for sleep(ctx, 100*time.Millisecond, func() {}) == nil {
			var newest time.Time
			if err := conn.QueryRow(ctx, freshest).Scan(&newest); err == nil && newest.After(began) { // before the first order of this measurement stands, there is nothing to be fresh
				_ = s.ages.RecordValue(time.Since(newest).Microseconds())
			}
		}
	}()
	return func() { cancel(); <-done }
}

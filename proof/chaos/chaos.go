package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"oms/proof/audit"
	"oms/proof/audit/cluster"
	"oms/proof/load"
	"oms/proof/workload"
)

// Config of a run.
type Config struct {
	Binary   string // of the product
	Topology string // Embedded or Cluster
	Seed     uint64
	Orders   int    // to place
	Rate     int    // orders per second, while they are taken
	Every    int    // orders from one step of the plan to the next
	Faults   []Kind // to do; none: only the load
	Jars     string // folder of a real Kafka's jars; empty: where make setup puts them
	Dir      string // of everything that the run keeps
	Record   string // file that gets what the shop said
	Commit   string
	Progress io.Writer // lines for people
	Log      io.Writer // of the processes
}

// The limits of a run.
const (
	workers = 256
	patient = 60 * time.Second // within which orders must be decided after a fault, while all say that they are ready (I13)
	healing = 5 * time.Minute  // the same while one says that it is not ready
	look    = time.Second      // between two looks at whether they are passed
	rest    = 3 * time.Minute  // until nothing is under way after the last order
	tell    = 5 * time.Second  // between two lines of progress
)

// run is a run under way.
type run struct {
	Config
	work    work
	plan    Plan
	shop    *shop
	watch   *watch
	record  *workload.Record
	report  Report
	mu      sync.Mutex
	now     string // what is being done
	step    int    // of the plan, that is done next
	stopped context.Context

	patient, healing, look time.Duration // the limits of that name
}

// Run starts a shop, loads it, breaks it by plan, and audits it. When ctx ends no more orders are placed and no more is broken; what was accepted is still decided and audited.
func Run(ctx context.Context, c Config) (Report, error) {
	r := newRun(ctx, c, retail(c))
	err := r.run(ctx, func(context.Context) error { return nil })
	return r.report, err
}

func newRun(ctx context.Context, c Config, w work) *run {
	return &run{Config: c, work: w, plan: NewPlan(c.Seed, c.Topology, c.Faults, c.Orders, c.Every), stopped: ctx, now: "starting", patient: patient, healing: healing, look: look, watch: newWatch(w.decides),
		report: Report{Seed: c.Seed, Commit: c.Commit, Topology: c.Topology}}
}

// run fills in the report. then is called after the audit, while the system is still there.
func (r *run) run(ctx context.Context, then func(context.Context) error) (err error) {
	began := time.Now()
	if err := r.plan.Text(r.Progress); err != nil {
		return err
	}
	f, err := os.Create(r.Record)
	if err != nil {
		return err
	}
	defer f.Close()
	r.record = workload.NewRecord(f)
	if r.shop, err = openShop(ctx, r.Config); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.shop.close()) }()
	err = r.all(context.WithoutCancel(ctx))
	r.report.Interrupted = ctx.Err() != nil
	r.report.Seconds = time.Since(began).Seconds()
	if err != nil {
		return err
	}
	return then(context.WithoutCancel(ctx))
}

// all runs the shop from its catalogue to the audit.
func (r *run) all(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go r.shop.balance(ctx)
	opened, err := r.load(ctx, r.work.goods.Documents(0, 0))
	if err != nil {
		return err
	}
	if opened.Products["OPENED"] != r.work.goods.Products {
		return fmt.Errorf("the catalogue was not opened: %v", opened.Products)
	}
	if slices.Contains(r.Faults, StateOld) {
		if err := r.shop.copyState(); err != nil {
			return err
		}
	}
	r.report.Memory.Start = r.shop.memory()
	go r.progress(ctx)
	broken := make(chan struct{})
	loaded, loading := context.WithCancel(ctx)
	go func() {
		defer close(broken)
		r.breakAll(loaded)
	}()
	sum, err := r.load(ctx, r.orders())
	loading()
	<-broken
	r.report.Load = sum
	if n := sum.Undecided(); n > 0 {
		r.violated("%d documents were not decided in time", n)
	}
	if err != nil {
		return err
	}
	return r.settle(ctx)
}

func (r *run) load(ctx context.Context, documents iter.Seq2[workload.Document, error]) (load.Summary, error) {
	return load.Run(ctx, load.Config{Server: r.shop.server(), Pick: r.shop.server, Documents: documents, Workers: workers, Record: r.record, Ended: func(d workload.Document, outcome string) {
		if d.Action == workload.Place && outcome != keyReused {
			r.watch.end(d.Key, outcome)
		}
	}})
}

// orders come at the rate of the run, until it is stopped.
func (r *run) orders() iter.Seq2[workload.Document, error] {
	return func(yield func(workload.Document, error) bool) {
		pace := time.NewTicker(time.Second / time.Duration(r.Rate)) // a tick that nobody waits for is lost: after an outage the rate is what it was
		defer pace.Stop()
		for n := range r.Orders {
			for range r.slowly(n) {
				select {
				case <-pace.C:
				case <-r.stopped.Done():
					return
				}
			}
			arrived, err := r.work.arrive(n, r.watch.decided)
			if err == nil {
				r.watch.place(arrived[0].Key)
			}
			for _, d := range arrived {
				if !yield(d, err) {
					return
				}
			}
		}
	}
}

// behind is how much slower orders come while the plan lags behind them: each fault meets orders, and the last of them are left for the last fault.
const behind = 10

// slowly answers how many ticks the n-th order takes.
func (r *run) slowly(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.step < len(r.plan) && n >= r.plan[r.step].At+r.Every {
		return behind
	}
	return 1
}

// breakAll does the plan step by step, each when its time has come and the one before is over, until ctx ends.
func (r *run) breakAll(ctx context.Context) {
	for i, step := range r.plan {
		for {
			placed, _, _, next := r.watch.count()
			if placed >= step.At {
				break
			}
			select {
			case <-next:
			case <-ctx.Done():
				return
			case <-r.stopped.Done():
				return
			}
		}
		r.mu.Lock()
		r.report.Steps = append(r.report.Steps, Done{time.Now(), step.String()})
		r.mu.Unlock()
		r.doing(fmt.Sprintf("fault %d of %d: %s", i+1, len(r.plan), step))
		r.together(ctx, step)
		r.mu.Lock()
		r.step = i + 1
		r.mu.Unlock()
		r.doing("flowing")
	}
}

// together does the faults of a step, at once, and demands that the shop recovers from the moment at which the last of them is over.
func (r *run) together(ctx context.Context, step Step) {
	var after *wait
	var lasting sync.WaitGroup
	last, over := sync.Mutex{}, 0
	ended := func() {
		last.Lock()
		defer last.Unlock()
		if over++; over == len(step.Faults) {
			after = r.watch.since()
		}
	}
	for _, f := range step.Faults {
		lasting.Go(func() {
			once := sync.OnceFunc(ended)
			defer once()
			err := r.shop.do(f, once)
			var why skip
			switch {
			case errors.As(err, &why):
				r.report.skipped(&r.mu, f, string(why))
				return
			case err != nil:
				r.violated("%s: %v", f, err)
			}
			r.report.done(&r.mu, f)
		})
	}
	lasting.Wait()
	r.recovery(ctx, step, after)
}

// recovery waits until the orders flow again. What says that it is ready and decides nothing, breaks the law; what says why it is not, may take longer.
func (r *run) recovery(ctx context.Context, step Step, after *wait) {
	began, look := time.Now(), time.NewTicker(r.look)
	defer look.Stop()
	for {
		select {
		case <-after.over:
			took, _, _ := r.watch.state(after)
			r.report.recovered(&r.mu, step, took, time.Since(after.since))
			return
		case <-ctx.Done(): // the load has ended: no order is open, and none comes any more
			return
		case <-look.C: // nobody tells that a process has come to rest in silence
		}
		waited := time.Since(began)
		if waited < r.patient {
			continue
		}
		unready := r.shop.unready(ctx)
		if len(unready) > 0 && waited < r.healing {
			continue
		}
		_, decided, before := r.watch.state(after)
		says := "all say that they are ready"
		if len(unready) > 0 {
			says = strings.Join(unready, "; ")
		}
		r.violated("%s: %s later %d orders of before are not decided, one of after: %v; %s", step, waited.Round(time.Second), before, decided, says)
		return
	}
}

// settle waits until nothing is under way any more, and audits.
func (r *run) settle(ctx context.Context) error {
	r.doing("coming to rest")
	limit, cancel := context.WithTimeout(ctx, rest)
	defer cancel()
	for len(r.shop.unready(limit)) > 0 {
		select {
		case <-time.After(200 * time.Millisecond): // as a load balancer does: nobody tells it
		case <-limit.Done():
			r.violated("at the end: %s", strings.Join(r.shop.unready(ctx), "; "))
		}
		if limit.Err() != nil {
			break
		}
	}
	r.report.Memory.End = r.shop.memory()
	for { // what is under way is at rest at the next look, or a violation when it is too old
		k, err := r.shop.kafka()
		if err != nil {
			return err
		}
		r.report.Audit, err = cluster.Run(ctx, cluster.Config{Kafka: k, Ledger: r.shop.provider.ledger, Client: r.Record})
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		if restful(r.report.Audit) || limit.Err() != nil {
			break
		}
	}
	for _, l := range r.report.Audit.Laws {
		if l.Violations > 0 {
			r.violated("%s is broken %d times, first: %s", l.ID, l.Violations, l.First)
		}
		if l.UnderWay > 0 {
			r.violated("%s: %d still under way %s after the last order", l.ID, l.UnderWay, rest)
		}
	}
	r.report.Kills = r.report.Faults[KillBroker]
	for _, m := range r.shop.members {
		m.mu.Lock()
		r.report.Kills += m.kills
		r.report.Ends = append(r.report.Ends, m.ends...)
		for _, crash := range m.crashes {
			r.violated("%s", crash)
		}
		m.mu.Unlock()
	}
	return nil
}

func restful(a audit.Report) bool {
	return a.State == "at rest" && !slices.ContainsFunc(a.Laws, func(l *audit.Law) bool { return l.UnderWay > 0 })
}

func (r *run) violated(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Violations = append(r.report.Violations, fmt.Sprintf(format, args...))
	fmt.Fprintf(r.Progress, "VIOLATION: "+format+"\n", args...)
}

func (r *run) doing(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = what
	fmt.Fprintf(r.Progress, "%s  %s\n", time.Now().Format(time.TimeOnly), what)
}

// progress says now and then how far it is.
func (r *run) progress(ctx context.Context) {
	tick := time.NewTicker(tell)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		placed, decided, confirmed, _ := r.watch.count()
		r.mu.Lock()
		fmt.Fprintf(r.Progress, "%s  %d of %d orders placed, %d decided, %d confirmed; %d violations; %s\n", time.Now().Format(time.TimeOnly), placed, r.Orders, decided, confirmed, len(r.report.Violations), r.now)
		r.mu.Unlock()
	}
}

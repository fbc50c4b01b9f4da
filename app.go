package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/twmb/franz-go/pkg/kadm"

	"oms/ingest"
	"oms/internal/kafka"
	"oms/internal/store"
	"oms/internal/stream"
	"oms/processors"
	"oms/proof/sandbox"
	"oms/schemas"
	"oms/topics"
)

// The roles of a process. A role sandbox exists for oms up alone: it is the outside world.
const (
	roleIngest    = "ingest"
	roleOrders    = "orders"
	roleProducts  = "products"
	roleCustomers = "customers"
	roleGateways  = "gateways"
	roleViews     = "views"
	roleAnalytics = "analytics"
	roleSandbox   = "sandbox"
)

var allRoles = []string{roleSandbox, roleOrders, roleProducts, roleCustomers, roleGateways, roleViews, roleAnalytics, roleIngest}

// groupRole is the role that runs a group.
var groupRole = map[string]string{"orders": roleOrders, "products": roleProducts, "customers": roleCustomers, "logins": roleCustomers}

// part is one thing that runs in the process.
type part struct {
	name  string
	run   func(context.Context) error // until its context ends
	ready func() bool                 // orders can flow through it
}

// app is a process with its roles.
type app struct {
	*run
	conf      Config
	roles     []string
	cluster   kafka.Settings
	id        string // of the cluster: state of another one is never met
	embedded  *kafka.Embedded
	store     *store.DB
	sandbox   *sandbox.Server
	commands  *ingest.Server
	analytics *analytics // nil without the role
	address   string     // of the HTTP server, once it is bound
	metrics   *prometheus.Registry
	parts     []part // in order of start
	closers   []func() error
	fault     chan error  // what no part can go on without
	late      *time.Timer // ends the process when its stop takes too long
}

// serve runs the roles until the run's context ends or a part fails. When orders can flow it prints the ready line and calls then, if there is one, whose end
// does not end the server.
func serve(r *run, conf Config, roles []string, then func(context.Context, *app) error) (err error) {
	a := &app{run: r, conf: conf, roles: roles, metrics: prometheus.NewRegistry(), fault: make(chan error, 1)}
	a.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		for _, c := range slices.Backward(a.closers) {
			switch e := c(); {
			case err == nil:
				err = e
			case e != nil: // mostly of the same cause, and one line is enough for who reads it
				a.log.Warn("closing after a failure", "error", e)
			}
		}
		if a.late != nil {
			a.late.Stop()
		}
	}()
	for _, build := range []func() error{a.checkHTTP, a.openCluster, a.openTopics, a.openSandbox, a.openGroups, a.openGateways, a.openAnalytics, a.openHTTP} {
		if err := build(); errors.Is(err, context.Canceled) && a.ctx.Err() != nil {
			return nil // told to stop while it started
		} else if err != nil {
			return err
		}
	}
	return a.runParts(then)
}

func (a *app) has(roles ...string) bool {
	return slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(a.roles, r) })
}

// openCluster finds the Kafka of the process, which may be its own.
func (a *app) openCluster() (err error) {
	if err := os.MkdirAll(a.conf.Data, 0o750); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if len(a.conf.Kafka.Brokers) == 0 {
		labelled("broker", func() {
			a.embedded, err = kafka.StartEmbedded(a.ctx, embedded(a.conf, a.log))
		})
		if err != nil {
			return err
		}
		a.closers = append(a.closers, a.embedded.Close)
		go func() { // ends with the process when the disk never fails
			<-a.embedded.Failed()
			if err := a.embedded.Err(); err != nil {
				a.failed(err)
			}
		}()
		a.cluster, a.id = a.embedded.Settings(), a.embedded.ClusterID()
		a.log.Info("embedded broker: one process, one disk, no replication; oms run --kafka takes a cluster", "address", a.embedded.Addr(), "fsync", a.conf.Kafka.Fsync)
		return nil
	}
	if a.cluster, err = a.conf.Kafka.settings(); err != nil {
		return err
	}
	if a.id, err = a.cluster.ClusterID(a.ctx); err != nil {
		return err
	}
	foreign, err := kafka.IsEmbedded(a.ctx, a.cluster)
	if err == nil && foreign {
		err = fmt.Errorf("kafka.brokers: %s is the embedded broker of another process; its transactions are whole only within that process, so no role can run here", strings.Join(a.cluster.Brokers, ","))
	}
	return err
}

// embedded is the broker of a data directory.
func embedded(conf Config, log *slog.Logger) kafka.EmbeddedConfig {
	c := kafka.EmbeddedConfig{Dir: filepath.Join(conf.Data, "kafka"), Listen: conf.Kafka.Listen, Fsync: conf.Kafka.Fsync, Log: log}
	for _, t := range topics.All {
		if t.Policy == topics.Compact {
			c.Tables = append(c.Tables, t.Name)
		}
	}
	return c
}

// wanted are the topics as this installation makes them.
func wanted(k KafkaConfig, brokers int, embedded bool) []kafka.Topic {
	partitions, replicas := k.Partitions, k.Replication
	if partitions == 0 {
		if partitions = 12; embedded {
			partitions = 4
		}
	}
	if replicas == 0 {
		if replicas = 3; brokers < 3 {
			replicas = 1
		}
	}
	var want []kafka.Topic
	for _, t := range topics.All {
		w := kafka.Topic{Name: t.Name, Partitions: partitions, Replicas: replicas, Compact: t.Policy == topics.Compact, Config: map[string]string{"max.message.bytes": fmt.Sprint(kafka.MaxBatchBytes)}}
		switch t.Policy {
		case topics.KeepForever:
			w.Config["retention.ms"], w.Config["retention.bytes"] = "-1", "-1"
		case topics.KeepHour:
			w.Config["retention.ms"] = fmt.Sprint(time.Hour.Milliseconds())
		}
		if replicas >= 3 {
			w.Config["min.insync.replicas"] = "2"
		}
		want = append(want, w)
	}
	return want
}

// planTopics creates the topics that are missing, or tells which would be.
func planTopics(ctx context.Context, s kafka.Settings, k KafkaConfig, dryRun bool) ([]kafka.Change, error) {
	cl, err := s.NewProducer()
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	brokers, err := adm.ListBrokers(ctx)
	if err != nil {
		return nil, err
	}
	embedded, err := kafka.IsEmbedded(ctx, s)
	if err != nil {
		return nil, err
	}
	return kafka.EnsureTopics(ctx, adm, wanted(k, len(brokers), embedded), dryRun)
}

func (a *app) openTopics() error {
	made, err := planTopics(a.ctx, a.cluster, a.conf.Kafka, false)
	if len(made) > 0 {
		a.log.Info("topics created", "count", len(made))
	}
	return err
}

func (a *app) openSandbox() (err error) {
	if !a.has(roleSandbox) || a.conf.Payments.Sandbox.URL != "" {
		return nil
	}
	labelled("sandbox", func() { a.sandbox, err = startSandbox(a.run, a.conf) })
	if err != nil {
		return err
	}
	a.closers = append(a.closers, a.sandbox.Close)
	a.conf.Payments.Sandbox.URL = a.sandbox.URL()
	return nil
}

func startSandbox(r *run, c Config) (*sandbox.Server, error) {
	return sandbox.Start(r.ctx, sandbox.Config{Listen: c.Payments.Sandbox.Listen, Ledger: filepath.Join(c.Data, "sandbox", "ledger.jsonl"),
		Behaviour: sandbox.Behaviour{DeclinePercent: c.Payments.Sandbox.DeclinePercent}, Log: r.log})
}

// openGroups starts the processors of the roles on one state store.
func (a *app) openGroups() (err error) {
	if !a.has(roleOrders, roleProducts, roleCustomers) {
		return nil
	}
	a.store, err = store.Open(filepath.Join(a.conf.Data, "state", a.id), store.Options{CacheBytes: a.conf.Engine.CacheBytes, Log: a.log, OnFault: a.failed})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, a.store.Close)
	for _, g := range processors.Groups {
		if !a.has(groupRole[g.Name]) {
			continue
		}
		shell := processors.NewShell(g, a.log, a.metrics)
		c := stream.Config{Kafka: a.cluster, Group: g.Name, Inbox: g.Inbox.Name, DeadLetter: g.DeadLetters.Name, Instance: a.conf.Instance, Store: a.store,
			MaxBatch: a.conf.Engine.MaxBatch, Log: a.log, Metrics: a.metrics}
		if a.embedded != nil {
			c.Life, c.Journal = a.embedded.Life(), a.embedded.Journal()
		}
		if g.Tick != nil {
			c.Deadline, c.Tick = schemas.Deadline, shell.Tick
		}
		engine, err := stream.New(c)
		if err != nil {
			return err
		}
		a.parts = append(a.parts, part{"group " + g.Name, func(ctx context.Context) error { return shell.Run(ctx, engine, a.cluster.Brokers) }, engine.Ready})
	}
	return nil
}

// labelled runs do, and the goroutines that it starts, under the label by which a profile tells the parts of the process apart. What a timer starts has no label.
func labelled(part string, do func()) {
	pprof.Do(context.Background(), pprof.Labels("part", part), func(context.Context) { do() })
}

// failed ends the process: a part that others rest on cannot go on.
func (a *app) failed(err error) {
	select {
	case a.fault <- err:
	default:
	}
}

// runParts starts the parts, says when they are ready, and stops them in reverse order.
func (a *app) runParts(then func(context.Context, *app) error) error {
	type end struct {
		name string
		err  error
	}
	ended := make(chan end, len(a.parts))
	var stops []func()
	for _, p := range a.parts {
		ctx, cancel := context.WithCancel(context.WithoutCancel(a.ctx))
		done := make(chan struct{})
		go func() {
			defer close(done)
			labelled(p.name, func() { ended <- end{p.name, p.run(ctx)} })
		}()
		stops = append(stops, func() { cancel(); <-done })
	}
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()
	afterwards := make(chan error, 1)
	go a.announce(ctx, then, afterwards)
	var err error
	select {
	case <-a.ctx.Done():
		a.log.Info("stopping")
	case err = <-a.fault:
	case e := <-ended:
		if err = e.err; err == nil {
			err = fmt.Errorf("%s ended by itself", e.name)
		}
	case err = <-afterwards:
	}
	cancel()
	a.late = time.AfterFunc(stopWithin, func() {
		a.log.Error("the stop took too long; the next start finds the rest in the log", "limit", stopWithin.String())
		if err != nil {
			fmt.Fprintf(os.Stderr, "oms: %v\n", err)
		}
		os.Exit(1)
	})
	for _, stop := range slices.Backward(stops) {
		stop()
	}
	return err
}

// ready tells whether orders can flow, and if not, what they wait for.
func (a *app) ready() (waitingFor []string) {
	for _, p := range a.parts {
		if !p.ready() {
			waitingFor = append(waitingFor, p.name)
		}
	}
	return waitingFor
}

// announce prints the ready line once orders can flow.
func (a *app) announce(ctx context.Context, then func(context.Context, *app) error, afterwards chan<- error) {
	for tick := time.NewTicker(5 * time.Millisecond); len(a.ready()) > 0; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	line := "ready http=" + a.httpURL() + " kafka=" + strings.Join(a.cluster.Brokers, ",")
	if a.sandbox != nil {
		line += " sandbox=" + a.sandbox.URL()
	}
	fmt.Fprintln(a.out, line+" data="+a.conf.Data)
	if then != nil {
		if err := then(ctx, a); err != nil && ctx.Err() == nil {
			afterwards <- err
		}
	}
}

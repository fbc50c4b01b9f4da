package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	"oms/internal/clickhouse"
	sink "oms/views/clickhouse"
	"oms/views/clickhouse/desk"
)

// engineCommand is the hidden command of the child process that holds the embedded ClickHouse.
const engineCommand = "clickhouse-engine"

// analytics is what role analytics runs: the engine when it is ours, and the sink. Orders never wait for any of it.
type analytics struct {
	off     string                      // why there is none; empty: there is
	before  atomic.Pointer[sink.Status] // what holds until there is a sink
	running atomic.Pointer[sink.Sink]
	readers atomic.Pointer[clickhouse.Conn] // connections that can only read, where ClickHouse is ours
}

// conn is for who reads; an error says why there is none now.
func (a *analytics) conn() (clickhouse.Conn, error) {
	if a.off != "" {
		return nil, fmt.Errorf("%w: %s", desk.ErrOff, a.off)
	}
	if c := a.readers.Load(); c != nil {
		return *c, nil
	}
	if now := a.before.Load(); now.Error != "" {
		return nil, errors.New(now.Error)
	}
	return nil, errors.New("ClickHouse is starting")
}

// status is what the role does: the sink's word, once there is one.
func (a *analytics) status() sink.Status {
	if s := a.running.Load(); s != nil {
		return s.Status()
	}
	return *a.before.Load()
}

// failed notes that the engine did not start, and says whether that is news: one line is enough for all tries.
func (a *analytics) failed(err error) (news bool) {
	now := *a.before.Load()
	if news = now.State != sink.Waiting; news {
		now.State, now.Since = sink.Waiting, time.Now()
	}
	now.Error = err.Error()
	a.before.Store(&now)
	return news
}

// behind is how many offsets the tables lack, where that is known.
func (a *analytics) behind() (int64, bool) {
	if s := a.running.Load(); s != nil {
		n := s.Status().Behind
		return n, n >= 0
	}
	return 0, false
}

// lookAt is where the figures are to be seen, once they are there.
func (a *analytics) lookAt(ctx context.Context, http string) string {
	for tick := time.NewTicker(50 * time.Millisecond); a.off == ""; {
		if n, known := a.behind(); known && n == 0 {
			return "  " + http + "/reports\n"
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ""
		}
	}
	return "  (no reports: " + a.off + ")\n"
}

// openAnalytics starts nothing that could hold up orders: ClickHouse is come by while they flow.
func (a *app) openAnalytics() error {
	if !a.has(roleAnalytics) {
		return nil
	}
	a.analytics = &analytics{}
	a.analytics.before.Store(&sink.Status{State: sink.Starting, Since: time.Now(), Behind: -1})
	if url := a.conf.ClickHouse.URL; url != "" {
		conn, err := clickhouse.Open(url) // reaches for nothing: it reads the address
		if err != nil {
			return err
		}
		conn.Close()
	} else if _, err := a.library(a.conf); err != nil {
		a.analytics.off = err.Error()
		a.log.Warn("analytics: off; orders are not concerned, and a later start catches up", "reason", err.Error())
		return nil
	}
	if len(a.roles) == 1 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(176 << 20) // a process of its own is meant to be small: it collects more often rather than grow with the lag
	}
	a.metrics.MustRegister(sink.States(func() string { return a.analytics.status().State })...)
	a.parts = append(a.parts, part{"analytics", a.runAnalytics, func() bool { return true }})
	return nil
}

func (r *run) library(conf Config) (string, error) {
	cache, _ := os.UserCacheDir() // without one, the other places are looked at
	return clickhouse.FindLibrary(conf.ClickHouse.Library, cmp.Or(os.Getenv("OMS_CACHE"), cache))
}

// runAnalytics runs until the context ends. A fault ends neither it nor the process.
func (a *app) runAnalytics(ctx context.Context) error {
	url := a.conf.ClickHouse.URL
	own, reading := url == "", url
	if own {
		engine := a.untilEngine(ctx)
		if engine == nil {
			return nil
		}
		defer engine.Close()
		url, reading = engine.URL(), engine.ReaderURL()
		fmt.Fprintf(a.out, "analytics clickhouse=%s reports=%s/reports\n", reading, a.httpURL())
	}
	readers, err := clickhouse.Open(reading)
	if err != nil {
		return err
	}
	defer readers.Close()
	a.analytics.readers.Store(&readers)
	s, err := sink.New(sink.Config{Kafka: a.cluster, Cluster: a.id, URL: url, Own: own, Instance: a.conf.Instance, Interval: a.conf.ClickHouse.Interval,
		Keep: a.conf.ClickHouse.Keep, Log: a.log, Metrics: a.metrics})
	if err != nil {
		return err
	}
	defer s.Close()
	a.analytics.running.Store(s)
	return s.Run(ctx)
}

// untilEngine starts the embedded ClickHouse, trying again until it starts; nil: the context has ended.
func (a *app) untilEngine(ctx context.Context) *clickhouse.Engine {
	for wait := 500 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		conf, err := a.engine(a.conf, a.id)
		if err == nil {
			var engine *clickhouse.Engine
			conf.Again = a.analytics.status().State == sink.Waiting
			if engine, err = clickhouse.Start(ctx, conf); err == nil {
				return engine
			}
		}
		if ctx.Err() == nil {
			level := slog.LevelDebug
			if a.analytics.failed(err) {
				level = slog.LevelWarn
			}
			a.log.Log(ctx, level, "analytics", "state", sink.Waiting, "before", sink.Starting, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// startEngine starts the embedded ClickHouse on the directory of the cluster.
func (r *run) startEngine(ctx context.Context, conf Config, cluster string) (*clickhouse.Engine, error) {
	c, err := r.engine(conf, cluster)
	if err != nil {
		return nil, err
	}
	return clickhouse.Start(ctx, c)
}

// engine is how the embedded ClickHouse of the cluster is started.
func (r *run) engine(conf Config, cluster string) (c clickhouse.Config, err error) {
	library, err := r.library(conf)
	if err != nil {
		return c, err
	}
	self, err := os.Executable()
	if err != nil {
		return c, err
	}
	return clickhouse.Config{Library: library, Dir: filepath.Join(conf.Data, "clickhouse", cluster), Listen: conf.ClickHouse.Listen, Executable: self, Args: []string{engineCommand},
		Memory: conf.ClickHouse.Memory, Log: r.log}, nil
}

// details are what /readyz tells besides.
func (a *app) details() map[string]any {
	switch {
	case a.analytics == nil:
		return nil
	case a.analytics.off != "":
		return map[string]any{"analytics": map[string]string{"state": "off", "error": a.analytics.off}}
	}
	return map[string]any{"analytics": a.analytics.status()}
}

// EngineCmd is the child process of the embedded ClickHouse.
type EngineCmd struct{}

// Run serves until the parent ends.
func (EngineCmd) Run(r *run) error {
	return clickhouse.Serve(r.ctx, clickhouse.ChildConfig{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	off     string // why there is none; empty: there is
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
	return nil, errors.New("ClickHouse is starting")
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
	for url == "" {
		engine, err := a.startEngine(ctx, a.conf, a.id)
		if err == nil {
			defer engine.Close()
			url, reading = engine.URL(), engine.ReaderURL()
			fmt.Fprintf(a.out, "analytics clickhouse=%s reports=%s/reports\n", reading, a.httpURL())
			break
		}
		if ctx.Err() == nil {
			a.log.Error("analytics: the embedded ClickHouse does not start; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Second):
		}
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

// startEngine starts the embedded ClickHouse on the directory of the cluster.
func (r *run) startEngine(ctx context.Context, conf Config, cluster string) (*clickhouse.Engine, error) {
	library, err := r.library(conf)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return clickhouse.Start(ctx, clickhouse.Config{Library: library, Dir: filepath.Join(conf.Data, "clickhouse", cluster), Listen: conf.ClickHouse.Listen, Executable: self, Args: []string{engineCommand},
		Memory: conf.ClickHouse.Memory, Log: r.log})
}

// details are what /readyz tells besides.
func (a *app) details() map[string]any {
	switch {
	case a.analytics == nil:
		return nil
	case a.analytics.off != "":
		return map[string]any{"analytics": map[string]string{"state": "off", "error": a.analytics.off}}
	}
	if s := a.analytics.running.Load(); s != nil {
		return map[string]any{"analytics": s.Status()}
	}
	return map[string]any{"analytics": map[string]string{"state": sink.Starting}}
}

// EngineCmd is the child process of the embedded ClickHouse.
type EngineCmd struct{}

// Run serves until the parent ends.
func (EngineCmd) Run(r *run) error {
	return clickhouse.Serve(r.ctx, clickhouse.ChildConfig{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
}

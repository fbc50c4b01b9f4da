package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"oms/internal/clickhouse/clickhousetest"
	"oms/internal/kafka"
	sink "oms/views/clickhouse"
)

func TestMain(m *testing.M) { os.Exit(clickhousetest.Main(m)) }

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// state is what the metric says that the role does.
func state(t *testing.T, metrics *prometheus.Registry) string {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "oms_analytics_state" && m.Gauge.GetValue() == 1 {
				all = append(all, m.Label[0].GetValue())
			}
		}
	}
	return strings.Join(all, ", ")
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// An engine that does not start is seen with its reason, where one looks and once in the log, and is tried again until it starts.
func TestAnEngineThatDoesNotStartIsSaidWithItsReason(t *testing.T) {
	library := clickhousetest.Library(t)
	for name, fault := range map[string]struct {
		make, mend func(data, library string) error
		reason     string
	}{
		"a library that is none": {
			func(_, at string) error {
				return errors.Join(os.Remove(at), os.WriteFile(at, []byte("no library"), 0o600))
			},
			func(_, at string) error { return os.Rename(at+".whole", at) },
			"libchdb.so",
		},
		"a directory that is a file": {
			func(data, _ string) error {
				return os.WriteFile(filepath.Join(data, "clickhouse"), nil, 0o600)
			},
			func(data, _ string) error { return os.Remove(filepath.Join(data, "clickhouse")) },
			"not a directory",
		},
		"damaged data": {
			func(data, _ string) error {
				dir := filepath.Join(data, "clickhouse", "cluster", "data", "metadata")
				if err := os.MkdirAll(dir, 0o700); err != nil {
					return err
				}
				return os.WriteFile(filepath.Join(dir, "oms.sql"), []byte("nonsense"), 0o600)
			},
			func(data, _ string) error { return os.RemoveAll(filepath.Join(data, "clickhouse")) },
			"SYNTAX_ERROR",
		},
	} {
		t.Run(name, func(t *testing.T) {
			data, at := t.TempDir(), filepath.Join(t.TempDir(), "libchdb.so")
			if err := errors.Join(os.Symlink(library, at), os.Symlink(library, at+".whole"), fault.make(data, at)); err != nil {
				t.Fatal(err)
			}
			var log lines
			conf := defaults()
			conf.Data, conf.ClickHouse.Library = data, at
			a := &app{run: &run{ctx: t.Context(), out: io.Discard, log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, conf: conf, roles: []string{roleAnalytics, roleOrders}, id: "cluster",
				cluster: kafka.Settings{Brokers: []string{"127.0.0.1:1"}}, metrics: prometheus.NewRegistry()}
			if err := a.openAnalytics(); err != nil || a.analytics.off != "" {
				t.Fatal(err, a.analytics.off)
			}
			now := func() sink.Status { return a.details()["analytics"].(sink.Status) }
			if now().State != sink.Starting {
				t.Errorf("before the start: %+v", now())
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- a.runAnalytics(ctx) }()
			defer func() {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}()
			eventually(t, "the state is a fault", func() bool { return now().State != sink.Starting })
			first := now()
			if _, err := a.analytics.conn(); first.State != sink.Waiting || !strings.Contains(first.Error, fault.reason) || state(t, a.metrics) != sink.Waiting || err == nil || err.Error() != first.Error {
				t.Errorf("%+v, in the metric %q, to readers %v", first, state(t, a.metrics), err)
			}
			eventually(t, "it is tried again", func() bool { return strings.Count(log.String(), `"level":"DEBUG","msg":"analytics"`) > 1 })
			if n := strings.Count(log.String(), `"level":"WARN","msg":"analytics"`); n != 1 || !now().Since.Equal(first.Since) {
				t.Errorf("%d lines, the state since %v and %v", n, first.Since, now().Since)
			}
			if _, again, _ := strings.Cut(log.String(), `"level":"DEBUG","msg":"analytics"`); strings.Contains(again, `"level":"WARN"`) || strings.Contains(again, `"level":"ERROR"`) {
				t.Errorf("said more than once:\n%s", log.String())
			}
			if err := fault.mend(data, at); err != nil {
				t.Fatal(err)
			}
			eventually(t, "there is a sink", func() bool { return a.analytics.running.Load() != nil })
			eventually(t, "the sink says what it does", func() bool { return now().Error != first.Error && state(t, a.metrics) == now().State })
		})
	}
}

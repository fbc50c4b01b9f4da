// Package clickhousetest gives tests an embedded ClickHouse, in a child process of the test binary.
package clickhousetest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"oms/internal/clickhouse"
)

// childArg makes a test binary the engine's process.
const childArg = "clickhouse-engine"

// Main runs a package's tests, or the engine, when this process is its child. Call it from TestMain: os.Exit(clickhousetest.Main(m)).
func Main(m *testing.M) int { return MainWith(m.Run) }

// MainWith is Main for a package whose TestMain has more to do than to run the tests.
func MainWith(run func() int) int {
	if len(os.Args) < 2 || os.Args[1] != childArg {
		return run()
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	onTerm(stop)
	if err := clickhouse.Serve(ctx, clickhouse.ChildConfig{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Library is the path of libchdb.so; the test skips where it is absent.
func Library(t testing.TB) string {
	t.Helper()
	cache := os.Getenv("OMS_CACHE")
	if home, err := os.UserHomeDir(); cache == "" && err == nil {
		cache = filepath.Join(home, ".cache")
	}
	path, err := clickhouse.FindLibrary("", cache)
	if err != nil {
		t.Skip(err)
	}
	return path
}

// Config is that of an engine in dir.
func Config(t testing.TB, dir string) clickhouse.Config {
	t.Helper()
	return clickhouse.Config{Library: Library(t), Dir: dir, Args: []string{childArg}, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
}

// Start starts an engine in the test's own directory, and closes it with the test.
func Start(t testing.TB) *clickhouse.Engine {
	t.Helper()
	return StartAt(t, t.TempDir())
}

// StartAt is Start with the data in dir, to start again what was closed.
func StartAt(t testing.TB, dir string) *clickhouse.Engine {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	e, err := clickhouse.Start(ctx, Config(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

package clickhouse_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"oms/internal/clickhouse"
	"oms/internal/clickhouse/clickhousetest"
)

// parentArg makes the test binary a process that holds an engine, to be killed.
const parentArg = "clickhouse-parent"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == parentArg {
		os.Exit(holdEngine(os.Args[2]))
	}
	os.Exit(clickhousetest.Main(m))
}

func holdEngine(dir string) int {
	cache := os.Getenv("OMS_CACHE")
	if home, err := os.UserHomeDir(); cache == "" && err == nil {
		cache = filepath.Join(home, ".cache")
	}
	library, err := clickhouse.FindLibrary("", cache)
	if err == nil {
		var e *clickhouse.Engine
		if e, err = clickhouse.Start(context.Background(), clickhouse.Config{Library: library, Dir: dir, Args: []string{"clickhouse-engine"}}); err == nil {
			fmt.Println(e.PID())
			select {} // until it is killed
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

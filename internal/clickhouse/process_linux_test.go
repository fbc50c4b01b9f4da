package clickhouse_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oms/internal/clickhouse/clickhousetest"
)

// Orders go first: no thread of the engine has the priority of its parent, of the library neither.
func TestTheEngineGivesWay(t *testing.T) {
	e := clickhousetest.Start(t)
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", e.PID()))
	if err != nil || len(stats) < 10 {
		t.Fatalf("%d threads: %v", len(stats), err)
	}
	for _, file := range stats {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if nice := fields[16]; nice == "0" { // proc(5): field 19. The library gives one that watches its memory a priority of its own, where it may
			t.Errorf("%s has the parent's priority", file)
		}
	}
}

package clickhouse_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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

// What a terminal sends to those in the foreground is not for the engine.
func TestTheEngineIsInAProcessGroupOfItsOwn(t *testing.T) {
	e := clickhousetest.Start(t)
	if group, err := syscall.Getpgid(e.PID()); err != nil || group != e.PID() {
		t.Errorf("process %d is in group %d: %v", e.PID(), group, err)
	}
}

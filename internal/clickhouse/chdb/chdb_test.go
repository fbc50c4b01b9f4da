package chdb_test

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"oms/internal/clickhouse/chdb"
	"oms/internal/clickhouse/clickhousetest"
)

// inside names the library for the test that runs in a process of its own.
const inside = "CHDB_TEST_LIBRARY"

// The library takes the signal handlers of the runtime; they are put back: a nil pointer is a panic again, and goroutines are preempted.
func TestTheRuntimeKeepsItsSignals(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestInside$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+clickhousetest.Library(t), "CHDB_TEST_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestInside") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestInside(t *testing.T) {
	library := os.Getenv(inside)
	if library == "" {
		t.Skip("runs in a process of its own, for TestTheRuntimeKeepsItsSignals")
	}
	e, err := chdb.Open(library, os.Getenv("CHDB_TEST_DIR"), "")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s, err := e.Connect()
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			var nothing *[]int
			_ = (*nothing)[0]
		}()
		if err := s.Exec("SELECT throwIf(1)"); err == nil || !strings.HasPrefix(err.Error(), "Code: 395. DB::Exception: ") || strings.Count(err.Error(), "Code: ") != 1 {
			t.Errorf("an exception: %v", err)
		}
	}
	stop := make(chan struct{})
	defer close(stop)
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for n := 0; ; n++ {
				if n&(1<<30-1) == 0 {
					select {
					case <-stop:
						return
					default:
					}
				}
			}
		}()
	}
	began := time.Now()
	runtime.GC() // waits for every goroutine to stop
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("a collection took %v", took)
	}
}

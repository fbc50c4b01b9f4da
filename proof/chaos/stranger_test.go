package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tool is a program of the Python environment that the tests bring along; the test skips where it is absent.
func tool(t *testing.T, name string) string {
	t.Helper()
	cache := os.Getenv("OMS_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Skip("no home directory, so no Python environment")
		}
		cache = filepath.Join(home, ".cache")
	}
	path := filepath.Join(cache, "oms-venv", "bin", name)
	if !exists(path) {
		t.Skipf("%s is not installed (make setup brings it): this stranger is not asked", name)
	}
	return path
}

// A consumer that knows nothing of this project reads the facts with the schemas that the binary serves.
func TestAConsumerThatIsNotOursReadsGapFreeSequences(t *testing.T) {
	python, log := tool(t, "python"), logFile(t)
	p := up(t, log, t.TempDir())
	stock(t, p.HTTP, "p1", 100)
	together(150, 16, func(i int) {
		if a, err := send("POST", p.HTTP+"/api/orders", order("p1", 1), fmt.Sprintf("Idempotency-Key: k%d", i), "Prefer: wait=20"); err != nil || a.Status != 201 {
			t.Errorf("order %d: %v %d %s", i, err, a.Status, a.Raw)
		}
	})
	cmd := exec.Command(python, "testdata/consume.py", p.Kafka, p.HTTP, "oms.order.events")
	cmd.Stderr = log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the consumer failed: %v\n%s", err, out)
	}
	if want := "orders 150 facts 300 gaps 0 OrderConfirmed 100 OrderCreated 150 OrderRejected 50"; strings.TrimSpace(string(out)) != want {
		t.Errorf("the consumer saw %q, want %q", strings.TrimSpace(string(out)), want)
	}
}

// The description of the HTTP interface is attacked with requests made from it: no server error, no answer that it does not declare.
func TestTheHTTPDescriptionHoldsUnderAttack(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	schemathesis, log := tool(t, "schemathesis"), logFile(t)
	p := up(t, log, t.TempDir())
	stock(t, p.HTTP, "tea", 1000)
	// One worker: two that parse Python at a time can raise "AST constructor recursion depth mismatch" before Python 3.11.8 (python/cpython#106905).
	cmd := exec.Command(schemathesis, "run", p.HTTP+"/openapi.json", "--no-color", "--max-examples", "8", "--workers", "1", "--seed", "7", "--request-timeout", "20",
		"--generation-database", "none", "--exclude-path-regex", "/events$", // an event stream does not end
		"--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance")
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	tail := out[max(0, len(out)-4_000):]
	if err != nil {
		t.Fatalf("%v\n%s", err, tail)
	}
	t.Logf("%s", tail[max(0, len(tail)-600):])
}

package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// built is the binary, in the world's directory.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(world.dir, "oms")
	out, err := exec.Command("go", "build", "-o", path, "oms").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// binary is oms, with a shop to ask.
func binary(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the binary")
	}
	shop(t)
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, "report", "--help").CombinedOutput(); err != nil && bytes.Contains(out, []byte("unexpected argument")) {
		t.Skip("the binary does not have the command yet")
	}
	return path
}

// command runs oms against the shop of the tests.
func command(t *testing.T, path, stdin string, args ...string) (out, errs string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "OMS_CLICKHOUSE_URL="+world.engine.URL())
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func TestTheCommandLineAnswersReports(t *testing.T) {
	oms := binary(t)
	if out, errs, status := command(t, oms, "", "report"); status != 0 || !strings.Contains(out, "SALES") || !strings.Contains(out, "refusals") {
		t.Fatalf("%d %s %s", status, out, errs)
	}
	out, errs, status := command(t, oms, "", "report", "sales", "--from", "2026-05-01", "--to", "2026-06-01", "--set", "granularity=month", "--set", "currency=EUR")
	if status != 0 || !strings.Contains(out, "period") || strings.Count(out, "\n") != 3 || !strings.Contains(out, "2026-05-01") {
		t.Errorf("%d %s %s", status, out, errs)
	}
	if out, _, status := command(t, oms, "", "report", "sales", "--from=2026-05-01", "--to=2026-06-01", "-o", "csv"); status != 0 || !strings.HasPrefix(out, "period,currency,") {
		t.Errorf("%d %.200s", status, out)
	}
	plot := filepath.Join(t.TempDir(), "x.svg")
	out, errs, status = command(t, oms, "", "report", "sales", "--from=2026-05-01", "--to=2026-06-01", "-o", "parquet", "--plot", plot)
	if f, err := parquet.OpenFile(strings.NewReader(out), int64(len(out))); status != 0 || err != nil || f.NumRows() == 0 {
		t.Errorf("%d %v %s", status, err, errs)
	}
	if svg, err := os.ReadFile(plot); err != nil || !bytes.Contains(svg, []byte(">Sales</text>")) {
		t.Errorf("%v %.300s", err, svg)
	}
	for _, tt := range [][2]string{{"report sale-by-product", "sales-by-product"}, {"report sales --from yesterday", "must be a time"}, {"report sales --set nothing=1", "no parameter"}, {"report low-stock --plot " + plot, "no chart"}} {
		if _, errs, status := command(t, oms, "", strings.Fields(tt[0])...); status != 1 || !strings.Contains(errs, tt[1]) {
			t.Errorf("%s: %d %s", tt[0], status, errs)
		}
	}
	if _, err := os.Stat(plot); err == nil {
		t.Error("a picture that failed was left behind")
	}
}

func TestTheCommandLineAsksOneStatement(t *testing.T) {
	oms := binary(t)
	for name, tt := range map[string]struct {
		stdin, want string
		args        []string
	}{
		"an argument":     {"", "n\r\n4200\r\n", []string{"SELECT count() AS n FROM orders_now", "-o", "csv"}},
		"standard input":  {"-- how many\nSELECT count() AS n\nFROM orders_now;\n", "n\r\n4200\r\n", []string{"-o", "csv"}},
		"a table":         {"", "n\n─\n1\n", []string{"SELECT 1 AS n"}},
		"without columns": {"", "name", []string{"SHOW TABLES"}},
	} {
		if out, errs, status := command(t, oms, tt.stdin, append([]string{"sql"}, tt.args...)...); status != 0 || !strings.HasPrefix(out, tt.want) {
			t.Errorf("%s: %d %q %s", name, status, out, errs)
		}
	}
	out, _, _ := command(t, oms, "", "sql", "SELECT 1 AS n", "-o", "json")
	if !json.Valid([]byte(out)) {
		t.Errorf("%q", out)
	}
	for text, want := range map[string]string{"DROP TABLE payments": "only read", "SELECT nonsense": "UNKNOWN_IDENTIFIER", "SELECT * FROM nowhere": "nowhere", "": "want a statement"} {
		if _, errs, status := command(t, oms, text, "sql"); status != 1 || !strings.Contains(errs, want) {
			t.Errorf("%q: %d %s", text, status, errs)
		}
	}
}

func TestAnInterruptEndsTheStatementOfTheCommand(t *testing.T) {
	oms := binary(t)
	const mark = "ctrlcctrlc"
	cmd := exec.Command(oms, "sql", "SELECT '"+mark+"', count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1")
	cmd.Env = append(os.Environ(), "OMS_CLICKHOUSE_URL="+world.engine.URL())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the statement runs", func() bool { return running(t, mark) > 0 })
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err == nil || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("%v %s", err, stderr.String())
	}
	eventually(t, "the statement has ended", func() bool { return running(t, mark) == 0 })
}

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the product as built for these tests.
var binary string

// installation holds what processes on the one real Kafka of these tests share: the keys, and the ledger of the provider.
var installation string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "oms-chaos-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary, installation = filepath.Join(dir, "oms"), filepath.Join(dir, "installation")
		if out, err := exec.Command("go", "build", "-o", binary, "oms").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building the binary: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// logFile collects what the processes of a test print; it is shown when the test fails.
func logFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			all, _ := os.ReadFile(f.Name())
			t.Logf("the processes said:\n%s", all[max(0, len(all)-8_000):])
		}
		f.Close()
	})
	return f
}

// start runs the binary until the test ends, or it is killed or stopped before.
func start(t *testing.T, log io.Writer, args ...string) *Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	p, err := Start(ctx, binary, log, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bury(t, p) })
	return p
}

// bury ends a process and waits until its engine has let go of the data directory too: the engine hears of the end of its parent, and closes its tables first.
func bury(t *testing.T, p *Process) {
	t.Helper()
	p.Kill()
	locks, err := filepath.Glob(filepath.Join(p.Data, "clickhouse", "*", "engine.lock"))
	must(t, err)
	for _, path := range locks {
		lock, err := os.Open(path)
		must(t, err)
		until(t, "the engine has ended", func() bool { return syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil })
		must(t, lock.Close())
	}
}

// address is one that nobody listens on.
func address(t *testing.T) string {
	t.Helper()
	a, err := freeAddress()
	must(t, err)
	return a
}

// up starts everything in one process on the data directory.
func up(t *testing.T, log io.Writer, data string) *Process {
	t.Helper()
	return start(t, log, "up", "--data", data, "--http", "127.0.0.1:0")
}

// answer is what the server said.
type answer struct {
	Status int
	Header http.Header
	Body   map[string]any
	Raw    string
}

// call sends one request; headers are "Name: value".
func call(t *testing.T, method, url string, body any, headers ...string) answer {
	t.Helper()
	a, err := send(method, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 128}}

func send(method, url string, body any, headers ...string) (answer, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, url, r)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	a := answer{Status: res.StatusCode, Header: res.Header, Raw: string(raw)}
	_ = json.Unmarshal(raw, &a.Body)
	return a, err
}

func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.Status != status {
		t.Fatalf("answered %d, want %d: %s", a.Status, status, a.Raw)
	}
	return a
}

// stock puts a product with units on sale.
func stock(t *testing.T, server, product string, units int64) {
	t.Helper()
	call(t, "POST", server+"/api/products", map[string]any{"product_id": product, "name": product, "price": map[string]any{"amount_minor": 1999, "currency": "EUR"}}).want(t, 201)
	call(t, "PUT", server+"/api/inventory/"+product, map[string]any{"on_hand": units}).want(t, 200)
}

// order is the body of a one-line order.
func order(product string, units int64) map[string]any {
	return map[string]any{
		"currency": "EUR", "lines": []any{map[string]any{"product_id": product, "quantity": units}},
		"shipping_address": map[string]any{"name": "A. Buyer", "line1": "1 Main Street", "city": "Graz", "postal_code": "8010", "country": "AT"},
		"payment":          map[string]any{"method": "CARD", "token": "tok_ok"},
	}
}

// audited runs the auditor on a live system, after it came to rest, and fails the test on a violation. It answers what each law counted.
func audited(t *testing.T, p *Process, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(binary, append([]string{"audit", "--kafka", p.Kafka, "-o", "json"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("the audit failed: %v\n%s%s", err, out.String(), errs.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[len(lines)-1]
}

// together runs n calls, at most width at once.
func together(n, width int, do func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range width {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

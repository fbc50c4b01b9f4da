package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// ends runs the binary, which must end by itself with status 1 and one line that says why; it answers that line. What is logged is JSON and does not count.
func ends(t *testing.T, environ []string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || strings.Contains(out.String(), "ready") {
		t.Errorf("%v ended with %v, it said %s%s", args, cmd.ProcessState, out.String(), errs.String())
	}
	return oneWord(t, errs.String())
}

// oneWord is the one line of a log that is meant for people.
func oneWord(t *testing.T, log string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "{") && !strings.HasPrefix(line, "ready ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "oms: ") {
		t.Errorf("it said %d lines, not one:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	return strings.Join(lines, "\n")
}

// ledger keeps what a buyer was told, to be asked about later.
type ledger struct {
	mu     sync.Mutex
	orders map[string]answer // by idempotency key
}

// buy orders one unit under a key; it must be confirmed, and be the same order as ever under that key.
func (l *ledger) buy(t *testing.T, server, key string) {
	t.Helper()
	a := call(t, "POST", server+"/api/orders", order("p1", 1), "Idempotency-Key: "+key, "Prefer: wait=20").want(t, 201)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.orders == nil {
		l.orders = map[string]answer{}
	}
	if was, ok := l.orders[key]; ok && was.Body["order_id"] != a.Body["order_id"] || a.Body["status"] != "CONFIRMED" {
		t.Errorf("order %s is %s\nwas %s", key, a.Raw, was.Raw)
	}
	l.orders[key] = a
}

// stands checks that every order is there and holds its unit.
func (l *ledger) stands(t *testing.T, server string) {
	t.Helper()
	for key, was := range l.orders {
		if a := call(t, "GET", server+was.Header.Get("Location"), nil).want(t, 200); a.Body["status"] != "CONFIRMED" {
			t.Errorf("order %s: %s", key, a.Raw)
		}
	}
	if level := call(t, "GET", server+"/api/inventory/p1", nil).want(t, 200); level.Body["reserved"] != float64(len(l.orders)) {
		t.Errorf("%d orders stand, stock: %s", len(l.orders), level.Raw)
	}
}

func under(t *testing.T, dir, ext string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ext {
			all = append(all, path)
		}
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("no file *%s under %s: %v", ext, dir, err)
	}
	return all
}

// spoil changes all files of Pebble's rows under a directory.
func spoil(t *testing.T, dir string, how func(b []byte) []byte) {
	t.Helper()
	for _, path := range under(t, dir, ".sst") {
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, how(b), 0o640)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func flipped(b []byte) []byte {
	for i := 7; i < len(b); i += 512 {
		b[i] ^= 0x55
	}
	return b
}

func half(b []byte) []byte { return b[:len(b)/2] }

// What the log says can be built again from it, whatever became of the rest of the disk.
func TestAStateThatIsGoneOldOrDamagedIsBuiltAgain(t *testing.T) {
	log, data := logFile(t), t.TempDir()
	state, views, old := filepath.Join(data, "state"), filepath.Join(data, "views"), filepath.Join(t.TempDir(), "old")
	var l ledger
	p := up(t, log, data)
	stock(t, p.HTTP, "p1", 1000)
	l.buy(t, p.HTTP, "first")
	must(t, p.Stop(), os.CopyFS(old, os.DirFS(state)))
	p = up(t, log, data)
	for i := range 20 {
		l.buy(t, p.HTTP, fmt.Sprintf("later-%d", i))
	}
	must(t, p.Stop())
	for _, fault := range []struct {
		name string
		do   func()
	}{
		{"the state is gone", func() { must(t, os.RemoveAll(state)) }},
		{"the state is an old copy", func() { must(t, os.RemoveAll(state), os.CopyFS(state, os.DirFS(old))) }},
		{"bytes of the state are flipped", func() { spoil(t, state, flipped) }},
		{"files of the state are cut", func() { spoil(t, state, half) }},
		{"the views are gone", func() { must(t, os.RemoveAll(views)) }},
		{"bytes of the views are flipped", func() { spoil(t, views, flipped) }},
		{"all of it is gone", func() { must(t, os.RemoveAll(state), os.RemoveAll(views)) }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			fault.do()
			p := upAgain(t, log, data)
			l.stands(t, p.HTTP)
			l.buy(t, p.HTTP, "first")
			l.buy(t, p.HTTP, fault.name)
			l.stands(t, p.HTTP)
			audited(t, p, "--ledger", filepath.Join(data, "sandbox", "ledger.jsonl"))
			must(t, p.Stop())
		})
	}
}

// upAgain starts as a supervisor does: a start that meets damage ends with a word, and the next one sets the damage aside.
func upAgain(t *testing.T, log io.Writer, data string) *Process {
	t.Helper()
	var said bytes.Buffer
	p, err := Start(t.Context(), binary, io.MultiWriter(log, &said), "up", "--data", data, "--http", "127.0.0.1:0")
	if err == nil {
		t.Cleanup(func() { bury(t, p) })
		return p
	}
	if word := oneWord(t, said.String()); !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(word, data) {
		t.Errorf("the start that met the damage: %v, said %q", err, word)
	}
	return up(t, log, data)
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestWhatAnotherProcessHasTakenEndsTheStartWithOneLine(t *testing.T) {
	log, data := logFile(t), t.TempDir()
	p := up(t, log, data)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	address := taken.Addr().String()
	fresh := t.TempDir()
	for _, c := range []struct {
		name, want string
		environ    []string
		args       []string
	}{
		{"the data directory", data, nil, []string{"up", "--data", data, "--http", "127.0.0.1:0"}},
		{"the address of HTTP", address + ": bind: address already in use", nil, []string{"up", "--data", fresh, "--http", address}},
		{"the address of Kafka", address + ": bind: address already in use", []string{"OMS_KAFKA_LISTEN=" + address}, []string{"up", "--data", fresh, "--http", "127.0.0.1:0"}},
		{"the address of the sandbox", address + ": bind: address already in use", nil, []string{"up", "--data", fresh, "--http", "127.0.0.1:0", "--sandbox", address}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if said := ends(t, c.environ, c.args...); !strings.Contains(said, c.want) {
				t.Errorf("it said %q, want %q in it", said, c.want)
			}
		})
	}
	var l ledger
	for i, p := range []*Process{p, up(t, log, fresh)} { // the one that runs is unharmed, and so is the directory of those that did not start
		stock(t, p.HTTP, "p1", 10)
		l = ledger{}
		l.buy(t, p.HTTP, fmt.Sprint(i))
		l.stands(t, p.HTTP)
	}
}

// fill writes to the directory's disk until nothing more fits, and answers what makes room again.
func fill(t *testing.T, dir string) (room func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() { must(t, os.Remove(path)) }
}

func TestAFullDiskNeverMakesAPromiseThatTheLogDoesNotHold(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may mount a small disk: nothing is filled")
	}
	disk := t.TempDir()
	if err := syscall.Mount("oms-test", disk, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("a small disk cannot be mounted here (%v): nothing is filled", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(disk, syscall.MNT_DETACH)) })
	log, data := logFile(t), filepath.Join(disk, "data")
	var said bytes.Buffer
	p := start(t, io.MultiWriter(log, &said), "up", "--data", data, "--http", "127.0.0.1:0")
	stock(t, p.HTTP, "p1", 100_000)
	var l ledger
	l.buy(t, p.HTTP, "before")

	room := fill(t, disk)
	var promised sync.Map // what was told 2xx, by key
	var refused atomic.Int64
	together(400, 16, func(i int) {
		key := fmt.Sprintf("full-%d", i)
		a, err := send("POST", p.HTTP+"/api/orders", order("p1", 1), "Idempotency-Key: "+key, "Prefer: wait=1")
		if err == nil && a.Status/100 == 2 {
			promised.Store(key, a)
		} else {
			refused.Add(1)
		}
	})
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		t.Error("it still runs")
		p.Kill()
	}
	if word := oneWord(t, said.String()); !strings.Contains(word, "no space left on device") || !strings.Contains(p.Wait().Error(), "exit status 1") {
		t.Errorf("it ended with %v and the word %q", p.Wait(), word)
	}
	if refused.Load() == 0 {
		t.Error("all was promised: the disk was not full")
	}
	room()

	p = up(t, log, data)
	kept := 0
	promised.Range(func(key, a any) bool {
		kept++
		l.orders[key.(string)] = a.(answer)
		return true
	})
	t.Logf("%d promised, %d refused", kept, refused.Load())
	for i := range 400 { // those that were refused are ordered now, or stand already
		l.buy(t, p.HTTP, fmt.Sprintf("full-%d", i))
	}
	l.buy(t, p.HTTP, "before")
	l.stands(t, p.HTTP)
	audited(t, p, "--ledger", filepath.Join(data, "sandbox", "ledger.jsonl"))
}

func TestAnOrderIsNotTakenWhileKafkaIsAway(t *testing.T) {
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("goes-away"))
	must(t, err)
	defer kafka.Close()
	p := start(t, logFile(t), "run", "--roles", "ingest,views,orders,products,customers", "--kafka", kafka.ListenAddrs()[0], "--http", "127.0.0.1:0", "--data", t.TempDir())
	stock(t, p.HTTP, "p1", 10)
	kafka.Close()
	for range 2 {
		a := call(t, "POST", p.HTTP+"/api/orders", order("p1", 1), "Prefer: wait=20").want(t, 503)
		if a.Header.Get("Retry-After") == "" || a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("headers %v, body %s", a.Header, a.Raw)
		}
	}
	call(t, "GET", p.HTTP+"/healthz", nil).want(t, 200) // it waits, and is not restarted for what is no fault of its own
}

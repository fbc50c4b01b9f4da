package chaos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"oms/internal/kafka/kafkatest"
)

// next builds this source as a later release would be: a command of the border, a request, a reply and the row of an order have a field more.
func next(t *testing.T) string {
	t.Helper()
	const root = "../.."
	dir := t.TempDir()
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && rel != "." || rel == "docs"):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		case !d.Type().IsRegular() || rel == "oms":
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), b, 0o644)
	}))
	released, err := filepath.Glob(filepath.Join(dir, "schemas", "released", "*.avsc"))
	must(t, err)
	for i, m := range []struct{ family, name, file string }{{"order", "PlaceOrder", "orders.go"}, {"order", "OrderRow", "rows.go"}, {"order", "PaymentReply", "orders.go"}, {"payment", "AuthorizePayment", "payments.go"}} {
		longer(t, dir, m.family, m.name, m.file, len(released)+1+i)
	}
	build := exec.Command("go", "build", "-o", "next", ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the next release: %v\n%s", err, out)
	}
	return filepath.Join(dir, "next")
}

// longer gives a message a field more, and releases its schema under the id.
func longer(t *testing.T, dir, family, name, file string, id int) {
	t.Helper()
	dir = filepath.Join(dir, "schemas")
	text, err := os.ReadFile(filepath.Join(dir, family, name+".avsc"))
	must(t, err)
	end := bytes.LastIndexByte(text, ']')
	schema := string(text[:end]) + `,{"name": "channel", "type": "string", "doc": "where it came from", "default": ""}` + string(text[end:])
	versions, err := filepath.Glob(filepath.Join(dir, "released", "*.oms."+family+"."+name+".v*.avsc"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "released", fmt.Sprintf("%04d.oms.%s.%s.v%d.avsc", id, family, name, len(versions)+1)), []byte(schema), 0o600))
	source, err := os.ReadFile(filepath.Join(dir, file))
	must(t, err)
	changed := regexp.MustCompile(`(?s)(type `+name+` struct \{.*?)\n\}`).ReplaceAll(source, []byte("$1\n\tChannel string `avro:\"channel\"`\n}"))
	if bytes.Equal(changed, source) {
		t.Fatalf("%s has no %s", file, name)
	}
	must(t, os.WriteFile(filepath.Join(dir, file), changed, 0o600))
}

// fleet is processes that a supervisor keeps running: who ends, however, comes back as the next release.
type fleet struct {
	t    *testing.T
	log  io.Writer
	next string

	mu      sync.Mutex
	running map[string]*Process
	upgrade map[string]bool // is the next release
	over    bool
	all     sync.WaitGroup
}

func (f *fleet) start(name, binary string, args ...string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 60*time.Second)
	defer cancel()
	p, err := Start(ctx, binary, f.log, args...)
	if err != nil {
		f.t.Fatal(err)
	}
	f.keep(name, binary, p, args)
}

func (f *fleet) keep(name, binary string, p *Process, args []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running[name], f.upgrade[name] = p, binary == f.next
	f.all.Go(func() {
		<-p.done
		for limit := time.Now().Add(60 * time.Second); time.Now().Before(limit); { // a start may fail, as any start of a supervisor's
			f.mu.Lock()
			over := f.over
			f.mu.Unlock()
			if over {
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			again, err := Start(ctx, f.next, f.log, args...)
			cancel()
			if err == nil {
				f.keep(name, f.next, again, args)
				return
			}
		}
		f.t.Errorf("%s did not come back", name)
	})
}

// end kills all and waits for their supervisors.
func (f *fleet) end() {
	f.mu.Lock()
	f.over = true
	for _, p := range f.running {
		go p.Kill()
	}
	f.mu.Unlock()
	f.all.Wait()
}

// old are the names of those that are no next release yet.
func (f *fleet) old() (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, upgraded := range f.upgrade {
		if !upgraded {
			names = append(names, name)
		}
	}
	return names
}

// A cluster is upgraded while orders flow: a first process of the next release beside the old ones, a kill of an old one that comes back as the next, and the rest as they step
// aside before what they cannot read.
func TestOldAndNewBuildsSideBySideLoseNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	settings, upgraded := kafkatest.Real(t), next(t)
	log, brokers, ledger, front := listen(t), settings.Brokers[0], filepath.Join(installation, "ledger"), address(t)
	sandbox := start(t, log, "sandbox", "--listen", "127.0.0.1:0", "--data", ledger)
	f := &fleet{t: t, log: log, next: upgraded, running: map[string]*Process{}, upgrade: map[string]bool{}}
	defer f.end()
	groups := func(name string) []string {
		return []string{"run", "--roles", "orders,products,customers", "--kafka", brokers, "--http", "127.0.0.1:0", "--instance", name, "--data", t.TempDir()}
	}
	f.start("front", binary, "run", "--roles", "ingest,views", "--kafka", brokers, "--http", front, "--instance", "front", "--keys", filepath.Join(installation, "keys"), "--data", t.TempDir())
	f.start("a", binary, groups("a")...)
	f.start("b", binary, groups("b")...)
	f.start("gateway", binary, "run", "--roles", "gateways", "--kafka", brokers, "--http", "127.0.0.1:0", "--instance", "gateway", "--data", t.TempDir(), "--sandbox", sandbox.Sandbox)
	s := sources(t)["generated"]
	want := calm(t, s)
	s.prepare(t, "http://"+front)
	go func() {
		<-time.After(time.Second) // in the middle of the load
		f.start("c", upgraded, groups("c")...)
		f.mu.Lock()
		a := f.running["a"]
		f.mu.Unlock()
		a.Kill()
	}()
	got, client := loadUntil(t.Context(), t, log, "http://"+front, s)
	sameOutcomes(t, want, got)
	aside := log.count("run that build here too")
	within(t, time.Minute, "who meets a row of the next release steps aside", func() bool { return len(f.old()) == 0 || aside > 0 && log.count("run that build here too") >= aside })
	for _, name := range f.old() {
		f.mu.Lock()
		p := f.running[name]
		f.mu.Unlock()
		p.Kill()
	}
	within(t, time.Minute, "all are the next release", func() bool { return len(f.old()) == 0 })
	place := call(t, "POST", "http://"+front+"/api/orders", order("p1", 1), "Prefer: wait=30").want(t, 201)
	if place.Body["status"] != "CONFIRMED" {
		t.Errorf("by the next release: %s", place.Raw)
	}
	out, err := exec.Command(upgraded, "audit", "--kafka", brokers, "--ledger", filepath.Join(ledger, "sandbox", "ledger.jsonl"), "--client", client).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 0 violations, 0 dead letters") && !strings.Contains(string(out), "\n0 violations, 0 dead letters") {
		t.Errorf("the audit: %v\n%s", err, out)
	}
	t.Logf("%d stepped aside", log.count("run that build here too"))
}

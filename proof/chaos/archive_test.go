package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oms/internal/kafka/apache"
)

// archiving is a shop whose inboxes are archived while orders flow, by runs some of which are killed.
type archiving struct {
	t         *testing.T
	p         *Process
	dir       string
	shoppers  *shoppers
	arguments []string // of an audit
}

func (a *archiving) archive(args ...string) {
	a.t.Helper()
	if out, err := runs(a.t, append([]string{"archive", a.dir, "--older-than", "0s"}, args...)...); err != nil {
		a.t.Fatal(err, out)
	}
}

// kills some runs at moments that the seed draws.
func (a *archiving) kills(n int) {
	a.t.Helper()
	dice := seed(a.t)
	for range n {
		cmd := exec.Command(binary, "archive", a.dir, "--older-than", "0s", "--kafka", a.p.Kafka)
		must(a.t, cmd.Start())
		time.Sleep(time.Duration(dice.IntN(400)) * time.Millisecond) // a moment like any other
		_ = cmd.Process.Kill()                                       // or it has ended
		_ = cmd.Wait()
	}
}

// audited with the archive.
func (a *archiving) audited() {
	a.t.Helper()
	a.t.Logf("audit: %s", audited(a.t, a.p, append([]string{"--archive", a.dir}, a.arguments...)...))
}

// refused without it.
func (a *archiving) refused() {
	a.t.Helper()
	if out, err := runs(a.t, "audit", "--kafka", a.p.Kafka); err == nil || !strings.Contains(out, "oms.order.commands/") || !strings.Contains(out, "the laws can only be checked from the first record on") {
		a.t.Errorf("without the archive: %v, said %q", err, out)
	}
}

// flow of orders, with kills of archives among them.
func (a *archiving) flow() {
	a.t.Helper()
	a.shoppers = buying(a.t.Context(), a.t, a.p.HTTP, 600, false)
	a.kills(15)
	a.archive("--kafka", a.p.Kafka)
	a.kills(5)
	a.shoppers.home()
	a.arguments = append(a.arguments, "--client", a.shoppers.record)
	a.archive("--kafka", a.p.Kafka)
	a.audited()
	a.refused()
}

func TestAnArchivedShopIsWhole(t *testing.T) {
	log, data := logFile(t), t.TempDir()
	p := start(t, log, "up", "--no-analytics", "--data", data, "--http", "127.0.0.1:0")
	a := &archiving{t: t, p: p, dir: filepath.Join(t.TempDir(), "archive"), arguments: []string{"--ledger", filepath.Join(data, "sandbox", "ledger.jsonl")}}
	a.flow()
	if out, err := runs(t, "archive", a.dir, "--data", data); err == nil || !strings.Contains(out, "name the broker of the running shop with --kafka") {
		t.Errorf("beside a running shop: %v, said %q", err, out)
	}
	var l ledger
	dice := seed(t)
	for i := range 6 { // the broker is killed under it, which brings some of what was removed back
		if i == 0 {
			stock(t, a.p.HTTP, "p1", 10)
		}
		l.buy(t, a.p.HTTP, fmt.Sprint("order ", i))
		run := exec.Command(binary, "archive", a.dir, "--older-than", "0s", "--kafka", a.p.Kafka)
		must(t, run.Start())
		time.Sleep(time.Duration(dice.IntN(200)) * time.Millisecond) // a moment like any other
		a.p.Kill()
		_ = run.Process.Kill() // it would wait for the broker
		_ = run.Wait()
		a.p = start(t, log, "up", "--no-analytics", "--data", data, "--http", "127.0.0.1:0")
		l.stands(t, a.p.HTTP)
		a.audited()
	}
	must(t, a.p.Stop())
	a.archive("--data", data)
	a.p = start(t, log, "up", "--no-analytics", "--data", data, "--http", "127.0.0.1:0")
	l.stands(t, a.p.HTTP)
	a.audited()
	a.refused()
	must(t, a.p.Stop())
}

func TestAnArchivedShopOnARealKafkaIsWhole(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	// One of its own: other tests audit the shared one from the first record on.
	k, err := apache.Start(t.Context(), apache.Config{Jars: os.Getenv("OMS_KAFKA_JARS"), Dir: t.TempDir()})
	if errors.Is(err, apache.ErrMissing) {
		t.Skip(err) // it says which jars are missing
	}
	must(t, err)
	t.Cleanup(func() { must(t, k.Kill()) })
	log, data := logFile(t), t.TempDir()
	p := start(t, log, "up", "--no-analytics", "--data", data, "--http", "127.0.0.1:0", "--kafka", k.Settings.Brokers[0])
	a := &archiving{t: t, p: p, dir: filepath.Join(t.TempDir(), "archive"), arguments: []string{"--ledger", filepath.Join(data, "sandbox", "ledger.jsonl")}}
	a.flow()
	must(t, p.Stop(), k.Kill(), k.Again(t.Context()))
	a.p = start(t, log, "up", "--no-analytics", "--data", data, "--http", "127.0.0.1:0", "--kafka", k.Settings.Brokers[0])
	a.audited()
	must(t, a.p.Stop())
}

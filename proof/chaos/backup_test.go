package chaos

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runs the binary to its end and answers what it said.
func runs(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(binary, args...).CombinedOutput()
	return string(out), err
}

func TestABackupUnderLoadIsAWholeShop(t *testing.T) {
	log, data, dice := logFile(t), t.TempDir(), seed(t)
	p := start(t, log, "up", "--no-analytics", "--data", data, "--http", "127.0.0.1:0")
	s := buying(t.Context(), t, p.HTTP, 300, false)
	var copies []string
	for i := range 3 {
		time.Sleep(time.Second + time.Duration(dice.IntN(1000))*time.Millisecond) // a moment like any other
		copies = append(copies, filepath.Join(t.TempDir(), "copy"))
		out, err := runs(t, "backup", "--data", data, copies[i])
		if err != nil {
			t.Fatal(err, out)
		}
		t.Log(strings.TrimSpace(out))
	}
	for range 10 { // whoever makes a backup may be killed, also while the shop is paused
		cmd := exec.Command(binary, "backup", "--data", data, filepath.Join(t.TempDir(), "copy"))
		must(t, cmd.Start())
		time.Sleep(time.Duration(dice.IntN(60)) * time.Millisecond)
		_ = cmd.Process.Kill() // or it has ended
		_ = cmd.Wait()
		call(t, "GET", p.HTTP+"/readyz", nil).want(t, 200)
	}
	s.home()
	audited(t, p, "--ledger", filepath.Join(data, "sandbox", "ledger.jsonl"), "--client", s.record)
	must(t, p.Stop())
	copies = append(copies, filepath.Join(t.TempDir(), "copy"))
	if out, err := runs(t, "backup", "--data", data, copies[3]); err != nil {
		t.Fatal(err, out)
	}
	for _, copied := range copies {
		again := filepath.Join(t.TempDir(), "data")
		if out, err := runs(t, "restore", copied, "--data", again); err != nil {
			t.Fatal(err, out)
		}
		q := start(t, log, "up", "--no-analytics", "--data", again, "--http", "127.0.0.1:0")
		stock(t, q.HTTP, "p1", 10)
		var l ledger
		l.buy(t, q.HTTP, "after")
		l.stands(t, q.HTTP)
		t.Logf("audit: %s", audited(t, q, "--ledger", filepath.Join(again, "sandbox", "ledger.jsonl")))
		must(t, q.Stop())
	}
}

func TestABackupIsPutBackWholeOrNotAtAll(t *testing.T) {
	log, data := logFile(t), t.TempDir()
	p := start(t, log, "up", "--no-analytics", "--data", data, "--http", "127.0.0.1:0")
	stock(t, p.HTTP, "p1", 10)
	must(t, p.Stop())
	copied, again := filepath.Join(t.TempDir(), "copy"), filepath.Join(t.TempDir(), "data")
	if out, err := runs(t, "backup", "--data", data, copied); err != nil {
		t.Fatal(err, out)
	}
	refused := func(why string, args ...string) {
		t.Helper()
		if out, err := runs(t, args...); err == nil || !strings.Contains(out, why) {
			t.Errorf("oms %s: %v, said %q, want %q", strings.Join(args, " "), err, out, why)
		}
		if _, err := os.Stat(filepath.Join(again, "kafka")); err == nil {
			t.Error("something was put back")
		}
	}
	refused("is empty or not there yet", "backup", "--data", data, copied)
	refused("is empty or not there yet", "restore", copied, "--data", data)
	refused("no shop with an embedded broker", "backup", "--data", t.TempDir(), filepath.Join(t.TempDir(), "copy"))
	refused("is no backup, or one that was not finished", "restore", t.TempDir(), "--data", again)
	segment := under(t, filepath.Join(copied, "kafka"), ".dat")[0]
	b, err := os.ReadFile(segment)
	must(t, err, os.WriteFile(segment, flipped(bytes.Clone(b)), 0o600))
	refused("is damaged", "restore", copied, "--data", again)
	must(t, os.WriteFile(segment, b, 0o600))
	if out, err := runs(t, "restore", copied, "--data", again); err != nil {
		t.Fatal(err, out)
	}
	q := start(t, log, "up", "--no-analytics", "--data", again, "--http", "127.0.0.1:0")
	call(t, "GET", q.HTTP+"/api/inventory/p1", nil).want(t, 200)
	must(t, q.Stop())
}

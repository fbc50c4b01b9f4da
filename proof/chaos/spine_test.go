package chaos

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestTwoHundredBuyersCannotBuyMoreThanFiftyUnits(t *testing.T) {
	log, data := logFile(t), t.TempDir()
	p := up(t, log, data)
	stock(t, p.HTTP, "last-units", 50)
	var confirmed, refused, other atomic.Int64
	together(200, 64, func(i int) {
		a, err := send("POST", p.HTTP+"/api/orders", order("last-units", 1), fmt.Sprintf("Idempotency-Key: buyer-%d", i), "Prefer: wait=20")
		switch {
		case err == nil && a.Status == 201 && a.Body["status"] == "CONFIRMED":
			confirmed.Add(1)
		case err == nil && a.Status == 201 && a.Body["status"] == "REJECTED" && strings.Contains(a.Raw, "OUT_OF_STOCK"):
			refused.Add(1)
		default:
			other.Add(1)
			t.Logf("buyer %d: %v %d %s", i, err, a.Status, a.Raw)
		}
	})
	if confirmed.Load() != 50 || refused.Load() != 150 || other.Load() != 0 {
		t.Errorf("%d confirmed, %d refused for stock, %d else; want 50, 150, 0", confirmed.Load(), refused.Load(), other.Load())
	}
	level := call(t, "GET", p.HTTP+"/api/inventory/last-units", nil).want(t, 200)
	if level.Body["available"] != 0.0 || level.Body["reserved"] != 50.0 || level.Body["on_hand"] != 50.0 {
		t.Errorf("stock at the end: %s", level.Raw)
	}
	audited(t, p, "--ledger", filepath.Join(data, "sandbox", "ledger.jsonl"))
}

func TestOnePlaceOrderSentTenTimesAndAfterARestartIsOneOrder(t *testing.T) {
	log, data := logFile(t), t.TempDir()
	p := up(t, log, data)
	stock(t, p.HTTP, "p1", 100)
	answers := make([]answer, 10)
	together(10, 10, func(i int) {
		answers[i], _ = send("POST", p.HTTP+"/api/orders", order("p1", 2), "Idempotency-Key: same", "Prefer: wait=20")
	})
	p.Kill()
	p = up(t, log, data)
	answers = append(answers, call(t, "POST", p.HTTP+"/api/orders", order("p1", 2), "Idempotency-Key: same", "Prefer: wait=20"))
	replayed := 0
	for i, a := range answers {
		if a.Status != 201 || a.Body["order_id"] != answers[0].Body["order_id"] || a.Body["placed_at"] != answers[0].Body["placed_at"] ||
			fmt.Sprint(a.Body["lines"]) != fmt.Sprint(answers[0].Body["lines"]) || a.Header.Get("Location") != answers[0].Header.Get("Location") {
			t.Errorf("answer %d: %d %s\nwas first %d %s", i, a.Status, a.Raw, answers[0].Status, answers[0].Raw)
		}
		if a.Header.Get("Idempotent-Replayed") == "true" {
			replayed++
		}
	}
	if replayed != 10 {
		t.Errorf("%d of 11 answers say that they are repetitions, want 10", replayed)
	}
	call(t, "POST", p.HTTP+"/api/orders", order("p1", 3), "Idempotency-Key: same").want(t, 422)
	if level := call(t, "GET", p.HTTP+"/api/inventory/p1", nil).want(t, 200); level.Body["reserved"] != 2.0 {
		t.Errorf("reserved: %s", level.Raw)
	}
	audited(t, p)
}

// Everything that names a person is sealed before it is written anywhere.
func TestNoPersonalDataIsWrittenInPlain(t *testing.T) {
	log, data := logFile(t), t.TempDir()
	p := start(t, log, "--log", "debug", "up", "--data", data, "--http", "127.0.0.1:0")
	stock(t, p.HTTP, "p1", 10)
	marks := []string{"Zyxwvut", "qqmarked", "Schnabelweg", "5550199887"}
	c := call(t, "POST", p.HTTP+"/api/customers", map[string]any{"email": "qqmarked@example.org", "name": "Zyxwvut Marked", "phone": "+435550199887", "password": "correct horse battery",
		"address": map[string]any{"line1": "Schnabelweg 7", "city": "Graz", "postal_code": "8010", "country": "AT"}}).want(t, 201)
	o := order("p1", 1)
	o["customer_id"] = c.Body["customer_id"]
	o["shipping_address"] = map[string]any{"name": "Zyxwvut Marked", "line1": "Schnabelweg 7", "city": "Graz", "postal_code": "8010", "country": "AT", "phone": "+435550199887"}
	placed := call(t, "POST", p.HTTP+"/api/orders", o, "Prefer: wait=20").want(t, 201)
	seen := call(t, "GET", p.HTTP+"/api/customers/"+c.Body["customer_id"].(string), nil).want(t, 200)
	if !strings.Contains(seen.Raw, "Zyxwvut") {
		t.Errorf("the staff cannot read the customer: %s", seen.Raw)
	}
	call(t, "GET", p.HTTP+placed.Header.Get("Location"), nil).want(t, 200)
	if err := p.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	files, bytesRead := 0, int64(0)
	look := func(path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files, bytesRead = files+1, bytesRead+int64(len(b))
		for _, mark := range marks {
			if bytes.Contains(b, []byte(mark)) {
				t.Errorf("%s holds %q in plain", path, mark)
			}
		}
	}
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() { // the engine's links lead to directories that are in the tree themselves
			look(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	look(log.Name())
	if files < 20 || bytesRead < 10_000 {
		t.Errorf("looked at %d files, %d bytes: too little to mean anything", files, bytesRead)
	}
}

func TestSIGTERMEndsItCleanlyAndTheNextStartGoesOn(t *testing.T) {
	log, data := logFile(t), t.TempDir()
	p := up(t, log, data)
	stock(t, p.HTTP, "p1", 10)
	first := call(t, "POST", p.HTTP+"/api/orders", order("p1", 1), "Prefer: wait=20").want(t, 201)
	if err := p.Stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	p = up(t, log, data)
	again := call(t, "GET", p.HTTP+first.Header.Get("Location"), nil).want(t, 200)
	if again.Body["status"] != "CONFIRMED" {
		t.Errorf("after a restart: %s", again.Raw)
	}
	call(t, "GET", p.HTTP+"/readyz", nil).want(t, 200)
}

func TestAStopWhileItStartsIsNoFailure(t *testing.T) {
	cmd := exec.Command(binary, "up", "--data", t.TempDir(), "--http", "127.0.0.1:0")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(said)
	first, err := lines.ReadString('\n') // its broker is up, and the topics are being made
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(lines)
	if err := cmd.Wait(); err != nil || !strings.Contains(first, "embedded broker") {
		t.Errorf("ended with %v; it said:\n%s%s", err, first, rest)
	}
}

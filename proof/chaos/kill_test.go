package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// kills is how often the long tests pull the plug; OMS_KILLS raises it.
func kills(t *testing.T, usual int) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("OMS_KILLS"))
	if os.Getenv("OMS_KILLS") == "" {
		return usual
	}
	if err != nil || n < 1 {
		t.Fatalf("OMS_KILLS is %q: want a number, 1 or more", os.Getenv("OMS_KILLS"))
	}
	return n
}

// freeAddress is a loopback address that nobody listens on, for a server that must come back under the same one.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// orderFile writes n orders whose outcome does not depend on what runs beside them: there is stock for all, some cards are declined, some products do not exist.
func orderFile(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orders.jsonl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	defer w.Flush()
	enc := json.NewEncoder(w)
	for i := range n {
		o := order(fmt.Sprintf("p%d", i%20), int64(1+i%3))
		o["idempotency_key"] = fmt.Sprintf("doc-%d", i)
		if i%10 == 3 {
			o["payment"] = map[string]any{"method": "CARD", "token": "tok_decline"}
		}
		if i%25 == 7 {
			o["lines"] = append(o["lines"].([]any), map[string]any{"product_id": "nobody-sells-this", "quantity": 1})
		}
		if err := enc.Encode(o); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// source is what a loader is told to load.
type source struct {
	args      []string
	documents int
	prepare   func(t *testing.T, server string)
}

// generated orders, or the real ones of a wholesaler where they are at hand.
func sources(t *testing.T) map[string]source {
	t.Helper()
	n := 1_500
	if testing.Short() {
		n = 300
	}
	all := map[string]source{"generated": {args: []string{orderFile(t, n)}, documents: n, prepare: func(t *testing.T, server string) {
		for i := range 20 {
			stock(t, server, fmt.Sprintf("p%d", i), 1_000_000)
		}
	}}}
	shared := os.Getenv("OMS_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	if dir := filepath.Join(shared, "data", "uci-online-retail"); !testing.Short() && exists(dir) {
		all["uci-online-retail"] = source{args: []string{"--format", "uci-online-retail", dir}, documents: 5_000, prepare: func(*testing.T, string) {}}
	} else {
		t.Log("the real orders of ../shared/data are not at hand: generated ones only")
	}
	return all
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// load runs the loader to its end and answers the outcome of each document by its key, and the summary.
func load(t *testing.T, log io.Writer, server string, s source) (byKey map[string]string, client string) {
	t.Helper()
	client = filepath.Join(t.TempDir(), "client.jsonl")
	cmd := exec.Command(binary, append([]string{"load", "--server", server, "--record", client, "-o", "json"}, s.args...)...)
	cmd.Stderr = log
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("the loader failed: %v\n%s", err, out)
		return nil, client
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var sum struct {
		Documents int            `json:"documents"`
		Outcomes  map[string]int `json:"outcomes"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &sum); err != nil {
		t.Errorf("the loader's last line is no JSON object: %v\n%s", err, out)
	}
	total := 0
	for _, n := range sum.Outcomes {
		total += n
	}
	if sum.Documents != s.documents || total != s.documents {
		t.Errorf("%d documents, %d outcomes, want %d: %v", sum.Documents, total, s.documents, sum.Outcomes)
	}
	t.Logf("outcomes: %v", sum.Outcomes)
	return outcomes(t, client), client
}

// outcomes reads what the client was told last about each document.
func outcomes(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	byKey := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var told struct{ Key, Outcome string }
		if err := json.Unmarshal(lines.Bytes(), &told); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if told.Outcome != "" {
			byKey[told.Key] = told.Outcome
		}
	}
	return byKey
}

func TestKillNineUnderLoadChangesNoOutcome(t *testing.T) {
	for name, s := range sources(t) {
		t.Run(name, func(t *testing.T) {
			log := logFile(t)
			calm := up(t, log, t.TempDir())
			s.prepare(t, calm.HTTP)
			want, _ := load(t, log, calm.HTTP, s)
			calm.Kill()

			data, address := t.TempDir(), freeAddress(t)
			again := func() *Process { return start(t, log, "up", "--data", data, "--http", address) }
			p := again()
			s.prepare(t, p.HTTP)
			stop := make(chan struct{})
			killed := make(chan int)
			go func() { // pulls the plug at random moments until the loader is done
				n, dice := 0, rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
				for n < kills(t, 5) {
					select {
					case <-stop:
						killed <- n
						return
					case <-time.After(time.Duration(50+dice.IntN(700)) * time.Millisecond):
						p.Kill()
						n++
						p = again()
					}
				}
				killed <- n
			}()
			got, client := load(t, log, "http://"+address, s)
			close(stop)
			t.Logf("killed %d times under load", <-killed)
			different := 0
			for key, w := range want {
				if got[key] != w {
					if different++; different <= 5 {
						t.Errorf("document %s: %q without kills, %q with", key, w, got[key])
					}
				}
			}
			if different > 0 || len(want) == 0 {
				t.Errorf("%d of %d documents have another outcome", different, len(want))
			}
			t.Logf("audit: %s", audit(t, p, "--ledger", filepath.Join(data, "sandbox", "ledger.jsonl"), "--client", client))
		})
	}
}

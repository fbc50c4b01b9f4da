package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
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
		o["idempotency_key"] = fmt.Sprintf("%s-%d", t.Name(), i) // tests that share a Kafka must not meet each other's
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
		n = 600
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

// loaded runs the loader to its end and answers the outcome of each document by its key, and the summary.
func loaded(t *testing.T, log io.Writer, server string, s source) (byKey map[string]string, client string) {
	t.Helper()
	return loadUntil(t.Context(), t, log, server, s)
}

// loadUntil is loaded that gives up when the context ends: the loader itself waits for its server for a long time.
func loadUntil(ctx context.Context, t *testing.T, log io.Writer, server string, s source) (byKey map[string]string, client string) {
	t.Helper()
	client = filepath.Join(t.TempDir(), "client.jsonl")
	cmd := exec.CommandContext(ctx, binary, append([]string{"load", "--server", server, "--record", client, "-o", "json"}, s.args...)...)
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

// calm answers the outcomes of a source on a system that nobody kills, by document; once per source.
func calm(t *testing.T, s source) map[string]string {
	t.Helper()
	name := strings.Join(s.args, " ")
	if known := calmly[name]; known != nil {
		return known
	}
	log := logFile(t)
	p := up(t, log, t.TempDir())
	s.prepare(t, p.HTTP)
	byKey, _ := loaded(t, log, p.HTTP, s)
	p.Kill()
	if len(byKey) != s.documents {
		t.Fatalf("without kills %d of %d documents have an outcome", len(byKey), s.documents)
	}
	calmly[name] = byKey
	return byKey
}

var calmly = map[string]map[string]string{}

// sameOutcomes compares document by document.
func sameOutcomes(t *testing.T, want, got map[string]string) {
	t.Helper()
	different := 0
	differ := func(key string) {
		if different++; different <= 5 {
			t.Errorf("document %s: %q without kills, %q with", key, want[key], got[key])
		}
	}
	for key, w := range want {
		if got[key] != w {
			differ(key)
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			differ(key)
		}
	}
	if different > 0 {
		t.Errorf("%d of %d documents have another outcome", different, len(want))
	}
}

// crew is processes that are killed and come back with the same arguments.
type crew struct {
	t       *testing.T // they end with it
	log     io.Writer
	args    [][]string
	running []*Process
}

func newCrew(t *testing.T, log io.Writer, args ...[]string) *crew {
	t.Helper()
	c := &crew{t: t, log: log, args: args}
	for _, a := range args {
		c.running = append(c.running, start(t, log, a...))
	}
	return c
}

// again replaces a member that is gone.
func (c *crew) again(i int) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), 60*time.Second)
	defer cancel()
	p, err := Start(ctx, binary, c.log, c.args[i]...)
	if err == nil {
		c.t.Cleanup(func() { bury(c.t, p) })
		c.running[i] = p
	}
	return err
}

// haunt kills members at random moments, all of them equally often, up to n times. The context that it answers ends when one
// does not come back. The end stops it and answers how often each was killed.
func (c *crew) haunt(t *testing.T, n int, longest time.Duration) (alive context.Context, end func() []int) {
	alive, broken := context.WithCancel(t.Context())
	stop, done := make(chan struct{}), make(chan []int, 1)
	go func() {
		defer broken()
		killed := make([]int, len(c.args))
		defer func() { done <- killed }()
		var turns []int
		for range n {
			select {
			case <-stop:
				return
			case <-time.After(50*time.Millisecond + rand.N(longest)):
			}
			if len(turns) == 0 {
				turns = rand.Perm(len(c.args))
			}
			i := turns[0]
			turns = turns[1:]
			c.running[i].Kill()
			killed[i]++
			if err := c.again(i); err != nil {
				t.Errorf("after kill %v: %v", killed, err)
				return
			}
		}
		<-stop
	}()
	return alive, func() []int {
		close(stop)
		return <-done
	}
}

func TestKillNineUnderLoadChangesNoOutcome(t *testing.T) {
	for name, s := range sources(t) {
		t.Run(name, func(t *testing.T) {
			want := calm(t, s)
			log, data, address := logFile(t), t.TempDir(), address(t)
			c := newCrew(t, log, []string{"up", "--data", data, "--http", address})
			s.prepare(t, "http://"+address)
			alive, end := c.haunt(t, kills(t, 5), 100*time.Millisecond) // the load takes a multiple of that
			got, client := loadUntil(alive, t, log, "http://"+address, s)
			killed := end()
			t.Logf("killed under load: %v", killed)
			if killed[0] == 0 {
				t.Error("nothing was killed: the load was over too soon")
			}
			sameOutcomes(t, want, got)
			t.Logf("audit: %s", audited(t, c.running[0], "--ledger", filepath.Join(data, "sandbox", "ledger.jsonl"), "--client", client))
		})
	}
}

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"oms/internal/clickhouse"
	"oms/internal/clickhouse/clickhousetest"
	"oms/internal/kafka"
	"oms/proof/load"
	"oms/proof/workload"
	"oms/topics"
)

// until waits for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	within(t, 2*time.Minute, what, is)
}

// within looks again and again: most conditions lie in other processes, which tell nobody when they change.
func within(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %s it is still not so that %s", limit, what)
		}
	}
}

// heard is what processes have printed, to be asked about while they run.
type heard struct {
	mu   sync.Mutex
	to   io.Writer
	text bytes.Buffer
}

func listen(t *testing.T) *heard { return &heard{to: logFile(t)} }

func (w *heard) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(b)
	return w.to.Write(b)
}

func (w *heard) count(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.text.String(), what)
}

// reader is the address for who may only read, as the last line about it says.
func (w *heard) reader() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, last, _ := strings.Cut(w.text.String()[max(0, strings.LastIndex(w.text.String(), "analytics clickhouse=")):], "analytics clickhouse=")
	at, _, _ := strings.Cut(last, " ")
	return at
}

// asking is of ClickHouse: it is nicer than all else here, and on a loaded machine a mutation takes a quarter of a second a part.
var asking = &http.Client{Timeout: 5 * time.Minute}

// ask a ClickHouse over plain HTTP; the answer is tab-separated.
func ask(address, query string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("no address %q: %v", address, err)
	}
	database := strings.Trim(u.Path, "/")
	u.Path, u.RawQuery = "/", url.Values{"database": {database}}.Encode()
	res, err := asking.Post(u.String(), "text/plain", strings.NewReader(query))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", res.StatusCode, b)
	}
	return strings.TrimSpace(string(b)), err
}

func mustAsk(t *testing.T, address, query string) string {
	t.Helper()
	said, err := ask(address, query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return said
}

func number(t *testing.T, address, query string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(mustAsk(t, address, query), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// full is the address of the engine on a data directory for who may do everything.
func full(t *testing.T, data string) string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(data, "clickhouse", "*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("engines of %s: %v %v", data, dirs, err)
	}
	endpoint, err := clickhouse.ReadEndpoint(dirs[0])
	must(t, err)
	address, err := endpoint.FullURL()
	must(t, err)
	return address
}

// condition of the sink, as /readyz tells it.
type condition struct {
	State  string `json:"state"`
	Behind int64  `json:"behind_offsets"`
	Error  string `json:"error"`
}

// looks asks a process how its sink is; empty while it does not answer.
func looks(server string) condition {
	a, err := send("GET", server+"/readyz", nil)
	var told struct{ Analytics condition }
	if err != nil || json.Unmarshal([]byte(a.Raw), &told) != nil {
		return condition{}
	}
	return told.Analytics
}

// filledFrom is which table is filled from which topics.
var filledFrom = map[string][]topics.Topic{
	"order_events": {topics.OrderEvents}, "order_lines": {topics.OrderEvents}, "payments": {topics.PaymentEvents}, "stock_movements": {topics.InventoryEvents},
	"stock_alerts": {topics.InventoryEvents}, "products": {topics.ProductEvents}, "orders_now": {topics.OrdersTable},
	"dead_letters": {topics.OrderEvents, topics.PaymentEvents, topics.InventoryEvents, topics.ProductEvents, topics.OrdersTable},
}

// facts are the tables of which every row stays.
var facts = []string{"order_events", "order_lines", "payments", "stock_movements", "stock_alerts", "dead_letters"}

// caughtUp waits until every table stands where the topics end now.
func caughtUp(t *testing.T, broker string, address func() string) {
	t.Helper()
	var names []string
	for _, topic := range filledFrom["dead_letters"] {
		names = append(names, topic.Name)
	}
	r, err := kafka.Settings{Brokers: []string{broker}}.NewReader(t.Context(), kafka.From{End: true}, names...)
	must(t, err)
	ends := r.Next()
	r.Close()
	lacks := ""
	defer func() {
		if lacks != "" {
			t.Log(lacks)
		}
	}()
	until(t, "the tables stand at the end of the topics", func() bool {
		said, err := ask(address(), "SELECT table_name, topic, partition, next_offset FROM sink_offsets FINAL WHERE state = 'done' FORMAT TSV")
		if err != nil {
			lacks = err.Error()
			return false
		}
		at := map[string]int64{}
		for line := range strings.Lines(said) {
			f := strings.Fields(line)
			at[strings.Join(f[:3], " ")], _ = strconv.ParseInt(f[3], 10, 64)
		}
		for table, sources := range filledFrom {
			for _, topic := range sources {
				for p, end := range ends[topic.Name] {
					if key := fmt.Sprintf("%s %s %d", table, topic.Name, p); at[key] < end {
						lacks = fmt.Sprintf("%s stands at %d of %d", key, at[key], end)
						return false
					}
				}
			}
		}
		lacks = ""
		return true
	})
}

// verdict of oms analytics verify about one table.
type verdict struct {
	Table      string
	Rows       uint64
	Different  int
	First      string `json:"first_difference"`
	Duplicates uint64
}

// verify runs oms analytics verify and answers what it says about each table.
func verify(t *testing.T, args ...string) (all []verdict, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(binary, append([]string{"analytics", "verify", "-o", "json"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	var report struct{ Tables []verdict }
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || len(report.Tables) != len(filledFrom) {
		t.Fatalf("verify ended with %v and said %s%s", cmd.ProcessState, out.String(), errs.String())
	}
	return report.Tables, cmd.ProcessState.ExitCode()
}

// equal demands that verify finds no difference, and that no row stands twice.
func equal(t *testing.T, address string, args ...string) {
	t.Helper()
	all, status := verify(t, args...)
	if status != 0 {
		t.Errorf("verify ended with status %d", status)
	}
	for _, v := range all {
		if v.Different > 0 {
			t.Error(v.First)
		}
	}
	for _, table := range facts {
		if n := number(t, address, fmt.Sprintf("SELECT (SELECT count() FROM %[1]s) - (SELECT count() FROM %[1]s FINAL)", table)); n != 0 {
			t.Errorf("%s: %d rows came twice", table, n)
		}
	}
}

// unmerged keeps ClickHouse from merging parts, so that a row that came twice is seen. It outlives a restart.
func unmerged(t *testing.T, address string) {
	t.Helper()
	for _, table := range facts {
		mustAsk(t, address, "ALTER TABLE "+table+" MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1, parts_to_throw_insert = 30000, parts_to_delay_insert = 30000")
	}
}

// steady hands out documents at a rate until there have been enough. The catalogue comes at once.
func steady(documents iter.Seq2[workload.Document, error], rate int, enough <-chan struct{}) iter.Seq2[workload.Document, error] {
	return func(yield func(workload.Document, error) bool) {
		due := time.Now()
		for d, err := range documents {
			if err == nil && d.Action != workload.Open {
				due = due.Add(time.Second / time.Duration(rate))
				if late := time.Since(due); late > time.Second {
					due = due.Add(late) // what did not flow while nobody took it is not made up for
				}
			}
			select {
			case <-enough:
				return
			case <-time.After(time.Until(due)):
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

// shoppers place orders until they are told to go home.
type shoppers struct {
	t       *testing.T
	enough  chan struct{}
	done    chan struct{}
	sum     load.Summary
	err     error
	record  string
	started time.Time
}

// buying sends shoppers with the orders of a generated shop, and before them the documents of a wholesaler where they are at hand.
func buying(ctx context.Context, t *testing.T, server string, rate int, real bool) *shoppers {
	t.Helper()
	s := &shoppers{t: t, enough: make(chan struct{}), done: make(chan struct{}), record: filepath.Join(t.TempDir(), "client.jsonl"), started: time.Now()}
	f, err := os.Create(s.record)
	must(t, err)
	generated := workload.NewShop(workload.Shop{Seed: 1, Products: 60, OnHand: 400, Prefix: strings.ToLower(t.Name()[4:12]) + fmt.Sprint(time.Now().UnixMilli()) + "-"}).Documents(0, 10_000_000)
	documents := generated
	if shared := sources(t)["uci-online-retail"]; real && shared.documents > 0 {
		documents = func(yield func(workload.Document, error) bool) {
			for _, part := range []iter.Seq2[workload.Document, error]{workload.UCI(shared.args[len(shared.args)-1]), generated} {
				for d, err := range part {
					if !yield(d, err) {
						return
					}
				}
			}
		}
	}
	go func() {
		defer close(s.done)
		defer f.Close()
		s.sum, s.err = load.Run(ctx, load.Config{Server: server, Documents: steady(documents, rate, s.enough), Workers: 48, Patience: 3 * time.Minute, Record: workload.NewRecord(f)})
	}()
	return s
}

// home waits until what they have begun has its outcome.
func (s *shoppers) home() {
	s.t.Helper()
	close(s.enough)
	<-s.done
	must(s.t, s.err)
	if n := s.sum.Undecided(); n > 0 {
		s.t.Errorf("%d documents have no outcome", n)
	}
}

// told are the ids of the orders that the shoppers were told of.
func (s *shoppers) told() map[string]bool {
	s.t.Helper()
	b, err := os.ReadFile(s.record)
	must(s.t, err)
	all := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		var told workload.Told
		must(s.t, json.Unmarshal([]byte(line), &told))
		if told.OrderID != "" {
			all[told.OrderID] = true
		}
	}
	return all
}

// present demands that ClickHouse has each order that somebody was told of, once; and answers how many.
func (s *shoppers) present(address string) int {
	s.t.Helper()
	times := map[string]int{}
	for id := range strings.Lines(mustAsk(s.t, address, "SELECT order_id FROM order_events WHERE type = 'OrderCreated' FORMAT TSV")) {
		times[strings.TrimSpace(id)]++
	}
	missing, twice := 0, 0
	for id := range s.told() {
		switch n := times[id]; {
		case n == 0:
			missing++
		case n > 1:
			twice++
		}
	}
	if missing+twice > 0 {
		s.t.Errorf("of %d orders that somebody was told of, ClickHouse lacks %d and has %d twice", len(s.told()), missing, twice)
	}
	return len(s.told())
}

// engineOf is the process of the engine that a process holds; 0: there is none now.
func engineOf(parent int) int {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(rest); len(f) < 2 || f[0] == "Z" || f[1] != strconv.Itoa(parent) {
			continue
		}
		if words, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline")); bytes.Contains(words, []byte("clickhouse-engine")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid
		}
	}
	return 0
}

// seed of what is random in a test; OMS_SEED repeats one.
func seed(t *testing.T) *rand.Rand {
	t.Helper()
	n, err := strconv.ParseUint(os.Getenv("OMS_SEED"), 10, 64)
	if err != nil {
		n = rand.Uint64()
	}
	t.Logf("OMS_SEED=%d repeats the moments", n)
	return rand.New(rand.NewPCG(n, 0))
}

// The process that has everything, its engine, and both at once are killed at random moments while orders flow. Merges are off: what came twice would be seen.
func TestKillNineOfSinkAndEngineLosesAndDoublesNoRow(t *testing.T) {
	clickhousetest.Library(t)
	dice, log, data, address := seed(t), listen(t), t.TempDir(), address(t)
	server := "http://" + address
	c := newCrew(t, log, []string{"up", "--data", data, "--http", address})
	until(t, "the sink follows", func() bool { return looks(server).State == "following" })
	unmerged(t, full(t, data))
	alive, broken := context.WithCancel(t.Context())
	defer broken()
	buyers := buying(alive, t, server, 300, true)
	killed := map[string]int{}
	kinds := []string{"process", "engine", "both"}
	for i := range kills(t, 12) {
		time.Sleep(50*time.Millisecond + time.Duration(dice.Int64N(int64(1500*time.Millisecond)))) // the moment is what is random
		if i%4 == 3 {
			until(t, "the sink is at it again", func() bool { state := looks(server).State; return state == "following" || state == "catching up" })
		}
		kind := kinds[dice.IntN(len(kinds))]
		engine := engineOf(c.running[0].PID())
		if kind == "engine" && engine == 0 {
			kind = "process"
		}
		if kind != "process" && engine != 0 {
			must(t, syscall.Kill(engine, syscall.SIGKILL))
		}
		if kind != "engine" {
			c.running[0].Kill()
			must(t, c.again(0))
		}
		killed[kind]++
	}
	buyers.home()
	reader := log.reader
	caughtUp(t, c.running[0].Kafka, reader)
	equal(t, reader(), "--data", data, "--kafka", c.running[0].Kafka)
	orders := buyers.present(reader())
	t.Logf("killed: %v; %d orders in %v; %d inserts without a known outcome were repeated; 0 missing and 0 twice unless said otherwise above",
		killed, orders, time.Since(buyers.started).Round(time.Second), log.count("an insert without a known outcome was repeated"))
	t.Logf("audit: %s", audited(t, c.running[0], "--ledger", filepath.Join(data, "sandbox", "ledger.jsonl"), "--client", buyers.record))
}

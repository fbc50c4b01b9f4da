package clickhouse

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"oms/topics"
)

var firstOfMarch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// statement of a request, which may be in its address or its body.
func statement(q *http.Request) string {
	text := q.URL.Query().Get("query")
	if q.ContentLength > 0 && q.ContentLength < 64<<10 {
		b, _ := io.ReadAll(q.Body)
		q.Body = io.NopCloser(bytes.NewReader(b))
		text += " " + string(b)
	}
	return text
}

// tool is a sink that is not run, on a line of its own that stops before the first statement with the text until it is let go.
func (r *rig) tool(name, text string) (tool *Sink, stopped <-chan struct{}, letGo func()) {
	r.Helper()
	l := openLine(r.T, r.url)
	tool, err := New(Config{Kafka: r.kafka, Cluster: "cluster", URL: l.url, Instance: name})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { tool.Close() })
	at, on := make(chan struct{}), make(chan struct{})
	var once, gone atomic.Bool
	l.breaks(func(q *http.Request) fault {
		if strings.Contains(statement(q), text) && once.CompareAndSwap(false, true) {
			close(at)
			<-on
		}
		return none
	})
	letGo = func() {
		if gone.CompareAndSwap(false, true) {
			close(on)
		}
	}
	r.Cleanup(letGo)
	return tool, at, letGo
}

func rebuilding(tool *Sink, what Rebuild) <-chan error {
	end := make(chan error, 1)
	go func() { end <- tool.Rebuild(context.Background(), what, func(string) {}) }()
	return end
}

func TestARebuildMendsARangeWhileFactsArrive(t *testing.T) {
	r := openRig(t)
	r.start(r.sink("a"))
	r.orders(400) // two days, from 1 March
	r.settled()
	r.exec("ALTER TABLE order_lines DELETE WHERE at < '2026-03-02'")
	r.exec("ALTER TABLE payments UPDATE amount_minor = 1 WHERE at < '2026-03-02'")
	r.exec("INSERT INTO payments SELECT * REPLACE (toDateTime64('2026-02-28 12:00:00', 3, 'UTC') AS at) FROM payments LIMIT 1") // alone in its month
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 40 {
			r.orders(5)
		}
	}()
	tool := r.sink("rebuild")
	if err := tool.Rebuild(context.Background(), Rebuild{From: firstOfMarch.AddDate(0, 0, -1), To: firstOfMarch.AddDate(0, 0, 1)}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if filler, err := tool.lead.filler(t.Context()); err != nil || filler == "" { // a comparison right after it would take the tables for left behind
		t.Errorf("as the rebuild ends, %q fills the tables: %v", filler, err)
	}
	<-done
	r.settled()
	r.exec("TRUNCATE TABLE orders_now")
	if err := tool.Rebuild(context.Background(), Rebuild{Tables: []string{"orders_now"}}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	r.orders(10)
	r.settled()
	if n := r.count("SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE '%rebuild%'"); n > 0 {
		t.Errorf("%d shadow tables are left", n)
	}
}

// beforeSwap runs a test at the moment when ten orders are in the tables, no sink runs, and a rebuild has sent its first swap, which waits to be let go: of a range and of
// everything.
func beforeSwap(t *testing.T, test func(r *rig, end <-chan error, letGo func())) {
	for what, rebuild := range map[string]Rebuild{"REPLACE PARTITION": {From: firstOfMarch, To: firstOfMarch.AddDate(0, 0, 1)}, "EXCHANGE TABLES": {}} {
		t.Run(what, func(t *testing.T) {
			r := openRig(t)
			r.orders(10)
			stop := r.start(r.sink("a"))
			r.settled()
			stop()
			tool, swaps, letGo := r.tool("tool", what)
			end := rebuilding(tool, rebuild)
			<-swaps
			test(r, end, letGo)
			r.settled()
		})
	}
}

// What a sink inserts between the last look at a table and the swap would be lost, so also a sink that has just been started waits.
func TestASinkThatStartsWaitsForASwap(t *testing.T) {
	beforeSwap(t, func(r *rig, end <-chan error, letGo func()) {
		r.orders(10)
		b := r.sink("b")
		r.start(b)
		r.until("b stands by", func() bool { return b.Status().State == StandingBy })
		if n := r.count("SELECT count() FROM order_events FINAL"); n != 20 {
			r.Errorf("%d rows stand during the swap, want 20", n)
		}
		letGo()
		if err := <-end; err != nil {
			r.Error(err)
		}
	})
}

// A rebuild that sleeps beyond its lead has no shadows any more, so the swap that it has sent already changes nothing.
func TestASwapThatComesTooLateChangesNothing(t *testing.T) {
	beforeSwap(t, func(r *rig, end <-chan error, letGo func()) {
		r.orders(10)
		r.exec("CREATE TABLE asleep AS sink_leads")
		r.exec("INSERT INTO asleep SELECT * REPLACE (at - INTERVAL 1 HOUR AS at) FROM sink_leads FINAL")
		r.exec("EXCHANGE TABLES asleep AND sink_leads")
		r.start(r.sink("b"))
		r.until("b has inserted", func() bool { return r.count("SELECT count() FROM order_events FINAL") == 40 })
		letGo()
		if err := <-end; err == nil || !strings.Contains(err.Error(), "run it again") {
			r.Errorf("the rebuild that came too late ended with %v", err)
		}
	})
}

// The shadow of a rebuild holds what the table had when it began: it must not undo what another has mended meanwhile.
func TestOfTwoRebuildsNoneUndoesTheOther(t *testing.T) {
	r := openRig(t)
	r.orders(400)
	r.start(r.sink("a"))
	r.settled()
	r.exec("ALTER TABLE payments UPDATE amount_minor = 1 WHERE 1")
	day := func(n int) Rebuild {
		return Rebuild{From: firstOfMarch.AddDate(0, 0, n), To: firstOfMarch.AddDate(0, 0, n+1)}
	}
	slow, _, letGo := r.tool("slow", "INSERT INTO sink_leads")
	second := rebuilding(slow, day(1))
	r.until("the shadows of the slow one are there", func() bool {
		return r.count("SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE '%rebuild%'") > 0
	})
	if err := r.sink("fast").Rebuild(context.Background(), day(0), func(string) {}); err != nil {
		t.Fatal(err)
	}
	letGo()
	if err := <-second; err == nil || !strings.Contains(err.Error(), "run it again") {
		t.Fatalf("the rebuild that another overtook ended with %v", err)
	}
	if err := r.sink("again").Rebuild(context.Background(), day(1), func(string) {}); err != nil {
		t.Fatal(err)
	}
	r.settled()
}

// What the topics do not hold any more stays in the tables, and is not compared.
func TestARebuildKeepsWhatTheTopicsLetGo(t *testing.T) {
	r := openRig(t)
	r.orders(50)
	r.start(r.sink("a"))
	r.settled()
	admin, err := r.kafka.NewProducer()
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	adm := kadm.NewClient(admin)
	ends, err := adm.ListEndOffsets(context.Background(), topics.OrderEvents.Name)
	if err != nil {
		t.Fatal(err)
	}
	half := kadm.Offsets{}
	ends.Each(func(o kadm.ListedOffset) { half.AddOffset(o.Topic, o.Partition, o.Offset/2, -1) })
	if _, err := adm.DeleteRecords(context.Background(), half); err != nil {
		t.Fatal(err)
	}
	r.settled()
	for _, what := range []Rebuild{{}, {From: firstOfMarch, To: firstOfMarch.AddDate(0, 0, 1)}} {
		if err := r.sink("tool").Rebuild(context.Background(), what, func(string) {}); err != nil {
			t.Fatal(err)
		}
		if n := r.count("SELECT count() FROM order_events FINAL"); n != 100 {
			t.Errorf("%d rows stand after the rebuild, want 100", n)
		}
		r.settled()
	}
}

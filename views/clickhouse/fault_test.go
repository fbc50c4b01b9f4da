package clickhouse

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/schemas"
	"oms/topics"
)

// into tells an insert into a table.
func into(q *http.Request, table string) bool {
	return strings.Contains(q.URL.Query().Get("query"), "INSERT INTO "+table+" ")
}

// once is a fault that the first insert into a table meets.
func once(table string, what fault) func(*http.Request) fault {
	var met sync.Once
	return func(q *http.Request) (f fault) {
		if into(q, table) {
			met.Do(func() { f = what })
		}
		return f
	}
}

// created is a fact about an order at a time, with lines.
func created(id string, at int64, lines int) *schemas.OrderCreated {
	m := &schemas.OrderCreated{Fact: schemas.Fact{Tenant: "default", AtMS: at, Version: 1, Sequence: 1}, OrderID: id, Currency: "EUR", ShipCountry: "AT", PaymentMethod: "CARD"}
	for i := range lines {
		m.Lines = append(m.Lines, schemas.OrderLine{Line: int32(i + 1), ProductID: fmt.Sprintf("p%d", i%50), Quantity: 1})
	}
	return m
}

// ClickHouse that is killed between the note of a token and the name of the part has the token and no rows. The same is made by hand: the insert takes effect, its answer is
// lost, and its rows are deleted, which leaves the token.
func TestATokenWithoutItsRowsLosesNothing(t *testing.T) {
	r := openRig(t)
	r.orders(5)
	r.start(r.sink("a"))
	r.settled()
	var away atomic.Bool
	r.line.breaks(func(q *http.Request) fault {
		switch {
		case away.Load():
			return refuse
		case into(q, "payments"):
			away.Store(true)
			return forget
		}
		return none
	})
	r.orders(10)
	r.until("the insert has taken effect", func() bool { return r.count("SELECT count() FROM payments") == 15 })
	r.exec("ALTER TABLE payments DELETE WHERE order_id > 'ord_000005'")
	if n := r.count("SELECT count() FROM payments"); n != 5 {
		t.Fatalf("%d rows, want 5: the test makes no loss", n)
	}
	r.line.breaks(nil)
	r.settled()
	if n := r.count("SELECT count() FROM payments"); n != 15 {
		t.Errorf("%d payments, want 15", n)
	}
}

// Facts of 130 years in one batch: one insert makes more parts than ClickHouse allows by itself, and its answer is lost. What ClickHouse has no date for is a dead letter.
func TestFactsOfAbsurdTimesAreThereOnce(t *testing.T) {
	r := openRig(t)
	var all []schemas.Message
	for year := 1970; year <= 2100; year++ {
		at := time.Date(year, time.Month(1+year%12), 3, 4, 5, 6, 0, time.UTC).UnixMilli()
		all = append(all, created(fmt.Sprintf("ord_%d", year), at, 2),
			&schemas.PaymentProcessed{Fact: schemas.Fact{Tenant: "default", AtMS: at, Version: 1, Sequence: 1}, OrderID: fmt.Sprintf("ord_%d", year), AmountMinor: 5, Currency: "EUR"})
	}
	for i, at := range []int64{0, -1, 1, firstDate, lastDate} {
		all = append(all, created(fmt.Sprintf("ord_edge_%d", i), at, 2))
	}
	far := []int64{firstDate - 1, lastDate + 1, -62_135_596_800_000, 253_402_300_799_000, math.MinInt64, math.MaxInt64} // the years 1 and 9999 are among them
	for i, at := range far {
		all = append(all, created(fmt.Sprintf("ord_far_%d", i), at, 2), &schemas.OrderExpired{Fact: schemas.Fact{AtMS: 1, Version: 2, Sequence: 2}, OrderID: fmt.Sprintf("ord_far_%d", i), PlacedAtMS: at},
			&schemas.OrderRow{Row: schemas.Row{Version: 1, NowMS: 1}, OrderID: fmt.Sprintf("ord_far_%d", i), Order: schemas.OrderState{PlacedAtMS: at}})
	}
	r.say(all...)
	value, err := schemas.Encode(all[0])
	if err != nil {
		t.Fatal(err)
	}
	r.write(&kgo.Record{Topic: topics.PaymentEvents.Name, Key: []byte("x"), Value: value, Timestamp: time.UnixMilli(253_402_300_799_000)}) // a dead letter of the year 9999
	r.line.breaks(once("order_lines", forget))
	r.start(r.sink("a"))
	r.settled()
	if n := r.count("SELECT count() FROM order_lines FINAL"); n != 2*136 {
		t.Errorf("%d lines, want %d", n, 2*136)
	}
	if n := r.count("SELECT countIf(reason LIKE '%has no date%') FROM dead_letters FINAL"); n != uint64(3*len(far)) {
		t.Errorf("%d dead letters for their time, want %d", n, 3*len(far))
	}
	if n := r.count("SELECT uniqExact(_partition_id) FROM order_events"); n < 100 {
		t.Errorf("%d months: too few to mean anything", n)
	}
	tool := r.sink("rebuild")
	if err := tool.Rebuild(context.Background(), Rebuild{From: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	r.settled()
}

// The clock of who wrote a record is wrong by decades in both directions, in one batch.
func TestRecordsOfAWrongClockAreTakenLikeOthers(t *testing.T) {
	r := openRig(t)
	s := r.sink("a")
	r.start(s)
	future := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	var records []*kgo.Record
	for i, at := range []time.Time{time.UnixMilli(0), future, time.UnixMilli(1)} {
		value, err := schemas.Encode(created(fmt.Sprintf("ord_%d", i), 1_772_323_200_000, 1))
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, &kgo.Record{Topic: topics.OrderEvents.Name, Key: []byte(fmt.Sprint(i)), Value: value, Timestamp: at},
			&kgo.Record{Topic: topics.OrderEvents.Name, Key: []byte(fmt.Sprint(i)), Value: []byte("no message"), Timestamp: at})
	}
	r.write(records...)
	r.settled()
	if n := r.count("SELECT count() FROM dead_letters FINAL"); n != 3 {
		t.Errorf("%d dead letters, want 3", n)
	}
	r.until("the sink follows", func() bool { now := s.Status(); return now.State == Following && now.LastEvent != nil })
}

// Who leads is judged by the clock of ClickHouse and nothing else: a sign of life is as old as ClickHouse says.
func TestTheLeadIsJudgedByTheClockOfClickHouse(t *testing.T) {
	r := openRig(t)
	first := r.sink("first")
	r.start(first)
	r.orders(5)
	r.settled()
	life := func(epoch int, ago time.Duration) {
		r.exec(fmt.Sprintf("INSERT INTO sink_leads (epoch, holder, state, cluster, at) SELECT %d, 'another', 'held', 'cluster', now64(3) - toIntervalMillisecond(%d)", epoch, ago.Milliseconds()))
	}
	life(1000, 0)
	r.orders(5)
	r.until("the first stands by", func() bool { return first.Status().State == StandingBy })
	life(2000, leadLapse+time.Second) // that one was last seen too long ago
	r.until("the first has the lead again", func() bool { return first.Status().State == Following })
	r.orders(5)
	r.settled()
	life(1<<20, -time.Hour) // ahead of the clock: alive
	r.orders(5)
	r.until("the first stands by again", func() bool { return first.Status().State == StandingBy })
	r.start(r.sink("second")) // a new start leads at once, whatever the clock says
	r.settled()
}

// A sink is told to stop while an insert takes for ever. The insert arrives when another sink has repeated it long ago.
func TestAStopDoesNotWaitForALongInsertAndALateOneChangesNothing(t *testing.T) {
	r := openRig(t)
	first := r.sink("first")
	stop := r.start(first)
	r.orders(20)
	r.settled()
	at, release, arrived := make(chan struct{}), make(chan struct{}), make(chan int, 1)
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	var held atomic.Bool
	r.line.breaks(func(q *http.Request) fault {
		if !into(q, "order_lines") || !held.CompareAndSwap(false, true) {
			return none
		}
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		close(at)
		<-release
		arrived <- r.deliver(q, body)
		return refuse
	})
	r.orders(20)
	<-at
	stop() // the insert is still held: this ends before it does
	r.start(r.sink("second"))
	r.settled()
	free()
	if status := <-arrived; status != http.StatusOK {
		t.Errorf("the late insert was answered %d", status)
	}
	r.orders(5)
	r.settled()
}

// deliver sends a request of the line to the engine, whoever still waits for the answer.
func (r *rig) deliver(q *http.Request, body []byte) int {
	target, err := url.Parse(r.url)
	if err != nil {
		r.Error(err)
	}
	again := q.Clone(context.Background())
	again.URL.Scheme, again.URL.Host, again.Host, again.RequestURI = "http", target.Host, target.Host, ""
	again.Body, again.ContentLength, again.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	res, err := http.DefaultTransport.RoundTrip(again)
	if err != nil {
		r.Error(err)
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// One order of 60,000 lines, and a transaction of so many that one poll brings more than a block of ClickHouse takes; the answer to their insert is lost.
func TestABatchLargerThanABlockIsThereOnce(t *testing.T) {
	r := openRig(t)
	all := []schemas.Message{created("ord_huge", 1_772_323_200_000, 60_000)}
	rows := 60_000
	for i := range 100 {
		all = append(all, created(fmt.Sprintf("ord_%d", i), 1_772_323_200_000+int64(i), 5_000))
		rows += 5_000
	}
	r.say(all...)
	r.line.breaks(once("order_lines", forget))
	r.start(r.sink("a"))
	r.settled()
	if n := r.count("SELECT count() FROM order_lines"); n != uint64(rows) {
		t.Errorf("%d lines, want %d", n, rows)
	}
}

// Between any two questions of verify an order moves on, and the sink has it.
func TestVerifyIsNotFooledByOrdersThatMoveMeanwhile(t *testing.T) {
	r := openRig(t)
	s, err := New(Config{Kafka: r.kafka, Cluster: "cluster", URL: r.url, Own: true, Instance: "a", Interval: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r.start(s)
	r.orders(100)
	r.settled()
	moved := 0
	move := func() {
		moved++
		r.say(&schemas.OrderRow{Row: schemas.Row{Tenant: "default", Version: 10, NowMS: 1_772_323_200_000}, OrderID: fmt.Sprintf("ord_%06d", moved),
			Order: schemas.OrderState{Status: schemas.OrderStatusConfirmed, PlacedAtMS: time.Date(2026, 3, 1, 0, 0, 0, 10_000_000, time.UTC).Add(time.Duration(moved) * 7 * time.Minute).UnixMilli()}})
		r.until("it has moved", func() bool { return r.count("SELECT countIf(version = 10) FROM orders_now FINAL") == uint64(moved) })
	}
	var one sync.Mutex
	r.line.breaks(func(*http.Request) fault {
		one.Lock()
		defer one.Unlock()
		move()
		return none
	})
	report, err := r.sink("tool").Verify(context.Background(), func(string) {})
	r.line.breaks(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Tables {
		if v.Different > 0 || v.Duplicates > 0 {
			t.Errorf("%+v", v)
		}
	}
	t.Logf("%d orders moved", moved)
	r.settled()
}

// ClickHouse answers nothing any more, and breaks no connection either.
func TestAClickHouseThatHangsIsSaidOnceAndCaughtUpWith(t *testing.T) {
	r := openRig(t)
	s := r.sink("a")
	s.state.patience = 200 * time.Millisecond
	var lines atomic.Int64
	s.state.log = slog.New(slog.NewTextHandler(counting{&lines}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	r.start(s)
	r.orders(10)
	r.settled()
	for _, table := range []string{"sink_offsets", "order_lines"} {
		hold := make(chan struct{})
		free := sync.OnceFunc(func() { close(hold) })
		t.Cleanup(free)
		r.line.breaks(func(q *http.Request) fault {
			if into(q, table) {
				<-hold
			}
			return none
		})
		before := lines.Load()
		r.orders(10)
		r.until("it says that it waits", func() bool {
			now := s.Status()
			return now.State == Waiting && strings.Contains(now.Error, "not answered")
		})
		r.orders(500)
		r.until("it says how far it is behind", func() bool { now := s.Status(); return now.State == Waiting && now.Behind > 1_000 })
		if n := lines.Load() - before; n != 1 {
			t.Errorf("%d lines say so, want one", n)
		}
		free()
		r.settled()
		r.until("it follows", func() bool { now := s.Status(); return now.State == Following && now.Error == "" })
	}
}

// counting counts lines.
type counting struct{ n *atomic.Int64 }

func (c counting) Write(b []byte) (int, error) {
	c.n.Add(int64(bytes.Count(b, []byte("\n"))))
	return len(b), nil
}

package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/schemas"
	"oms/topics"
)

func TestTheTablesAreAsTheMappingSays(t *testing.T) {
	r := openRig(t)
	s := r.sink("a")
	if err := s.prepare(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		rows, err := r.conn.Query(context.Background(), `SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {t:String} ORDER BY position`, named("t", table.name))
		if err != nil {
			t.Fatal(err)
		}
		var have []column
		for rows.Next() {
			var c column
			var typ string
			if err := rows.Scan(&c.name, &typ); err != nil {
				t.Fatal(err)
			}
			switch {
			case typ == "Int64":
				c.kind = number
			case strings.HasPrefix(typ, "DateTime64(3"):
				c.kind = instant
			}
			have = append(have, c)
		}
		if fmt.Sprint(have) != fmt.Sprint(table.columns) {
			t.Errorf("%s:\n%v in the database\n%v in the mapping", table.name, have, table.columns)
		}
	}
}

func TestEveryFactIsThereOnce(t *testing.T) {
	r := openRig(t)
	r.orders(300)
	stop := r.start(r.sink("a"))
	r.settled()
	r.orders(50)
	r.settled()
	stop()
	r.orders(50)
	r.start(r.sink("a"))
	r.settled()
	if n := r.count("SELECT count() FROM order_events FINAL"); n != 800 {
		t.Errorf("%d rows about 400 orders, want 800", n)
	}
	if n := r.count("SELECT count() FROM orders_now FINAL WHERE status = 'CONFIRMED'"); n != 400 {
		t.Errorf("%d orders are confirmed, want 400", n)
	}
	if n := r.count("SELECT toUInt64(sum(total_minor)) FROM order_lines FINAL"); n != 400*900 {
		t.Errorf("Σ total %d, want %d", n, 400*900)
	}
}

// The line breaks before, in the middle of and after requests, at every step of the sink: nothing is lost, and nothing is there twice, not even until a merge.
func TestNoBreakOfTheLineLosesOrDoublesARow(t *testing.T) {
	r := openRig(t)
	dice := rand.New(rand.NewPCG(1, 2))
	var broken atomic.Int64
	r.line.breaks(func(*http.Request) fault {
		if what := fault(dice.IntN(200)); what <= cut && what != none {
			broken.Add(1)
			return what
		}
		return none
	})
	r.start(r.sink("a"))
	for i := int64(1); i <= 60; i++ {
		r.until("the line has broken once more", func() bool { r.orders(1); return broken.Load() >= i })
	}
	r.line.breaks(nil)
	r.settled()
	t.Logf("%d breaks, %d orders", broken.Load(), r.facts)
}

// A sink that is killed anywhere and started again does what it did not finish, once. In the process a kill is a context that ends while the line is held.
func TestNoKillOfTheSinkLosesOrDoublesARow(t *testing.T) {
	r := openRig(t)
	for i := range 25 {
		r.orders(10)
		after := int64(rand.IntN(12))
		var seen atomic.Int64
		reached := make(chan struct{}, 1)
		r.line.breaks(func(*http.Request) fault {
			if seen.Add(1) <= after {
				return none
			}
			select {
			case reached <- struct{}{}:
			default:
			}
			return []fault{refuse, forget, cut}[i%3]
		})
		s := r.sink("a")
		stop := r.start(s)
		<-reached
		stop()
		s.Close()
	}
	r.line.breaks(nil)
	r.start(r.sink("a"))
	r.settled()
}

func TestTheLaterOfTwoSinksGoesOn(t *testing.T) {
	r := openRig(t)
	r.orders(100)
	first := r.sink("first")
	r.start(first)
	r.settled()
	second := r.sink("second")
	stop := r.start(second)
	r.until("the second has the lead", func() bool { return second.Status().State == Following })
	for range 20 {
		r.orders(5)
	}
	r.until("the first stands by", func() bool { return first.Status().State == StandingBy })
	r.equal()
	stop()
	r.orders(5)
	r.until("the first has the lead again", func() bool { return first.Status().State == Following })
	r.settled()
}

func TestTablesThatAreDroppedAreFilledAgain(t *testing.T) {
	r := openRig(t)
	r.orders(100)
	r.start(r.sink("a"))
	r.settled()
	for _, name := range []string{"order_lines", "orders_now", "dead_letters"} {
		r.exec("DROP TABLE " + name + " SYNC")
		r.orders(10)
		r.write(&kgo.Record{Topic: topics.OrderEvents.Name, Key: []byte("x"), Value: []byte("no message")}) // dead_letters is only missed when there is one
		r.settled()
	}
	for _, name := range []string{"sink_offsets", "sink_leads"} {
		r.exec("DROP TABLE " + name + " SYNC")
		r.orders(10)
		r.equal() // rows that came twice have one key
	}
}

func TestARecordThatCannotBeMappedIsADeadLetter(t *testing.T) {
	r := openRig(t)
	s := r.sink("a")
	wrong, err := schemas.Encode(&schemas.ProductAdded{ProductID: "p"})
	if err != nil {
		t.Fatal(err)
	}
	r.write(&kgo.Record{Topic: topics.OrderEvents.Name, Key: []byte("a"), Value: []byte("no message")},
		&kgo.Record{Topic: topics.PaymentEvents.Name, Key: []byte("b"), Value: wrong},
		&kgo.Record{Topic: topics.ProductEvents.Name, Key: []byte("c")})
	r.orders(10)
	r.write(&kgo.Record{Topic: topics.OrdersTable.Name, Key: []byte("ord_000003"), Value: []byte("of a newer build")})
	r.start(s)
	r.settled()
	for key, reason := range map[string]string{"a": "Confluent frame", "b": "does not belong on", "c": "no value", "ord_000003": "Confluent frame"} {
		var have string
		if err := r.conn.QueryRow(context.Background(), `SELECT reason FROM dead_letters FINAL WHERE key = {key:String}`, named("key", key)).Scan(&have); err != nil || !strings.Contains(have, reason) {
			t.Errorf("%s: %q %v, want %q", key, have, err, reason)
		}
	}
	if n := r.count("SELECT count() FROM order_events FINAL"); n != 20 {
		t.Errorf("%d rows, want 20: the sink goes on", n)
	}
	if n := r.count("SELECT count() FROM orders_now FINAL"); n != 10 {
		t.Errorf("%d orders are there, want 10: an unreadable row hides no other", n)
	}
}

func TestAnotherSchemaIsSaidAndTouchesNothing(t *testing.T) {
	r := openRig(t)
	s := r.sink("a")
	if err := checkSchema(context.Background(), r.conn); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "run oms migrate") {
		t.Errorf("an empty database: %v", err)
	}
	stop := r.start(s)
	r.orders(10)
	r.settled()
	stop()
	r.exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
	r.orders(10)
	s = r.sink("b")
	r.start(s)
	r.until("the sink says that the tables are newer", func() bool { return s.Status().State == Blocked })
	if text := s.Status().Error; !strings.Contains(text, "version 99") || !strings.Contains(text, "newer build") {
		t.Errorf("%q", text)
	}
	if n := r.count("SELECT count() FROM order_events FINAL"); n != 20 {
		t.Errorf("%d rows, want 20: nothing is written to tables of another version", n)
	}
	r.exec("ALTER TABLE goose_db_version DELETE WHERE version_id = 99")
	r.settled()
}

func TestAnotherClusterIsRefused(t *testing.T) {
	r := openRig(t)
	stop := r.start(r.sink("a"))
	r.orders(10)
	r.settled()
	stop()
	s := r.sink("b")
	s.lead.cluster = "another"
	r.start(s)
	r.until("the sink says so", func() bool { return strings.Contains(s.Status().Error, "Kafka cluster") })
}

func TestClickHouseThatCannotWriteIsSaidOnceAndCaughtUpWith(t *testing.T) {
	r := openRig(t)
	s := r.sink("a")
	r.start(s)
	r.orders(50)
	r.settled()
	for what, code := range map[string]int{"read-only": 164, "a full disk": 243, "too many parts": 252, "no memory": 241} {
		r.line.answer(fmt.Sprintf("Code: %d. DB::Exception: %s", code, what), code)
		r.orders(10)
		r.until("the state says "+what, func() bool { return s.Status().State == Waiting && strings.Contains(s.Status().Error, what) })
		r.line.breaks(nil)
		r.settled()
		r.until("the state is good again", func() bool { return s.Status().State == Following })
	}
}

func TestASlowClickHouseIsWaitedFor(t *testing.T) {
	r := openRig(t)
	hold := make(chan struct{})
	s := r.sink("a")
	r.start(s)
	r.orders(10)
	r.settled()
	r.line.breaks(func(q *http.Request) fault {
		if strings.Contains(q.URL.Query().Get("query"), "INSERT INTO order_events") {
			<-hold
		}
		return none
	})
	for range 30 {
		r.orders(10)
	}
	close(hold)
	r.settled()
}

func TestALogThatLostItsEndIsReadAgain(t *testing.T) {
	r := openRig(t)
	stop := r.start(r.sink("a"))
	r.orders(30)
	r.settled()
	stop()
	// What a partition looks like whose last records are gone: the tables stand beyond its end, and hold a record that it does not.
	tool := r.sink("tool")
	if err := tool.acquire(context.Background(), filling); err != nil {
		t.Fatal(err)
	}
	var payment *table
	for _, t := range tables {
		if t.name == "payments" {
			payment = t
		}
	}
	if err := tool.rewind(context.Background(), payment, []span{{topics.PaymentEvents.Name, 1, 0, 10_000}}); err != nil {
		t.Fatal(err)
	}
	r.exec("INSERT INTO payments SELECT * REPLACE (9999 AS _offset, now64(3) AS at) FROM payments WHERE _partition = 1 LIMIT 1")
	r.start(r.sink("b"))
	r.orders(30)
	r.settled()
}

func TestVerifySeesWhatIsPlanted(t *testing.T) {
	r := openRig(t)
	stop := r.start(r.sink("a"))
	r.orders(60)
	r.settled()
	stop()
	for query, want := range map[string][2]string{
		"ALTER TABLE payments DELETE WHERE order_id = 'ord_000007'":                                                                                        {"payments", "it is missing in ClickHouse"},
		"ALTER TABLE order_lines UPDATE quantity = 3 WHERE order_id = 'ord_000009'":                                                                        {"order_lines", "other values"},
		"INSERT INTO order_events SELECT * REPLACE ('ord_x' AS order_id) FROM order_events LIMIT 1":                                                        {"order_events", "other values"},
		"INSERT INTO stock_alerts SELECT tenant, at, 'p', 1, 0, 'BackInStock', 1, 0, _topic, _partition, 1 FROM stock_movements WHERE _offset > 1 LIMIT 1": {"stock_alerts", "rows of it"},
		"ALTER TABLE orders_now UPDATE status = 'PENDING' WHERE order_id = 'ord_000011'":                                                                   {"orders_now", "orders-table"},
		"ALTER TABLE stock_movements UPDATE reserved = reserved + 1 WHERE order_id = 'ord_000013'":                                                         {"stock_movements", "other values"},
	} {
		r.exec(query)
		tool := r.sink("tool")
		report, err := tool.Verify(context.Background(), func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, v := range report.Tables {
			found = found || v.Table == want[0] && v.Different == 1 && strings.Contains(v.First, want[1])
			if v.Table == want[0] {
				t.Log(v.First)
			}
		}
		if !found {
			t.Errorf("%s: %+v", query, report.Tables)
		}
	}
}

// Tables that nobody has filled are not called equal.
func TestVerifySaysWhatIsNotThereYet(t *testing.T) {
	r := openRig(t)
	tool := r.sink("tool")
	if err := tool.prepare(context.Background()); err != nil {
		t.Fatal(err)
	}
	look := func(what string, equal bool, behind bool, beyond uint64) {
		t.Helper()
		report, err := tool.Verify(context.Background(), func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		var rows uint64
		for _, v := range report.Tables {
			rows += v.Beyond
		}
		if report.Equal() != equal || report.Behind() > 0 != behind || rows != beyond {
			t.Errorf("%s: %+v", what, report)
		}
	}
	look("nothing was said yet", true, false, 0)
	r.orders(10)
	look("nothing was filled", false, true, 0)
	stop := r.start(r.sink("a"))
	r.settled()
	look("all is there", true, false, 0)
	stop()
	look("all is there, and nobody fills", true, false, 0)
	r.exec("INSERT INTO payments SELECT * REPLACE (_offset + 1000 AS _offset) FROM payments LIMIT 1")
	look("a row of nowhere", false, false, 1)
	r.orders(1)
	look("one is missing, and nobody brings it", false, true, 1)
}

func TestFactsGoWhenTheirTimeIsOver(t *testing.T) {
	r := openRig(t)
	s := r.sink("a")
	db, err := s.db("")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ttl := func() string {
		var text string
		if err := r.conn.QueryRow(context.Background(), "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'order_events'").Scan(&text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	for keep, want := range map[time.Duration]string{0: "", 48 * time.Hour: "toIntervalDay(2)", 24 * time.Hour: "toIntervalDay(1)"} {
		for range 2 {
			if _, err := Migrate(context.Background(), db, keep); err != nil {
				t.Fatal(err)
			}
		}
		if have := ttl(); !strings.Contains(have, want) || want == "" && strings.Contains(have, "TTL") {
			t.Errorf("kept for %s: %s", keep, have)
		}
	}
}

func TestVerifyLeavesOutWhatMayBeGone(t *testing.T) {
	r := openRig(t)
	stop := r.start(r.sink("a"))
	r.orders(60) // of long ago
	r.settled()
	stop()
	r.exec("ALTER TABLE order_events DELETE WHERE 1")
	for keep, different := range map[time.Duration]bool{0: true, 24 * time.Hour: false} {
		tool := r.sink("tool")
		tool.cfg.Keep = keep
		report, err := tool.Verify(context.Background(), func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Tables[0].Different > 0; got != different {
			t.Errorf("kept for %s: %+v", keep, report.Tables[0])
		}
	}
}

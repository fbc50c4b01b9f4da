package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/clickhouse"
	"oms/internal/clickhouse/clickhousetest"
	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
	"oms/schemas"
	"oms/topics"
)

func TestMain(m *testing.M) { os.Exit(clickhousetest.Main(m)) }

const partitions = 3

// rig is a broker, an engine with a database of the test's own, a faulty line between sink and engine, and who says facts.
type rig struct {
	*testing.T
	kafka  kafka.Settings
	url    string // of the database, straight
	conn   driver.Conn
	line   *line
	writer *kgo.Client
	facts  int // said so far
}

func openRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, kafka: kafkatest.Embedded(t).Settings()}
	r.url = clickhousetest.Start(t).URL()
	var err error
	if r.conn, err = clickhouse.Open(r.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.conn.Close() })
	r.line = openLine(t, r.url)
	admin, err := r.kafka.NewProducer()
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	var want []kafka.Topic
	for _, name := range topicNames() {
		want = append(want, kafka.Topic{Name: name, Partitions: partitions})
	}
	if _, err := kafka.EnsureTopics(context.Background(), kadm.NewClient(admin), want, false); err != nil {
		t.Fatal(err)
	}
	if r.writer, err = r.kafka.NewProducer(kgo.TransactionalID("test")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.writer.Close)
	return r
}

// line is the way from the sink to the engine, which a test can break.
type line struct {
	url  string
	mu   sync.Mutex
	rule func(*http.Request) fault // nil: none

	exception string
	code      int
}

// fault of one request.
type fault int

const (
	none   fault = iota
	refuse       // it never arrives
	forget       // it arrives and takes effect, and the answer is an error
	cut          // the connection breaks after half of it
	except       // ClickHouse answers an exception
)

func openLine(t *testing.T, to string) *line {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: target.Host})
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		l.mu.Lock()
		rule := l.rule
		l.mu.Unlock()
		what := none
		if rule != nil {
			what = rule(req)
		}
		switch what {
		case none:
			proxy.ServeHTTP(w, req)
		case refuse:
			hangUp(w)
		case forget:
			proxy.ServeHTTP(httptest.NewRecorder(), req)
			hangUp(w)
		case except:
			w.Header().Set("X-ClickHouse-Exception-Code", fmt.Sprint(l.code))
			http.Error(w, l.exception, http.StatusInternalServerError)
		case cut:
			req.Body = &half{req.Body, 600}
			proxy.ServeHTTP(httptest.NewRecorder(), req)
			hangUp(w)
		}
	}))
	t.Cleanup(s.Close)
	through := *target
	through.Host = strings.TrimPrefix(s.URL, "http://")
	l.url = through.String()
	return l
}

func hangUp(w http.ResponseWriter) {
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		c.Close()
	}
}

// half is a body that breaks off.
type half struct {
	from interface {
		Read([]byte) (int, error)
		Close() error
	}
	left int
}

func (h *half) Read(b []byte) (int, error) {
	if h.left <= 0 {
		return 0, errors.New("cut")
	}
	n, err := h.from.Read(b[:min(len(b), h.left)])
	h.left -= n
	return n, err
}

func (h *half) Close() error { return h.from.Close() }

// answer makes every insert into a table of facts end in an exception.
func (l *line) answer(exception string, code int) {
	l.mu.Lock()
	l.exception, l.code = exception, code
	l.mu.Unlock()
	l.breaks(func(q *http.Request) fault {
		if strings.Contains(q.URL.Query().Get("query"), "INSERT INTO order_events") {
			return except
		}
		return none
	})
}

// breaks sets the rule; nil mends the line.
func (l *line) breaks(rule func(*http.Request) fault) {
	l.mu.Lock()
	l.rule = rule
	l.mu.Unlock()
}

// sink that is not run yet. It goes through the line.
func (r *rig) sink(name string) *Sink {
	r.Helper()
	s, err := New(Config{Kafka: r.kafka, Cluster: "cluster", URL: r.line.url, Own: true, Instance: name, Interval: 20 * time.Millisecond, Log: kafkatest.Log(r)})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { s.Close() })
	return s
}

// start a sink; the answer stops it.
func (r *rig) start(s *Sink) (stop func()) {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				r.Error(err)
			}
		})
	}
	r.Cleanup(stop)
	return stop
}

// say writes messages in one transaction.
func (r *rig) say(messages ...schemas.Message) {
	r.Helper()
	var records []*kgo.Record
	for _, m := range messages {
		value, err := schemas.Encode(m)
		if err != nil {
			r.Fatal(err)
		}
		records = append(records, &kgo.Record{Topic: topics.Of(m).Name, Key: []byte(m.Key()), Value: value})
	}
	r.write(records...)
}

func (r *rig) write(records ...*kgo.Record) {
	r.Helper()
	if err := r.writer.BeginTransaction(); err != nil {
		r.Fatal(err)
	}
	if err := r.writer.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		r.Fatal(err)
	}
	if err := r.writer.EndTransaction(context.Background(), kgo.TryCommit); err != nil {
		r.Fatal(err)
	}
}

// orders says everything about n more orders: created, paid, confirmed, their rows, and the stock that moved.
func (r *rig) orders(n int) {
	r.Helper()
	var all []schemas.Message
	for range n {
		r.facts++
		at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.facts) * 7 * time.Minute).UnixMilli()
		id, product := fmt.Sprintf("ord_%06d", r.facts), fmt.Sprintf("p%d", r.facts%5)
		fact := func(version, sequence int64) schemas.Fact {
			return schemas.Fact{Tenant: "default", AtMS: at + 10*version, Version: version, Sequence: sequence}
		}
		all = append(all,
			&schemas.OrderCreated{Fact: fact(1, 1), OrderID: id, CustomerID: "cus_1", Currency: "EUR", ShipCountry: "AT", PaymentMethod: "CARD", Lines: []schemas.OrderLine{{Line: 1, ProductID: product, Quantity: 2}}},
			&schemas.InventoryUpdated{Fact: fact(int64(r.facts), int64(r.facts)), ProductID: product, Movement: schemas.MovementReserved, OrderID: id,
				Entries: []schemas.StockEntry{{Line: 1, LocationID: "main", Quantity: 2}}, Levels: []schemas.StockLevel{{LocationID: "main", OnHand: 1000, Reserved: 2}}},
			&schemas.PaymentProcessed{Fact: fact(3, 1), OrderID: id, Operation: "AUTHORIZE", Outcome: "CAPTURED", Method: "CARD", Provider: "sandbox", AmountMinor: 900, Currency: "EUR", ProviderRef: "sb_1"},
			&schemas.OrderConfirmed{Fact: fact(3, 2), OrderID: id, CustomerID: "cus_1", Currency: "EUR", TotalMinor: 900, PlacedAtMS: at + 10, ShipCountry: "AT",
				Lines: []schemas.PricedLine{{Line: 1, ProductID: product, Quantity: 2, UnitPriceMinor: 450, TotalMinor: 900, Allocations: []schemas.Allocation{{LocationID: "main", Quantity: 2}}}}})
		for v, status := range []schemas.OrderStatus{schemas.OrderStatusPending, schemas.OrderStatusConfirmed} {
			all = append(all, &schemas.OrderRow{Row: schemas.Row{Tenant: "default", Version: int64(1 + 2*v), NowMS: at + 10}, OrderID: id,
				Order: schemas.OrderState{Status: status, CustomerID: "cus_1", Currency: "EUR", PlacedAtMS: at + 10, TotalMinor: 900, Lines: []schemas.LineState{{Line: 1, ProductID: product, Quantity: 2}}}})
		}
	}
	r.say(all...)
}

// settled waits until the tables have everything, and demands that they equal the topics, without one row that came twice.
func (r *rig) settled() {
	r.Helper()
	r.equal()
	for _, t := range tables {
		if t.replaces() {
			continue
		}
		var rows, distinct uint64
		if err := r.conn.QueryRow(context.Background(), fmt.Sprintf("SELECT count(), (SELECT count() FROM %[1]s FINAL) FROM %[1]s", t.name)).Scan(&rows, &distinct); err != nil {
			r.Fatal(err)
		}
		if rows != distinct {
			r.Errorf("%s: %d rows came twice", t.name, rows-distinct)
		}
	}
}

// equal waits until the tables have everything, and demands that they equal the topics.
func (r *rig) equal() {
	r.Helper()
	tool, err := New(Config{Kafka: r.kafka, Cluster: "cluster", URL: r.url, Instance: "test"})
	if err != nil {
		r.Fatal(err)
	}
	defer tool.Close()
	reader, err := r.kafka.NewReader(context.Background(), kafka.From{End: true}, topicNames()...)
	if err != nil {
		r.Fatal(err)
	}
	ends := reader.Next()
	reader.Close()
	r.until("the tables stand at the end of the topics", func() bool {
		m, err := remember(context.Background(), tool.conn)
		return err == nil && len(m.undone) == 0 && lag(ends, m.done) == 0 && known(m, ends)
	})
	report, err := tool.Verify(context.Background(), func(string) {})
	if err != nil {
		r.Fatal(err)
	}
	for _, v := range report.Tables {
		if v.Different > 0 || v.Behind > 0 || v.Beyond > 0 {
			r.Errorf("%s: %s; %d behind, %d beyond", v.Table, v.First, v.Behind, v.Beyond)
		}
	}
}

// known tells whether the memory knows of every partition that has records.
func known(m memory, ends kafka.Offsets) bool {
	for t, at := range m.done {
		for topic, parts := range ends {
			for p, end := range parts {
				if t.fills(topic) && end > 0 && at[topic][p] < end {
					return false
				}
			}
		}
	}
	return true
}

// until waits for a condition.
func (r *rig) until(what string, is func() bool) {
	r.Helper()
	for limit := time.Now().Add(60 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			r.Fatalf("after a minute it is still not so that %s", what)
		}
	}
}

func (r *rig) exec(query string) {
	r.Helper()
	if err := r.conn.Exec(ch.Context(context.Background(), ch.WithSettings(ch.Settings{"mutations_sync": 2})), query); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) count(query string) (n uint64) {
	r.Helper()
	if err := r.conn.QueryRow(context.Background(), query).Scan(&n); err != nil {
		r.Fatal(err)
	}
	return n
}

package reports_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
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
	sink "oms/views/clickhouse"
	"oms/views/clickhouse/reports"
)

func TestMain(m *testing.M) { os.Exit(clickhousetest.Main(m)) }

// shelf is a ClickHouse whose tables were filled by the sink.
type shelf struct {
	*testing.T
	write, read driver.Conn
	now         time.Time // when reports are asked
}

// in is the shelf in a part of its test.
func (s *shelf) in(t *testing.T) *shelf {
	part := *s
	part.T = t
	return &part
}

// fill puts messages on topics and has the sink carry them into tables.
func fill(t *testing.T, messages []schemas.Message) *shelf {
	t.Helper()
	ctx := t.Context()
	settings := kafkatest.Embedded(t).Settings()
	engine := clickhousetest.Start(t)
	s := &shelf{T: t, write: open(t, engine.URL()), read: open(t, engine.ReaderURL()), now: now}
	producer, err := settings.NewProducer()
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	home := map[string]bool{}
	var records []*kgo.Record
	var want []kafka.Topic
	for _, topic := range []topics.Topic{topics.OrderEvents, topics.PaymentEvents, topics.InventoryEvents, topics.ProductEvents, topics.OrdersTable} {
		want = append(want, kafka.Topic{Name: topic.Name, Partitions: 3})
		home[topic.Name] = true
	}
	if _, err := kafka.EnsureTopics(ctx, kadm.NewClient(producer), want, false); err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		value, err := schemas.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		if !home[topics.Of(m).Name] {
			t.Fatalf("%s is on %s", m.Kind(), topics.Of(m).Name)
		}
		records = append(records, &kgo.Record{Topic: topics.Of(m).Name, Key: []byte(m.Key()), Value: value})
	}
	if err := producer.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	into, err := sink.New(sink.Config{Kafka: settings, Cluster: "cluster", URL: engine.URL(), Own: true, Instance: "test", Interval: 10 * time.Millisecond, Log: kafkatest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- into.Run(running) }()
	s.until(messages)
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	into.Close()
	return s
}

func open(t *testing.T, url string) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// rowsOf are the rows that messages make in each table.
func rowsOf(messages []schemas.Message) map[string]uint64 {
	n := map[string]uint64{}
	orders := map[string]bool{}
	for _, m := range messages {
		switch m := m.(type) {
		case *schemas.OrderCreated:
			n["order_lines"] += uint64(len(m.Lines))
		case *schemas.OrderConfirmed:
			n["order_lines"] += uint64(len(m.Lines))
		case *schemas.OrderRejected:
			n["order_lines"] += uint64(len(m.Lines))
		case *schemas.PaymentProcessed:
			n["payments"]++
		case *schemas.InventoryUpdated:
			n["stock_movements"] += uint64(len(m.Entries))
		case *schemas.InventoryLow, *schemas.BackInStock:
			n["stock_alerts"]++
		case *schemas.ProductAdded:
			n["products"]++
		case *schemas.OrderRow:
			orders[m.OrderID] = true
		}
		if topics.Of(m).Name == topics.OrderEvents.Name {
			n["order_events"]++
		}
	}
	n["orders_now"] = uint64(len(orders))
	return n
}

// until waits for all rows, and for the newest of each order.
func (s *shelf) until(messages []schemas.Message) {
	s.Helper()
	want := rowsOf(messages)
	newest := int64(0)
	versions := map[string]int64{}
	for _, m := range messages {
		if r, ok := m.(*schemas.OrderRow); ok {
			newest += r.Version - versions[r.OrderID]
			versions[r.OrderID] = r.Version
		}
	}
	missing := ""
	for limit := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		missing = ""
		for table, n := range want {
			var have uint64
			if err := s.write.QueryRow(s.Context(), "SELECT count() FROM "+table+" FINAL").Scan(&have); err != nil || have != n {
				missing += fmt.Sprintf(" %s has %d of %d (%v)", table, have, n, err)
			}
		}
		var have int64
		if err := s.write.QueryRow(s.Context(), "SELECT sum(version) FROM orders_now FINAL").Scan(&have); err != nil || have != newest {
			missing += fmt.Sprintf(" versions %d of %d (%v)", have, newest, err)
		}
		if missing == "" {
			return
		}
		if time.Now().After(limit) {
			s.Fatalf("after a minute:%s", missing)
		}
	}
}

// answer is what a report says: names of columns, and rows of values as text.
type answer struct {
	columns []string
	types   []string
	rows    [][]string
}

// ask runs a report as the HTTP API does: as a reader, with bound parameters.
func (s *shelf) ask(name, tenant string, given map[string]string) answer {
	s.Helper()
	r, ok := reports.Find(name)
	if !ok {
		s.Fatalf("there is no report %s", name)
	}
	bound, err := r.Bind(tenant, given, s.now)
	if err != nil {
		s.Fatalf("%s: %v", name, err)
	}
	var args []any
	for k, v := range bound {
		args = append(args, ch.Named(k, v))
	}
	ctx := ch.Context(s.Context(), ch.WithSettings(ch.Settings{"readonly": 2}))
	rows, err := s.read.Query(ctx, r.SQL, args...)
	if err != nil {
		s.Fatalf("%s: %v", name, err)
	}
	defer rows.Close()
	var a answer
	var into []any
	for _, t := range rows.ColumnTypes() {
		a.columns, a.types = append(a.columns, t.Name()), append(a.types, t.DatabaseTypeName())
		into = append(into, reflect.New(t.ScanType()).Interface())
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			s.Fatalf("%s: %v", name, err)
		}
		row := make([]string, len(into))
		for i := range into {
			row[i] = shown(reflect.ValueOf(into[i]).Elem().Interface())
		}
		a.rows = append(a.rows, row)
	}
	if err := rows.Err(); err != nil {
		s.Fatalf("%s: %v", name, err)
	}
	return a
}

// shown is a value as text: times as RFC 3339, a real number to nine digits, none as null.
func shown(v any) string {
	switch v := v.(type) {
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "not a number"
		}
		return strconv.FormatFloat(v, 'g', 9, 64)
	case string:
		return v
	}
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer {
		if p.IsNil() {
			return "null"
		}
		return shown(p.Elem().Interface())
	}
	return fmt.Sprint(v)
}

func (a answer) String() string {
	var b strings.Builder
	b.WriteString(strings.Join(a.columns, " | ") + "\n")
	for _, r := range a.rows {
		b.WriteString(strings.Join(r, " | ") + "\n")
	}
	return b.String()
}

package views

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
	"oms/internal/seal"
	"oms/internal/web"
	"oms/schemas"
	"oms/topics"
)

const partitions = 3

// shop is a broker, somebody who decides orders on it, and views of it.
type shop struct {
	*testing.T
	kafka  kafka.Settings
	dir    string
	writer *kgo.Client
	views  *Views
	counts *prometheus.Registry
	ended  chan error
	stop   func()
}

func openShop(t *testing.T) *shop {
	t.Helper()
	return openShopOn(t, kafkatest.Embedded(t).Settings())
}

func openShopOn(t *testing.T, on kafka.Settings) *shop {
	t.Helper()
	s := &shop{T: t, kafka: on, dir: t.TempDir()}
	s.createTopics()
	var err error
	if s.writer, err = s.kafka.NewProducer(kgo.TransactionalID("test")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.writer.Close)
	s.open()
	return s
}

func (s *shop) createTopics() {
	s.Helper()
	admin, err := s.kafka.NewProducer()
	if err != nil {
		s.Fatal(err)
	}
	defer admin.Close()
	var want []kafka.Topic
	for _, name := range followed() {
		want = append(want, kafka.Topic{Name: name, Partitions: partitions})
	}
	if _, err := kafka.EnsureTopics(context.Background(), kadm.NewClient(admin), want, false); err != nil {
		s.Fatal(err)
	}
}

// open the views and let them follow.
func (s *shop) open() {
	s.Helper()
	s.counts = prometheus.NewRegistry()
	v, err := New(Config{Kafka: s.kafka, Dir: s.dir, Unseal: plainText{}, Cursors: web.NewCursors([]byte("key")), Log: kafkatest.Log(s), Metrics: s.counts})
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	s.views, s.ended, s.stop = v, ended, func() {
		cancel()
		if err := <-ended; err != nil {
			s.Error(err)
		}
		if err := v.Close(); err != nil {
			s.Error(err)
		}
		s.stop = func() {}
	}
	s.Cleanup(func() { s.stop() })
}

// metric is the value of a counter or gauge.
func (s *shop) metric(name string) float64 {
	s.Helper()
	all, err := s.counts.Gather()
	if err != nil {
		s.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	s.Fatalf("there is no metric %s", name)
	return 0
}

// plainText opens what was never sealed.
type plainText struct{}

func (plainText) Open(sealed []byte) ([]byte, error) {
	if string(sealed) == "erased" {
		return nil, seal.ErrErased
	}
	if string(sealed) == "lost" {
		return nil, fmt.Errorf("%w: where it was", seal.ErrLost)
	}
	return sealed, nil
}

// say writes messages in one transaction.
func (s *shop) say(messages ...schemas.Message) { s.Helper(); s.transact(kgo.TryCommit, messages...) }

func (s *shop) transact(end kgo.TransactionEndTry, messages ...schemas.Message) {
	s.Helper()
	if err := s.writer.BeginTransaction(); err != nil {
		s.Fatal(err)
	}
	for _, m := range messages {
		s.writer.Produce(context.Background(), record(s, m), func(_ *kgo.Record, err error) {
			if err != nil {
				s.Error(err)
			}
		})
	}
	if err := s.writer.Flush(context.Background()); err != nil {
		s.Fatal(err)
	}
	if err := s.writer.EndTransaction(context.Background(), end); err != nil {
		s.Fatal(err)
	}
}

func record(t testing.TB, m schemas.Message) *kgo.Record {
	t.Helper()
	value, err := schemas.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	r := &kgo.Record{Topic: topics.Of(m).Name, Key: []byte(m.Key()), Value: value}
	for name, value := range topics.HeadersOf(m, "orders", 0, nil) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: value})
	}
	return r
}

const shopTenant = "default"

// orderRow is an order of customer cus_1 that was placed at a time in ms.
func orderRow(id string, version, placedMS int64, status schemas.OrderStatus) *schemas.OrderRow {
	return &schemas.OrderRow{
		Row: schemas.Row{Tenant: shopTenant, Version: version, NowMS: placedMS}, OrderID: id,
		Order: schemas.OrderState{Status: status, CustomerID: "cus_1", Principal: "sub_1", Currency: "EUR", PlacedAtMS: placedMS, TotalMinor: 200,
			ShippingAddress: []byte(`{"city":"Ulm"}`), Lines: []schemas.LineState{{Line: 1, ProductID: "p", Quantity: 2, UnitPriceMinor: 100, Status: schemas.LineStatusReserved}}},
	}
}

func productRow(id string, version, onHand int64) *schemas.ProductRow {
	return &schemas.ProductRow{Row: schemas.Row{Tenant: shopTenant, Version: version}, ProductID: id, Exists: true, Name: id, PriceMinor: 100, Currency: "EUR",
		Levels: []schemas.StockLevel{{LocationID: "main", OnHand: onHand, Reserved: 2, SafetyStock: 1}}}
}

// order waits until the views have the version.
func (s *shop) order(id string, version int64) map[string]any {
	s.Helper()
	doc, err := s.views.Order(soon(s), shopTenant, id, version, false)
	if err != nil {
		s.Fatalf("order %s, version %d: %v", id, version, err)
	}
	return parsed(s, doc.Body)
}

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func parsed(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return body
}

// until polls a condition that nothing announces.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for ctx := soon(t); !ok(); {
		select {
		case <-ctx.Done():
			t.Fatal("never: " + what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// asked is who a test's request comes from: headers instead of tokens.
type asked struct{}

func (asked) Guards() bool { return true }
func (asked) Authenticate(c *fiber.Ctx) (web.Principal, error) {
	p := web.Principal{Tenant: web.Header(c, "X-Tenant"), Subject: web.Header(c, "X-Subject")}
	if p.Tenant == "" {
		p.Tenant = shopTenant
	}
	p.Staff = p.Subject == ""
	return p, nil
}

// serve the views over HTTP and answer the base URL.
func (s *shop) serve() string {
	s.Helper()
	app := web.New(web.Config{Authenticator: asked{}, Log: kafkatest.Log(s)})
	s.views.Routes(app)
	base := serveApp(s, app)
	s.Cleanup(s.views.Stopping) // before the app's: streams keep it
	until(s, "the views are ready", s.views.Ready)
	return base
}

func serveApp(t testing.TB, app *fiber.App) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- app.Listener(ln) }()
	t.Cleanup(func() {
		if err := app.ShutdownWithTimeout(5 * time.Second); err != nil {
			t.Error(err)
		}
		<-done
	})
	return "http://" + ln.Addr().String()
}

// get a path with headers given as name, value.
func get(t testing.TB, url string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(soon(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	conforms(t, req, res, body)
	return res, body
}

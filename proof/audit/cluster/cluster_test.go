package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
	"oms/internal/store"
	"oms/internal/stream"
	"oms/processors"
	"oms/proof/audit"
	"oms/proof/audit/checkpoint"
	"oms/proof/audit/fold"
	"oms/schemas"
	"oms/topics"
)

// shop is a system without a border: its groups on an embedded broker, and a client that produces commands.
type shop struct {
	t    *testing.T
	s    kafka.Settings
	out  *kgo.Client
	stop func() // the groups; the broker stays
}

func openShop(t *testing.T) *shop {
	t.Helper()
	e := kafkatest.Embedded(t)
	sh := &shop{t: t, s: e.Settings()}
	var err error
	if sh.out, err = sh.s.NewProducer(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sh.out.Close)
	var want []kafka.Topic
	for _, topic := range topics.All {
		want = append(want, kafka.Topic{Name: topic.Name, Partitions: 2, Replicas: 1, Compact: topic.Policy == topics.Compact})
	}
	if _, err := kafka.EnsureTopics(t.Context(), kadm.NewClient(sh.out), want, false); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, len(processors.Groups))
	for _, g := range processors.Groups {
		metrics := prometheus.NewRegistry()
		shell := processors.NewShell(g, slog.New(slog.DiscardHandler), metrics)
		config := stream.Config{Kafka: sh.s, Group: g.Name, Inbox: g.Inbox.Name, DeadLetter: g.DeadLetters.Name, Instance: "test", Life: e.Life(), Journal: e.Journal(), Store: db, Log: kafkatest.Log(t), Metrics: metrics}
		if g.Tick != nil {
			config.Deadline, config.Tick = schemas.Deadline, shell.Tick
		}
		engine, err := stream.New(config)
		if err != nil {
			t.Fatal(err)
		}
		go func() { done <- shell.Run(ctx, engine, sh.s.Brokers) }()
	}
	stopped := false
	sh.stop = func() {
		if stopped {
			return
		}
		stopped = true
		stop()
		for range processors.Groups {
			if err := <-done; err != nil {
				t.Errorf("a group ended: %v", err)
			}
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(sh.stop)
	return sh
}

func (s *shop) say(m schemas.Message) {
	s.t.Helper()
	b, err := schemas.Encode(m)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(&kgo.Record{Topic: topics.Of(m).Name, Key: []byte(m.Key()), Value: b})
}

func (s *shop) write(r *kgo.Record) {
	s.t.Helper()
	if err := s.out.ProduceSync(s.t.Context(), r).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

// open adds products and stock.
func (s *shop) open(products int) {
	for n := range products {
		id := fmt.Sprintf("tea_%d", n)
		head := schemas.Command{CommandID: "cmd_" + id, Tenant: schemas.DefaultTenant}
		s.say(&schemas.AddProduct{Command: head, ProductID: id, Name: id, PriceMinor: 450, Currency: "EUR"})
		head.CommandID = "cmd_stock_" + id
		s.say(&schemas.AdjustStock{Command: head, ProductID: id, Mode: schemas.AdjustModeSet, LocationID: "main", Quantity: 10_000})
	}
}

// sell places orders of two lines and waits until they are decided and their products' answers taken.
func (s *shop) sell(from, to int) {
	s.t.Helper()
	for n := from; n < to; n++ {
		id := fmt.Sprintf("ord_%d", n)
		s.say(&schemas.PlaceOrder{Command: schemas.Command{CommandID: "cmd_" + id, Tenant: schemas.DefaultTenant}, OrderID: id, Fingerprint: []byte(id), Currency: "EUR",
			Lines:   []schemas.OrderLine{{Line: 1, ProductID: "tea_0", Quantity: 1}, {Line: 2, ProductID: fmt.Sprintf("tea_%d", n%5), Quantity: 2}},
			Payment: schemas.PaymentIntent{Method: schemas.PaymentMethodInvoice, Capture: schemas.CapturePolicyLater}, FillPolicy: schemas.FillPolicyAllOrNothing,
			Terms: schemas.OrderTerms{DecisionTimeoutMS: 60_000, CancelTimeoutMS: 60_000, PaymentTimeoutMS: 60_000, PaymentTries: 1, PaymentProvider: "sandbox"}})
	}
	s.wait(func(decided int) bool { return decided >= to })
}

// wait until so many orders of all are decided.
func (s *shop) wait(enough func(decided int) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 60*time.Second)
	defer cancel()
	r, err := s.s.NewReader(ctx, kafka.From{}, topics.OrderEvents.Name)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	decided := 0
	for !enough(decided) {
		if err := r.Poll(ctx, func(rec *kafka.Record) error {
			if schemas.KindIn(rec.Value) == schemas.KindOrderConfirmed {
				decided++
			}
			return nil
		}); err != nil {
			s.t.Fatalf("%d orders were decided: %v", decided, err)
		}
	}
}

func (s *shop) config() Config { return Config{Kafka: s.s, Build: "test"} }

func (s *shop) audit(c Config) audit.Report {
	s.t.Helper()
	r, err := Run(s.t.Context(), c)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func lawOf(r audit.Report, id string) audit.Law {
	for _, l := range r.Laws {
		if l.ID == id {
			return *l
		}
	}
	return audit.Law{}
}

func verdict(r audit.Report) string {
	var b bytes.Buffer
	r.Seconds = 0
	_ = r.Text(&b)
	return b.String()
}

func TestAShopAtWorkBreaksNoLaw(t *testing.T) {
	s := openShop(t)
	s.open(5)
	s.sell(0, 50)
	s.write(&kgo.Record{Topic: topics.OrderCommands.Name, Key: []byte("ord_1"), Value: []byte("garbage")})
	s.sell(50, 100)
	s.stop()
	r := s.audit(s.config())
	replay, prompt := lawOf(r, "I9"), lawOf(r, "I13")
	if r.Violations != 0 || r.State != "at rest" || r.Dead != 1 || replay.Checked != 105 || replay.Partly || replay.UnderWay != 0 || prompt.Partly || prompt.UnderWay != 0 {
		t.Errorf("%s", verdict(r))
	}
	var ids []string
	for _, l := range r.Laws {
		ids = append(ids, l.ID)
	}
	if got := strings.Join(ids, " "); got != "I1 I2 I3 I4 I5 I6 I7 I8 I9 I10 I11 I12 I13" {
		t.Errorf("laws in the order %s", got)
	}
}

func TestATableThatTheInboxDoesNotExplainIsFoundOut(t *testing.T) {
	s := openShop(t)
	s.open(5)
	s.sell(0, 10)
	s.stop()
	row := s.lastRow("tea_3")
	row.Metadata = append(row.Metadata, schemas.Note{Name: "who", Value: "nobody"})
	s.say(row) // same version, other content
	r := s.audit(s.config())
	if l := lawOf(r, "I9"); l.Violations != 1 || !strings.Contains(l.First, "tea_3") {
		t.Errorf("%s", verdict(r))
	}
}

func (s *shop) lastRow(product string) (row *schemas.ProductRow) {
	s.t.Helper()
	r, err := s.s.NewReader(s.t.Context(), kafka.From{}, topics.ProductsTable.Name)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	if err := r.ToEnd(s.t.Context(), func(rec *kafka.Record) error {
		if m, ok := schemas.Decode(rec.Value).(*schemas.ProductRow); ok && m.ProductID == product {
			row = m
		}
		return nil
	}); err != nil || row == nil {
		s.t.Fatalf("no row of %s: %v", product, err)
	}
	return row
}

func TestWhatNoGroupTakesIsFoundOut(t *testing.T) {
	s := openShop(t)
	s.open(5)
	s.sell(0, 10)
	s.stop()
	left := schemas.CancelOrder{Command: schemas.Command{CommandID: "cmd_left", Tenant: schemas.DefaultTenant}, OrderID: "ord_1", Fingerprint: []byte("f"), Reason: schemas.ReasonCancelledByCustomer}
	b, err := schemas.Encode(&left)
	if err != nil {
		t.Fatal(err)
	}
	rec := &kgo.Record{Topic: topics.OrderCommands.Name, Key: []byte("ord_1"), Value: b, Timestamp: time.Now()}
	s.write(rec)
	if l := lawOf(s.audit(s.config()), "I13"); l.Violations != 0 || l.UnderWay != 1 {
		t.Errorf("just written: %+v", l)
	}
	for n := 2; ; n++ { // in the other partition: behind the first it would not be the one that waits longest
		if left.OrderID = fmt.Sprintf("ord_%d", n); kafka.Partition([]byte(left.OrderID), 2) != kafka.Partition([]byte("ord_1"), 2) {
			break
		}
	}
	if b, err = schemas.Encode(&left); err != nil {
		t.Fatal(err)
	}
	s.write(&kgo.Record{Topic: rec.Topic, Key: []byte(left.OrderID), Value: b, Timestamp: time.Now().Add(-2 * time.Minute)})
	r := s.audit(s.config())
	if l := lawOf(r, "I13"); l.Violations != 1 || !strings.Contains(l.First, "oms.order.commands") || !strings.Contains(l.First, "not taken for 1") {
		t.Errorf("%s", verdict(r))
	}
	if l := lawOf(r, "I9"); l.Violations != 0 || l.UnderWay != 2 {
		t.Errorf("what was not taken is not folded: %+v", l)
	}
}

// An audit that was interrupted again and again says in the end what one says that was not.
func TestAnInterruptedAuditGoesOnWhereItWas(t *testing.T) {
	s := openShop(t)
	s.open(5)
	s.sell(0, 60)
	s.stop()
	row := s.lastRow("tea_3")
	row.Metadata = append(row.Metadata, schemas.Note{Name: "who", Value: "nobody"})
	s.say(row)
	want := verdict(s.audit(s.config()))

	c := s.config()
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	interrupted, last := 0, int64(0)
	for {
		r, err := interruptedAfter(t, c, 200)
		if err == nil {
			if got := verdict(r); got != want {
				t.Errorf("%s\nwant\n%s", got, want)
			}
			break
		}
		if !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		interrupted++
		var n int64
		if _, err := fmt.Sscanf(err.Error(), "interrupted; %d records are in the checkpoint", &n); err != nil || n <= last {
			t.Fatalf("after %d records: %v, %v", last, n, err)
		}
		last = n
	}
	if interrupted < 2 {
		t.Errorf("it was interrupted %d times: this proves little", interrupted)
	}
	// The next audit has nothing to read but what came since, and says the same.
	if got := verdict(s.audit(c)); got != want {
		t.Errorf("again:\n%s\nwant\n%s", got, want)
	}
}

// interruptedAfter is Run that is interrupted once it has read n records more, if there are so many.
func interruptedAfter(t *testing.T, c Config, n int64) (audit.Report, error) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	s, err := open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	s.reader.MaxPoll = 50
	defer s.close()
	before := s.books.Records()
	s.onBatch = func() {
		if s.books.Records()-before >= n {
			interrupt()
		}
	}
	return s.run(ctx, time.Now())
}

func TestACheckpointOfAnotherIsRefused(t *testing.T) {
	s := openShop(t)
	s.open(5)
	s.stop()
	c := s.config()
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	s.audit(c)
	refused := func(c Config, want string) {
		t.Helper()
		if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	other := c
	other.Build = "another"
	refused(other, "written by oms test, this is oms another")
	other = c
	other.Kafka = openShop(t).s
	refused(other, "belongs to cluster")
	if err := os.WriteFile(c.Checkpoint, []byte("not one"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(c, "no checkpoint of an audit")
}

func TestACheckpointThatTheLogDoesNotFollowIsRefused(t *testing.T) {
	s := openShop(t)
	s.open(5)
	s.sell(0, 10)
	s.stop()
	c := s.config()
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	s.audit(c)
	// The log ends before the checkpoint.
	x, err := open(t.Context(), s.config())
	if err != nil {
		t.Fatal(err)
	}
	ahead := s.config()
	ahead.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	next := x.reader.Next()
	next[topics.OrderEvents.Name][0] += 100
	if err := x.fold.with(func(f *fold.Fold) error { return checkpoint.Save(ahead.Checkpoint, x.fields(f, next)) }); err != nil {
		t.Fatal(err)
	}
	x.close()
	if _, err := Run(t.Context(), ahead); err == nil || !strings.Contains(err.Error(), "has lost its end") {
		t.Errorf("%v", err)
	}
	// The inbox of the products loses its beginning: what was read of it is no loss.
	inbox := topics.ProductCommands.Name
	let := func(before int64) {
		t.Helper()
		var offsets kadm.Offsets
		for p := range int32(2) {
			offsets.AddOffset(inbox, p, before, -1)
		}
		deleted, err := kadm.NewClient(s.out).DeleteRecords(t.Context(), offsets)
		if err == nil {
			err = deleted.Error()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	let(1)
	if l := lawOf(s.audit(c), "I9"); l.Partly || l.Violations != 0 || l.Checked != 15 {
		t.Errorf("with a checkpoint: %+v", l)
	}
	if _, err := Run(t.Context(), s.config()); err == nil || !strings.Contains(err.Error(), inbox+"/") || !strings.Contains(err.Error(), "starts at offset 1: the laws can only be checked from the first record on") {
		t.Errorf("without: %v", err)
	}
	// It loses what was not read.
	for n := range 4 {
		for p := range int32(2) {
			s.writeTo(p, inbox, fmt.Sprint("garbage ", n))
		}
	}
	let(-1)
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "can no longer be audited, unless it was archived") {
		t.Errorf("%v", err)
	}
}

// writeTo writes garbage into a partition.
func (s *shop) writeTo(partition int32, topic, value string) {
	s.t.Helper()
	cl, err := s.s.NewProducer(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(s.t.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: []byte(value)}).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

func TestAFollowerTellsOfAViolationAndRemembersIt(t *testing.T) {
	s := openShop(t)
	s.open(5)
	s.sell(0, 20)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines := make(chan string, 1000)
	metrics := prometheus.NewRegistry()
	type end struct {
		audit.Report
		error
	}
	ended := make(chan end, 1)
	c := s.config()
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	go func() {
		r, err := Follow(ctx, c, Watch{Every: 50 * time.Millisecond, Metrics: metrics, Say: func(line string) { lines <- line }})
		ended <- end{r, err}
	}()
	await := func(want string) {
		t.Helper()
		for late := time.After(30 * time.Second); ; {
			select {
			case line := <-lines:
				if strings.Contains(line, want) {
					return
				}
			case e := <-ended:
				t.Fatalf("it ended before it said %q: %v", want, e.error)
			case <-late:
				t.Fatalf("it did not say %q", want)
			}
		}
	}
	await("25 orders and products")
	s.sell(20, 40)
	await("45 orders and products")
	if got := gauge(t, metrics, "oms_audit_violations", ""); got != 0 {
		t.Errorf("%v violations by the metric", got)
	}
	row := s.lastRow("tea_3")
	row.Metadata = append(row.Metadata, schemas.Note{Name: "who", Value: "nobody"})
	s.say(row)
	await("I9 is broken")
	s.sell(40, 60) // until the product's row is written again, and all is well
	await("65 orders and products")
	stop()
	e := <-ended
	if e.error != nil {
		t.Fatal(e.error)
	}
	if l := lawOf(e.Report, "I9"); e.Report.Violations == 0 || l.Violations == 0 || !strings.Contains(l.First, "tea_3") {
		t.Errorf("%s", verdict(e.Report))
	}
	if got := gauge(t, metrics, "oms_audit_violations", "I9"); got == 0 {
		t.Error("the metric forgot it")
	}
	if got := gauge(t, metrics, "oms_audit_records", ""); got != float64(e.Report.Records) {
		t.Errorf("%v records by the metric, %d by the report", got, e.Report.Records)
	}
	if _, err := os.Stat(c.Checkpoint); err != nil {
		t.Error(err)
	}
}

// gauge sums a metric, of one law or of all.
func gauge(t *testing.T, g prometheus.Gatherer, name, law string) (sum float64) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (law == "" || len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == law) {
				sum += m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

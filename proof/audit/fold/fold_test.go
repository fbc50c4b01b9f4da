package fold

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/processors"
	"oms/proof/audit"
	"oms/proof/audit/checkpoint"
	"oms/schemas"
	"oms/topics"
)

const startMS = 1_800_000_000_000

// shop runs the groups without Kafka, and keeps every record that they read and write.
type shop struct {
	t    *testing.T
	log  []*kafka.Record
	next map[string]int64
	rows map[string][]byte // by table and key
	ms   int64
}

// groupOf finds the group of an inbox.
func groupOf(topic string) *processors.Group {
	for i := range processors.Groups {
		if processors.Groups[i].Inbox.Name == topic {
			return &processors.Groups[i]
		}
	}
	return nil
}

func (s *shop) write(topic, key string, value []byte) *kafka.Record {
	r := &kafka.Record{Topic: topic, Key: []byte(key), Value: value, Offset: s.next[topic], Timestamp: time.UnixMilli(s.ms)}
	s.next[topic]++
	s.log = append(s.log, r)
	return r
}

// say writes a message and lets the group of its inbox, if it has one, take it.
func (s *shop) say(m schemas.Message) {
	b, err := schemas.Encode(m)
	if err != nil {
		s.t.Fatal(err)
	}
	s.ms++
	topic := topics.Of(m).Name
	s.write(topic, m.Key(), b)
	g := groupOf(topic)
	if g == nil {
		return
	}
	d := g.Take(m.Key(), b, s.ms, func() []byte { return s.rows[g.Table.Name+m.Key()] })
	if d.Dead != "" {
		s.t.Fatal(d.Dead)
	}
	if d.Row != nil {
		s.rows[g.Table.Name+m.Key()] = d.Row
		s.write(g.Table.Name, m.Key(), d.Row)
	}
	for _, o := range d.Said {
		s.say(o.Message)
	}
}

// bury writes a record into an inbox and straight from there into the dead letters, as the engine does with one that it cannot commit.
func (s *shop) bury(m schemas.Message) {
	b, err := schemas.Encode(m)
	if err != nil {
		s.t.Fatal(err)
	}
	g := groupOf(topics.Of(m).Name)
	r := s.write(g.Inbox.Name, m.Key(), b)
	letter := s.write(g.DeadLetters.Name, m.Key(), b)
	for name, value := range map[string]string{"oms-origin-topic": r.Topic, "oms-origin-partition": "0", "oms-origin-offset": strconv.FormatInt(r.Offset, 10), "oms-error": "too large"} {
		letter.Headers = append(letter.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
}

func placing(id string, units int64) *schemas.PlaceOrder {
	return &schemas.PlaceOrder{Command: schemas.Command{CommandID: "cmd_" + id, Tenant: schemas.DefaultTenant}, OrderID: id, Fingerprint: []byte(id), Currency: "EUR",
		Lines: []schemas.OrderLine{{Line: 1, ProductID: "tea", Quantity: units}}, Payment: schemas.PaymentIntent{Method: schemas.PaymentMethodInvoice, Capture: schemas.CapturePolicyLater}, FillPolicy: schemas.FillPolicyAllOrNothing,
		Terms: schemas.OrderTerms{DecisionTimeoutMS: 1000, CancelTimeoutMS: 1000, PaymentTimeoutMS: 1000, PaymentTries: 1, PaymentProvider: "sandbox"}}
}

func stock(units int64, n int) *schemas.AdjustStock {
	return &schemas.AdjustStock{Command: schemas.Command{CommandID: fmt.Sprintf("cmd_stock_%d", n), Tenant: schemas.DefaultTenant}, ProductID: "tea", Mode: schemas.AdjustModeSet, LocationID: "main", Quantity: units}
}

// day of a shop: a product, three orders, one of which is cancelled, and a customer.
func day(t *testing.T) *shop {
	s := &shop{t: t, next: map[string]int64{}, rows: map[string][]byte{}, ms: startMS}
	s.say(&schemas.AddProduct{Command: schemas.Command{CommandID: "cmd_add", Tenant: schemas.DefaultTenant}, ProductID: "tea", Name: "tea", PriceMinor: 450, Currency: "EUR"})
	s.say(stock(10, 1))
	s.say(placing("ord_a", 2))
	s.say(placing("ord_b", 3))
	s.say(placing("ord_b", 3)) // a repetition changes nothing
	s.say(placing("ord_c", 100))
	s.say(&schemas.CancelOrder{Command: schemas.Command{CommandID: "cmd_cancel", Tenant: schemas.DefaultTenant}, OrderID: "ord_b", Fingerprint: []byte("c"), Reason: schemas.ReasonCancelledByCustomer})
	s.say(&schemas.RegisterCustomer{Command: schemas.Command{CommandID: "cmd_reg", Tenant: schemas.DefaultTenant}, LoginID: "log_1", CustomerID: "cus_1", Fingerprint: []byte("f")})
	return s
}

// ends of the records as they stand.
func (s *shop) ends() kafka.Offsets {
	ends := kafka.Offsets{}
	for topic, at := range s.next {
		ends[topic] = map[int32]int64{0: at}
	}
	return ends
}

// fold takes everything, with tables and dead letters before the inboxes or behind them, as a reader may.
func (s *shop) fold() *Fold {
	f := New()
	for _, inboxes := range []bool{false, true} {
		for _, r := range s.log {
			if (groupOf(r.Topic) != nil) == inboxes {
				f.Take(r)
			}
		}
	}
	f.Until(s.ends(), s.ends())
	return f
}

// longMS is when everything that was under way has arrived.
const longMS = startMS + 3_600_000

func (s *shop) law() audit.Law { return *s.fold().Law(longMS, true) }

// rowOf finds the last row of a key in a table.
func (s *shop) rowOf(table topics.Topic, key string) int {
	s.t.Helper()
	for i := len(s.log) - 1; i >= 0; i-- {
		if r := s.log[i]; r.Topic == table.Name && string(r.Key) == key {
			return i
		}
	}
	s.t.Fatalf("%s has no row of %q", table.Name, key)
	return 0
}

func (s *shop) drop(i int) { s.log = append(s.log[:i:i], s.log[i+1:]...) }

func TestFoldingTheInboxesGivesTheTablesTwice(t *testing.T) {
	s := day(t)
	l := s.law()
	if l.Violations != 0 || l.UnderWay != 0 || l.Partly || l.Checked != int64(len(s.rows)) || l.Checked != 6 {
		t.Errorf("%d rows: %+v", len(s.rows), l)
	}
	if again := s.law(); again != l {
		t.Errorf("again: %+v", again)
	}
	f := s.fold()
	for key, want := range s.rows { // not by the hash alone
		var got []byte
		for _, g := range f.groups {
			if k, ok := strings.CutPrefix(key, g.Table.Name); ok {
				got = g.parts[0].rows[k].folded
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", key, got, want)
		}
	}
}

func TestEachLieIsFoundOut(t *testing.T) {
	change := func(s *shop, table topics.Topic, key string, change func(schemas.Message)) {
		i := s.rowOf(table, key)
		m := schemas.Decode(s.log[i].Value)
		change(m)
		b, err := schemas.Encode(m)
		if err != nil {
			s.t.Fatal(err)
		}
		again := *s.log[i]
		again.Value = b
		s.log[i] = &again
	}
	first := func(s *shop, kind schemas.Kind) int {
		for i, r := range s.log {
			if schemas.KindIn(r.Value) == kind {
				return i
			}
		}
		s.t.Fatalf("the day has no %s", kind)
		return 0
	}
	for name, lie := range map[string]func(s *shop){
		"a row with another content": func(s *shop) {
			change(s, topics.OrdersTable, "ord_a", func(m schemas.Message) { m.(*schemas.OrderRow).Order.ClientReference = "other" })
		},
		"a row with another time": func(s *shop) {
			change(s, topics.ProductsTable, "tea", func(m schemas.Message) { m.(*schemas.ProductRow).NowMS++ })
		},
		"a row that is ahead of its inbox": func(s *shop) {
			change(s, topics.CustomersTable, "cus_1", func(m schemas.Message) { m.(*schemas.CustomerRow).Version++ })
		},
		"a row that stayed behind": func(s *shop) { s.drop(s.rowOf(topics.OrdersTable, "ord_b")) },
		"a row that is not there":  func(s *shop) { s.drop(s.rowOf(topics.LoginsTable, "log_1")) },
		"a row of nobody": func(s *shop) {
			s.write(topics.OrdersTable.Name, "ord_ghost", s.rows[topics.OrdersTable.Name+"ord_a"])
		},
		"a row that cannot be read": func(s *shop) {
			s.write(topics.OrdersTable.Name, "ord_a", []byte("garbage"))
		},
		"a record of the inbox that nobody took": func(s *shop) {
			b, _ := schemas.Encode(placing("ord_d", 1))
			s.write(topics.OrderCommands.Name, "ord_d", b)
		},
		"a step that no record of the inbox explains": func(s *shop) {
			at := len(s.log)
			s.say(stock(11, 2))
			s.drop(at)
		},
		"a record of the inbox that is lost": func(s *shop) { s.drop(first(s, schemas.KindStockReply)) },
		"a dead letter of a record that was taken all the same": func(s *shop) {
			s.bury(stock(12, 3))
			s.next[topics.ProductCommands.Name]--
			b := s.log[len(s.log)-2]
			s.log = append(s.log[:len(s.log)-2], s.log[len(s.log)-1])
			s.say(schemas.Decode(b.Value))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := day(t)
			lie(s)
			if l := s.law(); l.Violations == 0 || l.First == "" {
				t.Errorf("not found out: %+v", l)
			} else {
				t.Log(l.First)
			}
		})
	}
}

func TestADeadLetterChangesNothing(t *testing.T) {
	s := day(t)
	s.bury(stock(0, 2))
	s.say(stock(20, 3))
	if l := s.law(); l.Violations != 0 || l.Checked != 6 {
		t.Errorf("%+v", l)
	}
	if f := s.fold(); len(f.inboxes[topics.ProductCommands.Name].parts[0].dead) != 0 {
		t.Error("dead letters whose records were met are kept")
	}
}

func TestGarbageChangesNothing(t *testing.T) {
	s := day(t)
	s.write(topics.OrderCommands.Name, "ord_a", []byte("garbage"))
	s.write(topics.OrderCommands.Name, "ord_b", s.log[0].Value) // a product's
	if l := s.law(); l.Violations != 0 {
		t.Errorf("%+v", l)
	}
}

// Beside a live system an inbox and its table are never read up to the same moment.
func TestWhatIsUnderWayIsNoViolation(t *testing.T) {
	law := func(s *shop, asOfMS int64, until func(taken, covered kafka.Offsets)) audit.Law {
		f := New()
		for _, r := range s.log {
			f.Take(r)
		}
		taken, covered := s.ends(), s.ends()
		until(taken, covered)
		f.Until(taken, covered)
		return *f.Law(asOfMS, false)
	}
	orders, table := topics.OrderCommands.Name, topics.OrdersTable.Name

	s := day(t)
	behind := law(s, longMS, func(taken, covered kafka.Offsets) { taken[orders][0] = 0; covered[table][0] = 0 })
	if behind.Violations != 0 || behind.UnderWay < 3 || behind.Checked != 3 {
		t.Errorf("the group's offsets were asked for before: %+v", behind)
	}
	if lie := law(s, longMS, func(taken, _ kafka.Offsets) { taken[orders][0] = 0 }); lie.Violations != 3 {
		t.Errorf("rows that the offsets cover, and that no record explains: %+v", lie)
	}
	s.drop(s.rowOf(topics.OrdersTable, "ord_b"))
	if l := law(s, s.ms, func(_, _ kafka.Offsets) {}); l.Violations != 0 || l.UnderWay != 1 {
		t.Errorf("the table was read before: %+v", l)
	}
	if l := law(s, longMS, func(_, _ kafka.Offsets) {}); l.Violations != 1 || l.UnderWay != 0 {
		t.Errorf("the row did not come within the grace: %+v", l)
	}
}

// A row that an older build wrote is compared as this one would write it.
func TestAnOlderSchemaIsNoDifference(t *testing.T) {
	s := day(t)
	i := s.rowOf(topics.OrdersTable, "ord_a")
	var old *schemas.Release
	for _, r := range schemas.Releases() {
		if r.Kind == schemas.KindOrderRow && r.Version == 1 {
			old = r
		}
	}
	again := *s.log[i]
	again.Value = encodeAs(t, old, schemas.Decode(again.Value))
	if bytes.Equal(again.Value, s.log[i].Value) {
		t.Fatal("the two schemas write the same: this proves nothing")
	}
	s.log[i] = &again
	if l := s.law(); l.Violations != 0 || l.Checked != 6 {
		t.Errorf("%+v", l)
	}
}

func TestAFoldGoesOnWhereItWasSaved(t *testing.T) {
	s := day(t)
	s.bury(stock(0, 2))
	s.say(stock(20, 3))
	want := s.fold()
	for cut := range s.log {
		f := New()
		file := filepath.Join(t.TempDir(), "checkpoint")
		for i, r := range s.log {
			if i == cut {
				if err := checkpoint.Save(file, f.Fields); err != nil {
					t.Fatal(err)
				}
				f = New()
				if err := checkpoint.Load(file, f.Fields); err != nil {
					t.Fatal(err)
				}
			}
			f.Take(r)
			if i%2 == 0 {
				f.Until(kafka.Offsets{r.Topic: {0: r.Offset}}, kafka.Offsets{})
			}
		}
		f.Until(s.ends(), s.ends())
		got, wanted := f.Law(longMS, true), want.Law(longMS, true)
		if *got != *wanted || got.Violations != 0 {
			t.Errorf("cut before record %d: %+v, want %+v", cut, *got, *wanted)
		}
	}
}

func encodeAs(t *testing.T, r *schemas.Release, m schemas.Message) []byte {
	b, err := avro.MustParse(r.Text).AppendEncode(binary.BigEndian.AppendUint32([]byte{0}, r.ID), m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

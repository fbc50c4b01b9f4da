package views

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka/kafkatest"
	"oms/schemas"
)

func TestAWriterReadsItsOwnWrite(t *testing.T) {
	s := openShop(t)
	type answer struct {
		status any
		err    error
	}
	decided := make(chan answer, 1)
	go func() {
		doc, err := s.views.Order(soon(t), shopTenant, "ord_1", 1, true)
		decided <- answer{parsed(t, doc.Body)["status"], err}
	}()
	s.say(orderRow("ord_1", 1, 1000, schemas.OrderStatusPending))
	if body := s.order("ord_1", 1); body["status"] != "PENDING" {
		t.Errorf("version 1 is %v", body["status"])
	}
	select {
	case a := <-decided:
		t.Fatalf("an order that is not decided was answered: %v", a)
	default:
	}
	s.say(orderRow("ord_1", 2, 1000, schemas.OrderStatusConfirmed))
	if a := <-decided; a.err != nil || a.status != "CONFIRMED" {
		t.Errorf("decided as %v, %v", a.status, a.err)
	}
}

func TestAWaitThatEndsEarlyAnswersTheRowAsItIs(t *testing.T) {
	s := openShop(t)
	s.say(orderRow("ord_1", 3, 1000, schemas.OrderStatusPending))
	s.order("ord_1", 3)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	doc, err := s.views.Order(ctx, shopTenant, "ord_1", 4, false)
	if !errors.Is(err, context.DeadlineExceeded) || doc.Version != 3 || !doc.Found {
		t.Errorf("version %d, found %v, %v", doc.Version, doc.Found, err)
	}
	if doc, err = s.views.Order(ctx, shopTenant, "ord_2", 1, false); !errors.Is(err, context.DeadlineExceeded) || doc.Found {
		t.Errorf("an order that is not there: found %v, %v", doc.Found, err)
	}
	if len(s.views.watch.waiting) != 0 {
		t.Error("somebody still waits")
	}
}

// On a real Kafka as well: the topic ends in a marker, which a follower has to pass to stand at the end.
func TestAnAbortedTransactionIsNeverSeen(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, on kafkatest.Broker) { abortedIsNeverSeen(openShopOn(t, on.Settings)) })
}

func abortedIsNeverSeen(s *shop) {
	t := s.T
	s.say(orderRow("ord_1", 1, 1000, schemas.OrderStatusPending))
	s.transact(kgo.TryAbort, orderRow("ord_1", 2, 1000, schemas.OrderStatusRejected), orderRow("ord_2", 1, 1000, schemas.OrderStatusPending))
	s.say(orderRow("ord_3", 1, 1000, schemas.OrderStatusPending))
	s.order("ord_3", 1)
	until(t, "the views stand at the end", func() bool { lag, err := s.views.Lag(soon(t)); return err == nil && lag == 0 })
	if body := s.order("ord_1", 1); body["version"] != 1.0 {
		t.Errorf("ord_1 has version %v", body["version"])
	}
	if doc, err := s.views.Order(soon(t), shopTenant, "ord_2", 0, false); err != nil || doc.Found {
		t.Errorf("ord_2 was found: %v, %v", doc.Found, err)
	}
}

func TestARestartGoesOnWhereItStood(t *testing.T) {
	s := openShop(t)
	for i := range 50 {
		s.say(orderRow(fmt.Sprintf("ord_%d", i), 1, 1000, schemas.OrderStatusPending))
	}
	for i := range 50 {
		s.order(fmt.Sprintf("ord_%d", i), 1)
	}
	s.stop()
	s.say(orderRow("ord_7", 2, 1000, schemas.OrderStatusConfirmed))
	s.open()
	s.order("ord_7", 2)
	s.order("ord_49", 1)
	if n := s.metric("views_records_total"); n != 1 {
		t.Errorf("the second run took up %v records, want the one that is new", n)
	}
}

func TestDamagedFilesAreSetAsideAndBuiltAgain(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"cut":  func(path string) error { return os.Truncate(path, 10) },
		"gone": os.Remove,
		"bent": func(path string) error {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			raw[20] ^= 1 // within the first block
			return os.WriteFile(path, raw, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openShop(t)
			s.say(orderRow("ord_1", 1, 1000, schemas.OrderStatusPending))
			s.order("ord_1", 1)
			s.stop()
			tables, err := filepath.Glob(filepath.Join(s.dir, "*", dataName, "*.sst"))
			if err != nil || len(tables) == 0 {
				t.Fatalf("no tables to damage: %v", err)
			}
			for _, path := range tables {
				if err := damage(path); err != nil {
					t.Fatal(err)
				}
			}
			s.open()
			if s.broken() { // found when it was read: the next start sets it aside
				s.open()
			}
			s.order("ord_1", 1)
			if aside, _ := filepath.Glob(filepath.Join(s.dir, "*", dataName+".damaged-*")); len(aside) != 1 {
				t.Errorf("%d directories were set aside", len(aside))
			}
		})
	}
}

// broken reads everything, and if that shows damage waits until the views have ended because of it.
func (s *shop) broken() bool {
	err := s.views.disk.scan([]byte{0}, []byte{255}, func(_, _ []byte) bool { return true })
	if err == nil {
		return false
	}
	if ended := <-s.ended; ended == nil {
		s.Error("the disk failed and the views ended without a word")
	}
	s.ended <- nil
	s.stop()
	return true
}

func TestAPartitionWhoseLogWasCutIsReadAgain(t *testing.T) {
	s := openShop(t)
	for i := range 20 {
		s.say(orderRow(fmt.Sprintf("ord_%d", i), 1, 1000, schemas.OrderStatusPending))
		s.order(fmt.Sprintf("ord_%d", i), 1)
	}
	s.stop()
	for i := range 10 { // these live on behind the cut, the others went away while nobody followed
		s.say(orderRow(fmt.Sprintf("ord_%d", i), 2, 1000, schemas.OrderStatusConfirmed))
	}
	cut := kadm.Offsets{}
	admin := kadm.NewClient(s.writer)
	ends, err := admin.ListEndOffsets(soon(t), "orders-table")
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) { cut.AddOffset(o.Topic, o.Partition, o.Offset, -1) })
	if res, err := admin.DeleteRecords(soon(t), cut); err != nil || res.Error() != nil {
		t.Fatal(err, res.Error())
	}
	s.say(orderRow("ord_0", 3, 1000, schemas.OrderStatusConfirmed))
	s.open()
	s.order("ord_0", 3)
	until(t, "the views are ready", s.views.Ready)
	if doc, err := s.views.Order(soon(t), shopTenant, "ord_19", 0, false); err != nil || doc.Found {
		t.Errorf("a row that is in no log any more was found: %v, %v", doc.Found, err)
	}
	if n := s.entries(kindPlaced); n != 1 {
		t.Errorf("%d orders are listed, want 1", n)
	}
}

// entries of a kind on disk, once all is written.
func (s *shop) entries(kind byte) (n int) {
	s.Helper()
	if err := s.views.settle(); err != nil {
		s.Fatal(err)
	}
	if err := s.views.disk.scan([]byte{kind}, []byte{kind + 1}, func(_, _ []byte) bool { n++; return true }); err != nil {
		s.Fatal(err)
	}
	return n
}

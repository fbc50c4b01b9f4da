package views

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"oms/internal/kafka"
	"oms/schemas"
)

func TestTheNewestValueOfARowIsSeenWhileAnOlderOneIsWritten(t *testing.T) {
	g := gather{}
	g.begin(kafka.Offsets{}, kafka.Offsets{})
	at := rowAt{ordersTable, 0, "a"}
	add := func(value string) {
		f := newFetch()
		f.put(at, versions{first: []byte(value), last: []byte(value)})
		g.add(f, kafka.Offsets{})
	}
	want := func(value string, there bool) {
		t.Helper()
		if got, ok := g.row(at); string(got) != value || ok != there {
			t.Errorf("got %q (%v), want %q (%v)", got, ok, value, there)
		}
	}
	want("", false)
	add("1")
	want("1", true)
	f, next := g.take()
	want("1", true)
	add("2")
	add("3")
	want("3", true)
	if r := f.rows[at]; string(r.first) != "1" || string(r.last) != "1" {
		t.Errorf("what is being written has become %q to %q", r.first, r.last)
	}
	g.stands(next)
	if f, _ := g.take(); string(f.rows[at].first) != "2" || string(f.rows[at].last) != "3" {
		t.Errorf("%q to %q are written next, want 2 to 3", f.rows[at].first, f.rows[at].last)
	}
	want("3", true)
	g.stands(next)
	want("", false)
}

func TestWhatAnOrderWentThroughBeforeItWasWrittenLeavesNothingBehind(t *testing.T) {
	s := openShop(t)
	for version, status := range []schemas.OrderStatus{schemas.OrderStatusPending, schemas.OrderStatusConfirmed, schemas.OrderStatusCompleted} {
		s.say(orderRow("ord_1", int64(version+1), 1000, status))
	}
	s.order("ord_1", 3)
	if placed, status := s.entries(kindPlaced), s.entries(kindStatus); placed != 1 || status != 1 {
		t.Errorf("%d entries by time and %d by status, want one each", placed, status)
	}
	s.say(orderRow("ord_1", 4, 1000, schemas.OrderStatusClosed))
	s.order("ord_1", 4)
	if status := s.entries(kindStatus); status != 1 {
		t.Errorf("%d entries by status after another version, want 1", status)
	}
}

func TestARowThatIsInTheLogTwiceDoesNotHideTheOneBefore(t *testing.T) {
	s := openShop(t)
	s.say(orderRow("ord_1", 1, 1000, schemas.OrderStatusPending))
	s.order("ord_1", 1)
	s.stop()
	s.say(orderRow("ord_1", 1, 1000, schemas.OrderStatusPending)) // as the embedded broker does when it compacts at its start
	s.open()
	until(t, "the views are ready", s.views.Ready)
	s.say(orderRow("ord_1", 2, 1000, schemas.OrderStatusConfirmed))
	s.order("ord_1", 2)
	if n := s.entries(kindStatus); n != 1 {
		t.Errorf("%d entries by status, want 1", n)
	}
}

func TestADiskThatRefusesSlowlyDoesNotKeepWhatHasGatheredFromEnding(t *testing.T) {
	var full atomic.Bool
	d, err := openDisk(t.TempDir(), slog.New(slog.DiscardHandler), errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if writes := op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpFileWrite; !writes || !full.Load() || !strings.Contains(op.Path, ".sst") {
			return nil
		}
		time.Sleep(50 * time.Millisecond) // how slowly it refuses
		return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
	})))
	if err != nil {
		t.Fatal(err)
	}
	v := &Views{disk: d, log: slog.New(slog.DiscardHandler), cards: map[string]card{}}
	v.metrics.register(nil, v)
	v.gather.begin(kafka.Offsets{}, kafka.Offsets{})
	full.Store(true)
	f := newFetch()
	for i := int64(0); f.bytes < gatheredBytes; i++ {
		row := orderRow(fmt.Sprintf("ord_%06d", i), 1, i, schemas.OrderStatusPending)
		row.Order.ClientReference = strings.Repeat("x", 4000)
		rec := record(t, row)
		rec.Topic, rec.Offset = "orders-table", i
		v.take(f, rec)
	}
	v.gather.add(f, kafka.Offsets{"orders-table": {0: 1}})
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(v.settle(), d.use(d.flush)) }()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "no space left on device") {
			t.Errorf("answers %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the flush waits for a disk that refuses")
	}
	if err := d.close(); err != nil && !strings.Contains(err.Error(), "no space left on device") {
		t.Error(err)
	}
}

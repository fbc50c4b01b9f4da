package stream

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"oms/internal/kafka"
	"oms/internal/store"
)

// forgetful is a broker that confirms the end of a transaction, calls it complete, and writes no marker.
type forgetful struct {
	*kfake.Cluster
	settings kafka.Settings
	verdict  string       // what became of the transaction
	id       int64        // of its producer
	epoch    int16        // of its producer
	forgets  atomic.Bool  // the next end
	asked    atomic.Int32 // how often it was asked for a verdict
}

func forget(t *testing.T, verdict string) *forgetful {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "in", "out", "dead"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	f := &forgetful{Cluster: c, settings: kafka.Settings{Brokers: c.ListenAddrs()}, verdict: verdict}
	c.ControlKey(kmsg.EndTxn.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return req.ResponseKind(), nil, f.forgets.Swap(false)
	})
	c.ControlKey(kmsg.DescribeTransactions.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		f.asked.Add(1)
		resp, s := req.ResponseKind().(*kmsg.DescribeTransactionsResponse), kmsg.NewDescribeTransactionsResponseTransactionState()
		s.TransactionalID, s.State, s.ProducerID, s.ProducerEpoch = "g-a", f.verdict, f.id, f.epoch
		resp.TransactionStates = append(resp.TransactionStates, s)
		return resp, nil, true
	})
	return f
}

// write leaves a transaction of the engine's id without markers.
func (f *forgetful) write(t *testing.T, e *Engine) *client {
	t.Helper()
	s, err := kgo.NewGroupTransactSession(f.settings.Options(kgo.TransactionalID(e.transactionalID()), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("in"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{GroupTransactSession: s, changed: make(chan struct{})}
	t.Cleanup(c.shut)
	if err := e.begin(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	e.out.begin(s.Client(), 2)
	for p := range int32(2) {
		s.Produce(t.Context(), &kgo.Record{Topic: "out", Partition: p, Value: []byte("said")}, e.out.sent)
	}
	if err := s.Client().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.id, f.epoch, err = s.Client().ProducerID(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.forgets.Store(true)
	if err := s.Client().EndTransaction(t.Context(), kgo.TryCommit); err != nil || f.forgets.Load() {
		t.Fatalf("the end was not confirmed: %v", err)
	}
	return c
}

// seen counts what a reader of committed records finds, and demands that nothing is open.
func (f *forgetful) seen(t *testing.T) (n int) {
	t.Helper()
	r, err := kgo.NewClient(f.settings.Options(kgo.ConsumeTopics("out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords())...)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ends, err := kadm.NewClient(r).ListEndOffsets(t.Context(), "out")
	if err != nil {
		t.Fatal(err)
	}
	stable, err := kadm.NewClient(r).ListCommittedOffsets(t.Context(), "out")
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	ends.Each(func(end kadm.ListedOffset) {
		if s, _ := stable.Lookup(end.Topic, end.Partition); s.Offset != end.Offset || end.Offset == 0 {
			t.Errorf("partition %d ends at %d and is decided up to %d", end.Partition, end.Offset, s.Offset)
		} else {
			left++
		}
	})
	for left > 0 {
		for it := r.PollFetches(t.Context()).RecordIter(); !it.Done(); {
			record := it.Next()
			if end, _ := ends.Lookup("out", record.Partition); record.Offset == end.Offset-1 {
				left--
			}
			if !record.Attrs.IsControl() {
				n++
			}
		}
	}
	return n
}

func TestMarkersThatTheBrokerHasLostAreWrittenBeforeAnotherTransactionBegins(t *testing.T) {
	for verdict, want := range map[string]int{"CompleteCommit": 2, "CompleteAbort": 0, "Empty": 0} {
		t.Run(verdict, func(t *testing.T) {
			db, err := store.Open(t.TempDir(), store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			f := forget(t, verdict)
			e, err := New(Config{Kafka: f.settings, Group: "g", Inbox: "in", DeadLetter: "dead", Instance: "a", Store: db})
			if err != nil {
				t.Fatal(err)
			}
			c := f.write(t, e)
			var unknown *unknownError
			if err := e.begin(t.Context(), c); !errors.As(err, &unknown) || !errors.Is(err, errMarkers) {
				t.Fatalf("the next transaction begins: %v", err)
			}
			if underWay, err := e.mend(t.Context()); err != nil || underWay {
				t.Fatalf("mending: %v, %v", underWay, err)
			}
			if n := f.seen(t); n != want {
				t.Errorf("%d records are seen, want %d", n, want)
			}
			f.asked.Store(0)
			if err := e.begin(t.Context(), c); err != nil || f.asked.Load() > 0 {
				t.Errorf("the next transaction does not begin at once: %v, asked %d times", err, f.asked.Load())
			}
		})
	}
}

func TestTheOffsetsOfAGroupAreWhereTheBrokerKeepsThem(t *testing.T) {
	for group, want := range map[string]int32{"orders": 31, "products": 8, "logins": 4, "customers": 19} {
		if p := offsetsPartition(group, 50); p != want {
			t.Errorf("%s: partition %d, want %d", group, p, want)
		}
	}
}

package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/proof/workload"
	"oms/schemas"
	"oms/topics"
)

// patience is how long nothing may be decided while orders are under way before a measurement is given up.
const patience = 30 * time.Second

// tally counts the decisions on the order topic from the moment it was opened.
type tally struct {
	record   *workload.Record                               // of orders placed through door kafka; nil: not kept
	each     func(order string, status schemas.OrderStatus) // of decisions; nil: they are only counted
	reader   *kafka.Reader
	byKind   map[schemas.Kind]*atomic.Int64
	decided  atomic.Int64
	lastNano atomic.Int64  // when the last decision was read
	moved    chan struct{} // something was decided
	failed   chan error
	cancel   context.CancelFunc
	done     sync.WaitGroup
}

// decisions are the facts that end the wait of a buyer, and the order's status after them.
var decisions = map[schemas.Kind]schemas.OrderStatus{
	schemas.KindOrderConfirmed: schemas.OrderStatusConfirmed, schemas.KindOrderRejected: schemas.OrderStatusRejected, schemas.KindOrderExpired: schemas.OrderStatusExpired,
}

// decisionByType finds a decision by its CloudEvents type, so that the millions of other facts need no decoding.
var decisionByType = func() map[string]schemas.Kind {
	m := map[string]schemas.Kind{}
	for k := range decisions {
		m[k.String()] = k
	}
	return m
}()

func (r *run) tally(ctx context.Context, record *workload.Record, each func(order string, status schemas.OrderStatus)) (*tally, error) {
	reader, err := r.Kafka.NewReader(ctx, kafka.From{End: true}, topics.OrderEvents.Name)
	if err != nil {
		return nil, err
	}
	t := &tally{record: record, each: each, reader: reader, byKind: map[schemas.Kind]*atomic.Int64{}, moved: make(chan struct{}, 1), failed: make(chan error, 1)}
	for k := range decisions {
		t.byKind[k] = new(atomic.Int64)
	}
	ctx, t.cancel = context.WithCancel(ctx)
	t.done.Go(func() {
		for {
			if err := reader.Poll(ctx, t.take); err != nil {
				t.failed <- err
				return
			}
			t.lastNano.Store(time.Now().UnixNano())
			select {
			case t.moved <- struct{}{}:
			default:
			}
		}
	})
	return t, nil
}

func (t *tally) close() {
	t.cancel()
	t.done.Wait()
	t.reader.Close()
}

func (t *tally) take(rec *kgo.Record) error {
	for i := range rec.Headers {
		if h := &rec.Headers[i]; h.Key == topics.HeaderType {
			if kind, ok := decisionByType[string(h.Value)]; ok {
				t.byKind[kind].Add(1)
				t.decided.Add(1)
				if t.each != nil {
					t.each(string(rec.Key), decisions[kind])
				}
				if t.record != nil {
					t.record.Add(workload.Told{Key: string(rec.Key), Asked: "place", OrderID: string(rec.Key), Status: string(decisions[kind]), Outcome: string(decisions[kind])})
				}
			}
			return nil
		}
	}
	return nil
}

func (t *tally) confirmed() int64 { return t.byKind[schemas.KindOrderConfirmed].Load() }

func (t *tally) outcomes() map[string]int64 {
	m := map[string]int64{}
	for k, n := range t.byKind {
		if n := n.Load(); n > 0 {
			m[string(decisions[k])] = n
		}
	}
	return m
}

// reach waits until n decisions were counted, as long as some are made.
func (t *tally) reach(ctx context.Context, n int64) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for t.decided.Load() < n {
		select {
		case <-t.moved:
			timer.Reset(patience)
		case err := <-t.failed:
			return fmt.Errorf("reading %s: %w", topics.OrderEvents.Name, err)
		case <-timer.C:
			return fmt.Errorf("%d of %d orders are not decided, and none was for %s", n-t.decided.Load(), n, patience)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// sample is the state of a measurement at one moment.
type sample struct {
	at                               time.Time
	confirmed, decided, acknowledged int64
	usage
}

func (t *tally) sample(r *run, acknowledged *atomic.Int64) sample {
	s := sample{at: time.Now(), confirmed: t.confirmed(), decided: t.decided.Load(), usage: r.usage()}
	if acknowledged != nil {
		s.acknowledged = acknowledged.Load()
	}
	return s
}

// window is what happened between two moments.
type window struct {
	from, to sample
	bySecond []int64 // confirmed
	shares   map[string]float64
}

// watch measures after a warm-up, for a while, and tells about it.
func (t *tally) watch(ctx context.Context, r *run, acknowledged *atomic.Int64) (w window, err error) {
	if err := sleep(ctx, r.Warm, func() { r.say("%s: warming up, %d confirmed", r.name, t.confirmed()) }); err != nil {
		return w, err
	}
	w.from = t.sample(r, acknowledged)
	shares := r.watchShares(ctx, int(r.Duration.Seconds()))
	marked := w.from.confirmed
	err = sleep(ctx, r.Duration, func() {
		if now := t.confirmed(); int(time.Since(w.from.at).Seconds()) > len(w.bySecond) {
			w.bySecond, marked = append(w.bySecond, now-marked), now
		}
		r.say("%s: %.0f confirmed/s", r.name, float64(t.confirmed()-w.from.confirmed)/time.Since(w.from.at).Seconds())
	})
	w.to = t.sample(r, acknowledged)
	var failed error
	w.shares, failed = shares()
	return w, cmp.Or(err, failed)
}

// into puts the rate and the cost of what was decided into the result.
func (w window) into(r *Result) {
	r.Seconds = w.to.at.Sub(w.from.at).Seconds()
	r.PerSecond = float64(w.to.confirmed-w.from.confirmed) / r.Seconds
	r.BySecond, r.Shares = w.bySecond, w.shares
	r.AcknowledgedPerSecond = float64(w.to.acknowledged-w.from.acknowledged) / r.Seconds
	r.spent(w.from.usage, w.to.usage, w.to.decided-w.from.decided)
}

var errUndecided = fmt.Errorf("an order is not decided after %s", patience)

var errEarly = errors.New("ended before the measurement did")

// sleep waits and calls tick about every half a second.
func sleep(ctx context.Context, d time.Duration, tick func()) error {
	end := time.NewTimer(d)
	defer end.Stop()
	each := time.NewTicker(500 * time.Millisecond)
	defer each.Stop()
	for {
		select {
		case <-end.C:
			return nil
		case <-each.C:
			tick()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

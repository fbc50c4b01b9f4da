package ingest

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/schemas"
	"oms/topics"
)

// answered are the topics on which the outcomes of border commands appear. Payment events are left out: none of them answers a command of the border.
var answered = []topics.Topic{
	topics.OrderEvents, topics.ProductEvents, topics.InventoryEvents, topics.CustomerEvents,
	topics.OrderOutcomes, topics.ProductOutcomes, topics.CustomerOutcomes, topics.LoginOutcomes,
}

// waiters are the requests that wait for what becomes of their command.
type waiters struct {
	mu   sync.Mutex
	byID map[string]*waiting
	n    atomic.Int64 // len(byID), to be seen without the lock
}

// waiting is one command under way. Several requests may wait for it: repetitions of one key, at once.
type waiting struct {
	fingerprint []byte
	requests    int
	done        chan struct{}   // closed when outcome is set
	outcome     schemas.Message // fact, *schemas.CommandRefused or *schemas.CommandRepeated
}

func newWaiters() *waiters { return &waiters{byID: map[string]*waiting{}} }

// join waits for the command. It answers false when the same command is under way with another body: its outcome is not this one's.
func (w *waiters) join(commandID string, fingerprint []byte) (*waiting, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	it := w.byID[commandID]
	if it == nil {
		it = &waiting{fingerprint: fingerprint, done: make(chan struct{})}
		w.byID[commandID] = it
		w.n.Add(1)
	} else if !bytes.Equal(it.fingerprint, fingerprint) {
		return nil, false
	}
	it.requests++
	return it, true
}

// leave must follow join. The last to leave forgets the command.
func (w *waiters) leave(commandID string, it *waiting) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if it.requests--; it.requests == 0 && w.byID[commandID] == it {
		delete(w.byID, commandID)
		w.n.Add(-1)
	}
}

// take looks at one record and wakes who waits for it. Most records are nobody's, so this costs a look at a header and at a map.
func (w *waiters) take(r *kgo.Record) error {
	if w.n.Load() == 0 {
		return nil
	}
	for i := range r.Headers {
		if h := &r.Headers[i]; h.Key == topics.HeaderCause {
			w.wake(h.Value, r.Value)
			break
		}
	}
	return nil
}

func (w *waiters) wake(cause, value []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	it := w.byID[string(cause)]
	if it == nil {
		return
	}
	m := schemas.Decode(value)
	if _, bad := m.(*schemas.Malformed); bad {
		return // not ours to judge; the request ends with 202
	}
	it.outcome = m
	close(it.done)
	delete(w.byID, string(cause))
	w.n.Add(-1)
}

// follower reads facts and outcomes as they are committed, all partitions, from the end, without a group.
type follower struct {
	kafka   kafka.Settings
	waiters *waiters
	log     *slog.Logger
	warm    func(context.Context) error // reaches what the first command would otherwise wait for
	ready   atomic.Bool
}

func (f *follower) run(ctx context.Context) error {
	names := make([]string, len(answered))
	for i, t := range answered {
		names[i] = t.Name
	}
	from := kafka.From{End: true}
	for ctx.Err() == nil {
		err := f.follow(ctx, &from, names)
		f.ready.Store(false)
		if ctx.Err() == nil {
			f.log.Warn("following outcomes stopped; trying again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
	return nil
}

// follow reads until it fails; from is then where to go on.
func (f *follower) follow(ctx context.Context, from *kafka.From, names []string) error {
	r, err := f.kafka.NewReader(ctx, *from, names...)
	if err != nil {
		return err
	}
	defer r.Close()
	if f.warm != nil {
		if err := f.warm(ctx); err != nil {
			return err
		}
	}
	f.ready.Store(true)
	for {
		polled := time.Now()
		if err := r.Poll(ctx, f.waiters.take); err != nil {
			*from = kafka.From{Offsets: r.Next()}
			return err
		}
		time.Sleep(outcomePace - time.Since(polled)) // the pace itself, too short for a stop to wait for
	}
}

// outcomePace is the least time between two looks at the outcomes. An order's first fact is there long before its decision, which is waited for in the views, so most
// requests lose nothing by it, and fewer looks leave more of the machine to them.
const outcomePace = 4 * time.Millisecond

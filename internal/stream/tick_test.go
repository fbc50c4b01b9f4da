package stream_test

import (
	"encoding/binary"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lovoo/goka"

	"oms/internal/kafka/kafkatest"
	"oms/internal/stream"
)

// alarm is a group whose rows are deadlines (8 bytes, milliseconds; 0: none). A record sets its key's row; a tick clears it.
type alarm struct {
	*rig
	mu    sync.Mutex
	rung  map[string]int
	clock time.Time
}

func newAlarm(r *rig) *alarm {
	return &alarm{rig: r, rung: map[string]int{}, clock: time.UnixMilli(1_000_000)}
}

func (a *alarm) now() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.clock
}

func (a *alarm) advance(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clock = a.clock.Add(d)
}

func (a *alarm) rings() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.rung)
}

func (a *alarm) config(c *stream.Config) {
	c.Now = a.now
	c.Deadline = func(v []byte) (int64, bool) { ms := int64(binary.BigEndian.Uint64(v)); return ms, ms > 0 }
	c.Tick = func(key string, ms int64) stream.Record {
		return stream.Record{Key: key, Value: []byte("tick " + strconv.FormatInt(ms, 10))}
	}
}

func (a *alarm) step(_ *stream.Engine, ctx goka.Context, value []byte) {
	row := make([]byte, 8)
	if ms, err := strconv.ParseInt(string(value), 10, 64); err == nil {
		binary.BigEndian.PutUint64(row, uint64(ms))
	} else {
		a.mu.Lock()
		a.rung[ctx.Key()+" "+string(value)]++
		a.mu.Unlock()
	}
	_ = ctx.Value()
	ctx.SetValue(row)
}

func (a *alarm) set(key string, at time.Time) {
	a.t.Helper()
	a.produce(record(a.in, key, strconv.FormatInt(at.UnixMilli(), 10)))
}

func TestEachDeadlineComesOnceWhenItIsDue(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		a, dir := newAlarm(newRig(t, b)), stateDir(t)
		start := a.now()
		for k := range 20 {
			a.set("k"+strconv.Itoa(k), start.Add(time.Duration(k)*time.Minute))
		}
		a.set("moved", start.Add(time.Minute))
		a.set("moved", start.Add(15*time.Minute))
		i := a.start(dir, a.step, a.config)
		want := map[string]int{}
		due := func(to time.Time) {
			t.Helper()
			for k := range 20 {
				if at := start.Add(time.Duration(k) * time.Minute); !at.After(to) {
					want["k"+strconv.Itoa(k)+" tick "+strconv.FormatInt(at.UnixMilli(), 10)] = 1
				}
			}
			if at := start.Add(15 * time.Minute); !at.After(to) {
				want["moved tick "+strconv.FormatInt(at.UnixMilli(), 10)] = 1
			}
			await(t, "the deadlines that are due", func() bool {
				a.set("nudge", to.Add(time.Hour)) // any record wakes the engine, whose timer knows nothing of our clock
				return maps.Equal(a.rings(), want)
			})
		}
		due(start)
		a.advance(10 * time.Minute)
		due(start.Add(10 * time.Minute))
		i.halt()
		a.advance(4 * time.Minute)
		i = a.start(stateDir(t), a.step, a.config) // the index is made again with the state
		due(start.Add(14 * time.Minute))
		a.advance(10 * time.Minute)
		due(start.Add(24 * time.Minute))
		i.halt()
		if rung := a.rings(); !maps.Equal(rung, want) {
			t.Fatalf("rung: %v, want %v", rung, want)
		}
	})
}

func TestTheBacklogMovesADeadlineBeforeItIsLookedAt(t *testing.T) {
	a, dir := newAlarm(newRig(t, embedded(t))), stateDir(t)
	start := a.now()
	a.set("k", start.Add(time.Minute))
	i := a.start(dir, a.step, a.config)
	a.awaitPassed(i)
	i.halt()
	for range 200 {
		a.set("k", start.Add(time.Hour)) // was not read while nobody ran
	}
	a.advance(10 * time.Minute)
	i = a.start(dir, a.step, a.config)
	a.awaitPassed(i)
	i.halt()
	if rung := a.rings(); len(rung) > 0 {
		t.Fatalf("rung: %v, though the backlog had moved the deadline", rung)
	}
}

// A row may leave its deadline as it is when the record comes: it had another at that place of the inbox.
func TestADeadlineWhoseRecordCameToNothingIsAskedForAgain(t *testing.T) {
	a := newAlarm(newRig(t, embedded(t)))
	at := a.now()
	tick := "tick " + strconv.FormatInt(at.UnixMilli(), 10)
	i := a.start(stateDir(t), func(e *stream.Engine, ctx goka.Context, value []byte) {
		if string(value) == tick && a.rings()["k "+tick] == 0 {
			a.mu.Lock()
			a.rung["k "+tick]++
			a.mu.Unlock()
			return
		}
		a.step(e, ctx, value)
	}, a.config)
	a.set("k", at)
	await(t, "the deadline, again", func() bool { return a.rings()["k "+tick] == 2 })
	a.awaitPassed(i)
	i.halt()
	if rung := a.rings(); !maps.Equal(rung, map[string]int{"k " + tick: 2}) {
		t.Fatalf("rung: %v, want it twice", rung)
	}
}

// A row whose step does nothing with its deadline, or fails, is asked more and more rarely, and does not keep the engine busy.
func TestADeadlineThatIsNeverTakenIsAskedForMoreAndMoreRarely(t *testing.T) {
	a := newAlarm(newRig(t, embedded(t)))
	tick := "tick " + strconv.FormatInt(a.now().UnixMilli(), 10)
	i := a.start(stateDir(t), func(e *stream.Engine, ctx goka.Context, value []byte) {
		if string(value) == tick {
			a.mu.Lock()
			a.rung["k "+tick]++
			a.mu.Unlock()
			return
		}
		a.step(e, ctx, value)
	}, a.config)
	a.set("k", a.now())
	rung := func(n int) {
		t.Helper()
		await(t, "the deadline, time "+strconv.Itoa(n), func() bool { return a.rings()["k "+tick] == n })
		a.awaitPassed(i)
	}
	rung(2) // the second time at once: see answered
	for n, pause := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		a.advance(pause - time.Millisecond)
		for range 5 { // the engine looks between these
			a.set("nudge", a.now().Add(time.Hour))
			a.awaitPassed(i)
		}
		if times := a.rings()["k "+tick]; times != n+2 {
			t.Fatalf("rung %d times within %v after the last, want %d", times, pause, n+2)
		}
		a.advance(time.Millisecond)
		a.set("nudge", a.now().Add(time.Hour))
		rung(n + 3)
	}
	i.halt()
}

func TestAnIdleEngineWakesForItsDeadline(t *testing.T) {
	a, dir := newAlarm(newRig(t, embedded(t))), stateDir(t)
	at := time.Now().Add(300 * time.Millisecond)
	i := a.start(dir, a.step, func(c *stream.Config) { a.config(c); c.Now = time.Now })
	a.set("k", at)
	await(t, "the deadline", func() bool { return len(a.rings()) == 1 })
	if early := time.Until(at); early > 0 {
		t.Fatalf("rung %v too early", early)
	}
	i.halt()
}

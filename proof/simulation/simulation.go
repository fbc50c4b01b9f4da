// Package simulation runs the whole system in one loop: the machines of all groups, the rules of topics and transactions, a payment gateway, and an outside world that
// repeats itself, answers late and falls over. There is no Kafka, no goroutine, no sleep and no clock in a run: time is a number, and everything that is left to chance
// comes from the seed, so the same seed gives the same bytes.
//
// The auditor reads along. What it checks record by record holds after every commit; everything holds when the faults have stopped and the dust has settled.
package simulation

import (
	"bytes"
	"container/heap"
	"crypto/sha256"
	"fmt"
	"hash"
	"math/rand/v2"
	"time"

	"oms/proof/audit"
	"oms/proof/provider"
	"oms/proof/workload"
	"oms/schemas"
)

// Config of a run.
type Config struct {
	Seed   uint64
	Orders int
	Only   []int // numbers of the orders that take part, from 0; nil: all
}

// Result of a run.
type Result struct {
	Seed      uint64
	Orders    int            // placed
	Steps     int            // of groups, committed
	Commits   int            // transactions
	Records   int            // readable on topics
	Lasted    time.Duration  // of the simulated time
	Faults    map[string]int // done, by name
	Rows      map[string]int // how often each row of the state tables and each race was met
	Sum       string         // of every readable record, in the order in which they became readable
	Violation string         // the first, with its law; empty: there is none
	Placed    int            // orders placed when it was found
}

const (
	startMS   = int64(1_800_000_000_000)
	calmMS    = 45_000         // after the last buyer has begun, the faults stop
	patience  = 40_000_000_000 // ms after which a run that does not come to rest is called stuck: more than a year
	maxEvents = 2_000_000      // after which it is called stuck as well
)

// world is everything that a run consists of.
type world struct {
	config Config
	now    int64 // UTC ms
	events queue
	number int // of the last event
	weather

	topics   map[string][]*partition
	groups   []*group
	gateway  *gateway
	provider *provider.Provider
	actors   map[string]*actor // by the key of what is theirs: order, product, login, customer
	nobody   *actor            // who has what is nobody's
	waiting  map[string]*waiting
	orders   map[string][]byte // the view: committed rows of orders

	auditor *audit.Auditor
	ledger  bytes.Buffer
	client  bytes.Buffer
	told    *workload.Record
	sum     hash.Hash
	races   races
	result  Result
}

// Run simulates. It answers an error only when the auditor cannot read what it is given.
func Run(c Config) (Result, error) {
	w := newWorld(c)
	for w.events.Len() > 0 && w.result.Violation == "" {
		e := heap.Pop(&w.events).(*event)
		w.now = e.at
		if e.do(); w.number > maxEvents || w.now > startMS+patience {
			w.violated("I13: the system does not come to rest")
		}
	}
	err := w.settle()
	w.result.Lasted = time.Duration(w.now-startMS) * time.Millisecond
	w.result.Sum = fmt.Sprintf("%x", w.sum.Sum(nil))
	return w.result, err
}

// newWorld is a world in which nothing has happened yet.
func newWorld(c Config) *world {
	w := &world{config: c, now: startMS, actors: map[string]*actor{}, waiting: map[string]*waiting{}, orders: map[string][]byte{}, auditor: audit.New(), sum: sha256.New(),
		races: races{map[string]int64{}, map[string]int64{}}, result: Result{Seed: c.Seed, Faults: map[string]int{}, Rows: map[string]int{}}}
	w.told = workload.NewRecord(&w.client)
	w.nobody = &actor{w.dice("nobody", 0)}
	w.weather = forecast(w.dice("weather", 0))
	w.openTopics()
	w.openGroups()
	w.openOutside()
	w.openShop()
	return w
}

func (w *world) violated(text string) {
	if w.result.Violation == "" {
		w.result.Violation, w.result.Placed = text, w.result.Orders
	}
}

// event is something that happens at a time; of two at the same time the one that was thought of first.
type event struct {
	at     int64
	number int
	do     func()
}

type queue []*event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].number < q[j].number
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(e any)   { *q = append(*q, e.(*event)) }
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return e
}

// after lets something happen in so many milliseconds.
func (w *world) after(ms int64, do func()) {
	w.number++
	heap.Push(&w.events, &event{w.now + ms, w.number, do})
}

// dice for one purpose.
type dice struct{ *rand.Rand }

func (w *world) dice(purpose string, n uint64) dice {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(purpose) {
		h = (h ^ uint64(purpose[i])) * 1099511628211
	}
	return dice{rand.New(rand.NewPCG(w.config.Seed^h, n))}
}

func (d dice) chance(p float64) bool { return p > 0 && d.Float64() < p }

// between a and b, both of them included.
func (d dice) between(a, b int64) int64 { return a + d.Int64N(b-a+1) }

// actor is somebody outside with something of their own: a buyer with an order, the staff with a product, somebody who registers. Whatever happens to messages about it
// is drawn from its dice, so it stays the same when other actors are left out.
type actor struct{ dice }

// delay of a message under way: mostly none to speak of, now and then long.
func (w *world) delay(a *actor) int64 {
	switch f := a.Float64(); {
	case f < .75:
		return a.between(0, 6)
	case f < .95 || w.slowMS == 0:
		return a.between(0, 80)
	default:
		return a.between(0, w.slowMS)
	}
}

// fails draws whether a fault happens, and counts it.
func (w *world) fails(a *actor, p float64, name string) bool {
	if !a.chance(p) {
		return false
	}
	w.result.Faults[name]++
	return true
}

// owner is who a record is about.
func (w *world) owner(r *record) *actor {
	key := string(r.Key)
	switch m := r.message.(type) {
	case *schemas.ReserveStock:
		key = m.OrderID
	case *schemas.ReleaseStock:
		key = m.OrderID
	}
	if a := w.actors[key]; a != nil {
		return a
	}
	return w.nobody
}

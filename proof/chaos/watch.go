package chaos

import (
	"sync"
	"time"
)

// watch follows the orders of a run, to tell when a fault is over for those who buy.
type watch struct {
	mu        sync.Mutex
	open      map[string]time.Time // orders that were placed and are not decided, by key
	placed    int
	outcomes  map[string]int
	decides   func(outcome string) bool // an outcome that shows a shop at work
	waits     []*wait
	placedNow chan struct{} // closed and made anew with each order
}

// wait is for the orders to flow again after a moment.
type wait struct {
	since    time.Time
	before   int           // orders that were open at that moment and still are
	decided  bool          // one that was placed later
	recovery time.Duration // until that
	over     chan struct{} // closed when both are through
}

func newWatch(decides func(string) bool) *watch {
	return &watch{open: map[string]time.Time{}, outcomes: map[string]int{}, decides: decides, placedNow: make(chan struct{})}
}

// place notes an order that is about to be placed.
func (w *watch) place(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[key] = time.Now()
	w.placed++
	close(w.placedNow)
	w.placedNow = make(chan struct{})
}

// end notes what became of an order.
func (w *watch) end(key, outcome string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, known := w.open[key]
	if !known {
		return
	}
	delete(w.open, key)
	w.outcomes[outcome]++
	left := w.waits[:0]
	for _, x := range w.waits {
		switch {
		case at.Before(x.since):
			x.before--
		case !x.decided && w.decides(outcome):
			x.decided, x.recovery = true, time.Since(x.since)
		}
		if x.decided && x.before <= 0 {
			close(x.over)
			continue
		}
		left = append(left, x)
	}
	w.waits = left
}

// decided tells whether an order that was placed is.
func (w *watch) decided(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, open := w.open[key]
	return !open
}

// since waits, from now on, until every order that is open now is decided and one that is placed later is too.
func (w *watch) since() *wait {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := &wait{since: time.Now(), before: len(w.open), over: make(chan struct{})}
	w.waits = append(w.waits, x)
	return x
}

// state of a wait: how long it took until an order was decided, and how many of before are still open.
func (w *watch) state(x *wait) (recovery time.Duration, decided bool, before int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return x.recovery, x.decided, x.before
}

// count answers how many were placed, how many of them are decided, how many confirmed, and what tells of the next one.
func (w *watch) count() (placed, decided, confirmed int, next <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.placed, w.placed - len(w.open), w.outcomes["CONFIRMED"], w.placedNow
}

package cluster

import (
	"fmt"
	"time"

	"oms/proof/audit/fold"
)

// folder lets a fold work beside the books, on another processor.
type folder struct {
	work chan func(*fold.Fold)
	done chan struct{}
}

// foldBehind is how many batches the fold may be behind the books.
const foldBehind = 4

func start(f *fold.Fold) *folder {
	w := &folder{work: make(chan func(*fold.Fold), foldBehind), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for do := range w.work {
			do(f)
		}
	}()
	return w
}

// do hands work over; what was handed over first is done first.
func (w *folder) do(work func(*fold.Fold)) { w.work <- work }

// with works on the fold when all before it is done, and waits for the end.
func (w *folder) with(work func(*fold.Fold) error) error {
	result := make(chan error)
	w.do(func(f *fold.Fold) { result <- work(f) })
	return <-result
}

func (w *folder) stop() {
	close(w.work)
	<-w.done
}

// progress is told once a second.
type progress struct {
	began, last time.Time
	before      int64 // records of an audit before this one
}

func (p *progress) tell(to func(string), records int64, left func() int64) {
	now := time.Now()
	if p.began.IsZero() {
		p.began, p.last, p.before = now, now, records
	}
	if to == nil || now.Sub(p.last) < time.Second {
		return
	}
	p.last = now
	rate := float64(records-p.before) / now.Sub(p.began).Seconds()
	to(fmt.Sprintf("%d records read, %.0f a second, %d to go", records, rate, left()))
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"oms/proof/audit"
)

// Watch is how an audit beside a live system is heard.
type Watch struct {
	Every   time.Duration // between two looks at the whole; 0: a minute
	Metrics prometheus.Registerer
	Say     func(string) // is told one line a look, and each law's first violation at once
}

// follower keeps what was found: a violation that was there once stays one, even if what was missing comes later.
type follower struct {
	*session
	Watch
	found map[string]*audit.Law // by id, with the most violations that were seen

	violations *prometheus.GaugeVec
	records    prometheus.Gauge
	behind     prometheus.Gauge
	keys       prometheus.Gauge
	looked     prometheus.Gauge
}

// askAgain is how long a follower waits for a cluster that does not answer: beside a live system that is restarted, it is there again soon.
const askAgain = time.Second

// Follow audits until ctx ends: it reads on as the topics grow, and looks at the whole every minute. What is under way is judged by the time of its record. The report
// is of the last look, with everything that was found before it.
func Follow(ctx context.Context, c Config, w Watch) (audit.Report, error) {
	start := time.Now()
	s, err := open(ctx, c)
	if err != nil {
		return audit.Report{}, err
	}
	defer s.close()
	if w.Every == 0 {
		w.Every = time.Minute
	}
	f := &follower{session: s, Watch: w, found: map[string]*audit.Law{}}
	f.register()
	s.onBatch = f.glance
	asOf, silent := time.Time{}, false
	for ctx.Err() == nil {
		at, still, err := s.round(ctx)
		if err == nil {
			asOf, silent = at, false
			f.heard(s.look(asOf, still))
			err = f.until(ctx, at.Add(w.Every))
		}
		var asked askError
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.As(err, &asked):
			if !silent {
				w.Say(fmt.Sprintf("no answer, asking on: %v", err))
			}
			silent = true
			select {
			case <-ctx.Done():
			case <-time.After(askAgain):
			}
		default:
			return audit.Report{}, s.stopped(ctx, err)
		}
	}
	if err := s.save(); err != nil {
		return audit.Report{}, err
	}
	report, err := s.report(asOf, false, start)
	if err != nil {
		return audit.Report{}, err
	}
	return f.whole(report), nil
}

// until reads on for a while.
func (f *follower) until(ctx context.Context, end time.Time) error {
	for time.Now().Before(end) && ctx.Err() == nil {
		if err := f.pollUntil(ctx, end); err != nil {
			return err
		}
		if err := f.mark(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (f *follower) pollUntil(ctx context.Context, end time.Time) error {
	within, cancel := context.WithTimeout(ctx, min(markEvery, time.Until(end)))
	defer cancel()
	err := f.poll(within)
	if errors.Is(err, context.DeadlineExceeded) { // nothing came
		return nil
	}
	return err
}

// glance looks at what records have shown by themselves.
func (f *follower) glance() {
	f.records.Set(float64(f.books.Records()))
	f.keys.Set(float64(f.books.Keys()))
	f.behind.Set(float64(left(f.reader.Next(), f.marks.ends)))
	if n, _ := f.books.Violations(); n > 0 {
		for _, l := range f.books.Laws() {
			f.find(l)
		}
	}
}

// find keeps the law as it is worst, and says when it was first broken.
func (f *follower) find(l *audit.Law) {
	before := f.found[l.ID]
	if l.Violations == 0 || before != nil && before.Violations >= l.Violations {
		return
	}
	now := *l
	if f.found[l.ID] = &now; before == nil {
		f.Say(fmt.Sprintf("%s is broken: %s: %s", l.ID, l.Text, l.First))
	}
	f.violations.WithLabelValues(l.ID).Set(float64(l.Violations))
}

// heard takes a look at the whole.
func (f *follower) heard(r audit.Report) {
	var underWay int64
	for _, l := range r.Laws {
		f.find(l)
		underWay += l.UnderWay
	}
	f.looked.SetToCurrentTime()
	f.Say(fmt.Sprintf("%d records, %d orders and products, %s; %d under way, %d violations, %d dead letters", r.Records, f.books.Keys(), r.State, underWay, f.whole(r).Violations, r.Dead))
}

// whole is the report with what was found before it.
func (f *follower) whole(r audit.Report) audit.Report {
	r.Violations = 0
	for _, l := range r.Laws {
		if worst := f.found[l.ID]; worst != nil && worst.Violations > l.Violations {
			l.Violations, l.First = worst.Violations, worst.First
		}
		r.Violations += l.Violations
	}
	return r
}

func (f *follower) register() {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "oms_audit_" + name, Help: help})
	}
	f.violations = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "oms_audit_violations", Help: "Violations found since the start, by law: more than 0 is a defect of the system."}, []string{"law"})
	f.records = gauge("records", "Records read.")
	f.behind = gauge("behind_records", "Offsets between what was read and the ends of the topics, at the last question.")
	f.keys = gauge("live_keys", "Orders and products in the books.")
	f.looked = gauge("last_look_seconds", "When the whole was looked at last, Unix time: an audit that does not look proves nothing.")
	for _, l := range f.look(time.Time{}, false).Laws {
		f.violations.WithLabelValues(l.ID).Set(0)
	}
	f.Metrics.MustRegister(f.violations, f.records, f.behind, f.keys, f.looked)
}

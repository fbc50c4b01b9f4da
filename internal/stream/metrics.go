package stream

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of a group.
type metrics struct {
	committed, aborted, reconnects, dead, ticks prometheus.Counter
	records, steps, flush, end, store           prometheus.Observer
}

func newMetrics(group string, to prometheus.Registerer) *metrics {
	labels := prometheus.Labels{"group": group}
	counter := func(name, help string) prometheus.Counter {
		return register(to, prometheus.NewCounter(prometheus.CounterOpts{Name: "stream_" + name, Help: help, ConstLabels: labels}))
	}
	phases := register(to, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "stream_phase_seconds", Help: "Time of a transaction's phases.",
		ConstLabels: labels, Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 14)}, []string{"phase"}))
	return &metrics{
		committed:  counter("transactions_committed_total", "Transactions committed."),
		aborted:    counter("transactions_aborted_total", "Transactions aborted."),
		reconnects: counter("reconnects_total", "Clients thrown away because a transaction's outcome was unknown."),
		dead:       counter("dead_letters_total", "Records that no step could take."),
		ticks:      counter("deadlines_total", "Deadlines turned into records."),
		records: register(to, prometheus.NewHistogram(prometheus.HistogramOpts{Name: "stream_batch_records", Help: "Records in a committed transaction.",
			ConstLabels: labels, Buckets: prometheus.ExponentialBuckets(1, 2, 14)})),
		steps: phases.WithLabelValues("steps"),
		flush: phases.WithLabelValues("flush"),
		end:   phases.WithLabelValues("end"),
		store: phases.WithLabelValues("store"),
	}
}

// register answers the collector that counts: an engine that is started again goes on with the first one's.
func register[C prometheus.Collector](to prometheus.Registerer, c C) C {
	if to == nil {
		return c
	}
	var before prometheus.AlreadyRegisteredError
	if err := to.Register(c); errors.As(err, &before) {
		if old, ok := before.ExistingCollector.(C); ok {
			return old
		}
	}
	return c
}

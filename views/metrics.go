package views

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the follower, and of answers that lack something. They count also where nobody registers them.
type metrics struct {
	records, unreadable prometheus.Counter
	lostKeys            prometheus.Counter
	commits             prometheus.Histogram
	streams             prometheus.Gauge
}

func (m *metrics) register(to prometheus.Registerer, v *Views) {
	m.records = prometheus.NewCounter(prometheus.CounterOpts{Name: "views_records_total", Help: "Records taken up from the topics."})
	m.unreadable = prometheus.NewCounter(prometheus.CounterOpts{Name: "views_unreadable_records_total", Help: "Records that this version cannot read."})
	m.lostKeys = prometheus.NewCounter(prometheus.CounterOpts{Name: "views_lost_keys_total", Help: "Answers in which personal data is null because its key is lost."})
	m.commits = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "views_commit_seconds", Help: "Time to fold what has gathered and write it.", Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 14)})
	m.streams = prometheus.NewGauge(prometheus.GaugeOpts{Name: "views_streams", Help: "Event streams that are open."})
	if to == nil {
		return
	}
	lag := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "views_lag_offsets", Help: "Offsets between the views and the end of the log; -1: not known."}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		n, err := v.Lag(ctx)
		if err != nil {
			return -1
		}
		return float64(n)
	})
	to.MustRegister(m.records, m.unreadable, m.lostKeys, m.commits, m.streams, lag)
}

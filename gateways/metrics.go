package gateways

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"

	"oms/schemas"
)

// metrics of the dispatcher. No label names a buyer or an order.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	breakers *prometheus.GaugeVec
	buried   prometheus.Counter
}

func newMetrics(r prometheus.Registerer, taken *atomic.Int64) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "oms_payment_requests_total", Help: "Requests to payment providers, by what came of them."}, []string{"provider", "operation", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "oms_payment_request_seconds", Help: "How long a provider was asked, with all tries.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}, []string{"provider"}),
		breakers: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "oms_payment_breaker_state", Help: "0 closed: asked; 1 half open: one request tries; 2 open: not asked."}, []string{"provider"}),
		buried:   prometheus.NewCounter(prometheus.CounterOpts{Name: "oms_payment_dead_letters_total", Help: "Records of the topic of requests that are no request."}),
	}
	if r == nil {
		return m, nil
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "oms_payment_requests_taken", Help: "Requests taken from the log whose reply is not yet in it."}, func() float64 { return float64(taken.Load()) })
	var errs []error
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.breakers, m.buried, waiting} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) asked(provider string, operation schemas.PaymentOperation, outcome schemas.PaymentOutcome, took time.Duration) {
	m.requests.WithLabelValues(provider, string(operation), string(outcome)).Inc()
	m.seconds.WithLabelValues(provider).Observe(took.Seconds())
}

// breakerStates are the numbers that dashboards know.
var breakerStates = map[circuitbreaker.State]float64{circuitbreaker.ClosedState: 0, circuitbreaker.HalfOpenState: 1, circuitbreaker.OpenState: 2}

package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What a sink does.
const (
	Starting   = "starting"
	Following  = "following"    // the tables are as current as the interval allows
	CatchingUp = "catching up"  // they are further behind
	StandingBy = "standing by"  // another process fills them
	Waiting    = "waiting"      // ClickHouse or Kafka cannot be used now; it is tried again
	Repairing  = "repairing"    // a table that was dropped, or has a broken part, is mended and filled again
	Blocked    = "wrong schema" // oms migrate, or a newer build, is needed
	Stopped    = "stopped"
)

var allStates = []string{Starting, Following, CatchingUp, StandingBy, Waiting, Repairing, Blocked, Stopped}

// Status of a sink, for people and /readyz.
type Status struct {
	State     string     `json:"state"`
	Since     time.Time  `json:"since"`
	Behind    int64      `json:"behind_offsets"`       // offsets that a table lacks, transaction markers included; -1: not known yet
	LastEvent *time.Time `json:"last_event,omitempty"` // time of the newest record in the tables that this process inserted
	Error     string     `json:"error,omitempty"`      // why the state is not a good one
}

// state of a sink. A change is one log line; the same fault again is none.
type state struct {
	mu  sync.Mutex
	log *slog.Logger
	now Status

	underway atomic.Int64 // records that were read and do not stand in the tables yet

	patience time.Duration // a batch that takes longer is said to be waited for
	began    atomic.Int64  // when the batch that is being written was begun, Unix ms; 0: none is
	took     atomic.Int64  // ms, the last batch
}

// following is how far behind the log a sink may be that is said to follow: what arrives in an interval or two at a high rate.
const following = 20_000

// request is the part of an error that repeats a request with its query: in a line for people it hides what was wrong.
var request = regexp.MustCompile(`(Post|Get) "[^"]*": `)

func (s *state) set(what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := ""
	if err != nil {
		text = request.ReplaceAllString(err.Error(), "")
	}
	was := s.now
	if was.State == what && (text == "" || was.Error != "") {
		s.now.Error = text
		return
	}
	s.now.State, s.now.Since, s.now.Error = what, time.Now(), text
	level := slog.LevelInfo
	if err != nil && !errors.Is(err, errFenced) {
		level = slog.LevelWarn
	}
	attributes := []any{"state", what, "before", was.State}
	if err != nil {
		attributes = append(attributes, "error", text)
	}
	s.log.Log(context.Background(), level, "analytics", attributes...)
}

func (s *state) behind(n int64) {
	s.mu.Lock()
	s.now.Behind = n
	s.mu.Unlock()
	switch waits := s.waits(); {
	case waits > s.patience:
		s.set(Waiting, fmt.Errorf("ClickHouse has not answered a batch for %s", waits.Round(time.Second)))
	case n > following:
		s.set(CatchingUp, nil)
	case n > 0 && time.Duration(s.took.Load())*time.Millisecond > s.patience: // the next one will hardly be faster: no change is said for each
	default:
		s.set(Following, nil)
	}
}

// waits is how long the batch that is being written has taken so far.
func (s *state) waits() time.Duration {
	if began := s.began.Load(); began != 0 {
		return time.Since(time.UnixMilli(began))
	}
	return 0
}

// writing notes that a batch is begun; the answer notes its end.
func (s *state) writing() (ended func()) {
	began := time.Now()
	s.began.Store(began.UnixMilli())
	return func() {
		s.took.Store(time.Since(began).Milliseconds())
		s.began.Store(0)
	}
}

func (s *state) wrote(b *batch) {
	s.underway.Add(-int64(b.records))
	s.mu.Lock()
	defer s.mu.Unlock()
	if newest := b.newest; s.now.LastEvent == nil || newest.After(*s.now.LastEvent) {
		s.now.LastEvent = &newest
	}
}

func (s *state) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now.State == "" {
		s.now.State = Starting
	}
	now := s.now
	if now.Behind >= 0 {
		now.Behind += s.underway.Load()
	}
	return now
}

// metrics of a sink. They count also where nobody registers them.
type metrics struct {
	rows        *prometheus.CounterVec
	inserts     *prometheus.HistogramVec
	batches     prometheus.Histogram
	freshness   prometheus.Histogram
	deadLetters prometheus.Counter
	gone        prometheus.Counter
}

func (m *metrics) register(to prometheus.Registerer, s *state) {
	m.rows = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "oms_analytics_rows_total", Help: "Rows inserted into ClickHouse."}, []string{"table"})
	m.inserts = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "oms_analytics_insert_seconds", Help: "Time of an insert.", Buckets: prometheus.ExponentialBuckets(0.002, 2.5, 12)}, []string{"table"})
	m.batches = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "oms_analytics_batch_seconds", Help: "Time to write a batch: intents and all tables, and the pauses between them.", Buckets: prometheus.ExponentialBuckets(0.005, 2.5, 12)})
	m.freshness = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "oms_analytics_freshness_seconds", Help: "Age of the oldest record of a batch when it stands in ClickHouse.", Buckets: []float64{.1, .25, .5, .75, 1, 1.5, 2, 5, 15, 60, 300, 3600}})
	m.deadLetters = prometheus.NewCounter(prometheus.CounterOpts{Name: "oms_analytics_dead_letters_total", Help: "Records that could be in no table; they are in dead_letters."})
	m.gone = prometheus.NewCounter(prometheus.CounterOpts{Name: "oms_analytics_gone_offsets_total", Help: "Offsets that a topic no longer held when they were to be read."})
	if to == nil {
		return
	}
	gauge := func(name, help string, value func(Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(s.status()) })
	}
	to.MustRegister(m.rows, m.inserts, m.batches, m.freshness, m.deadLetters, m.gone,
		gauge("oms_analytics_behind_offsets", "Offsets between the tables and the end of the log; -1: not known.", func(now Status) float64 { return float64(now.Behind) }),
		gauge("oms_analytics_last_event_timestamp_seconds", "Time of the newest record in the tables, Unix seconds; 0: none yet.", func(now Status) float64 {
			if now.LastEvent == nil {
				return 0
			}
			return float64(now.LastEvent.UnixMilli()) / 1000
		}))
}

// States are the metrics of what a sink does: 1 for the state that it is in now, 0 for the others. They are its owner's to register, which is there before the sink is.
func States(now func() string) (all []prometheus.Collector) {
	for _, name := range allStates {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "oms_analytics_state", Help: "1 for what the sink does.", ConstLabels: prometheus.Labels{"state": name}}, func() float64 {
			if now() == name {
				return 1
			}
			return 0
		}))
	}
	return all
}

func (m *metrics) inserted(t *table, rows int, took time.Duration) {
	m.rows.WithLabelValues(t.name).Add(float64(rows))
	m.inserts.WithLabelValues(t.name).Observe(took.Seconds())
}

func (m *metrics) wrote(b *batch, took time.Duration) {
	m.batches.Observe(took.Seconds())
	m.freshness.Observe(time.Since(b.oldest).Seconds())
	m.deadLetters.Add(float64(b.bad))
}

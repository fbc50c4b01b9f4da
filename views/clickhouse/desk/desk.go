// Package desk is how people read analytics: reports over HTTP in the format that they ask for, a page that draws them, and the encoders that the command line shares.
package desk

import (
	"context"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"oms/views/clickhouse/reports"
)

// Config of a desk.
type Config struct {
	Conn    func() (driver.Conn, error) // of the ClickHouse to ask, which stays the desk's to use, not to close; ErrOff: there is none
	Behind  func() (int64, bool)        // offsets that the tables lack, where this process knows it; may be nil
	Reports []reports.Report            // nil: reports.All()
	Limits  Limits                      // of one report
	AtOnce  int                         // reports that run at the same time, the others wait for a moment; 0: 4
	Now     func() time.Time            // nil: time.Now
	Log     *slog.Logger
	Metrics prometheus.Registerer // may be nil
}

// Desk answers reports.
type Desk struct {
	cfg     Config
	running chan struct{} // holds one a report that runs
	seconds *prometheus.HistogramVec
	rows    *prometheus.CounterVec
	fresh   fresh
}

// queueTime is how long a report waits for others to end before its client is asked to come again.
const queueTime = 2 * time.Second

// New makes a desk.
func New(cfg Config) *Desk {
	if cfg.Reports == nil {
		cfg.Reports = grouped(reports.All())
	}
	if cfg.AtOnce <= 0 {
		cfg.AtOnce = 4
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Limits = cfg.Limits.withDefaults()
	d := &Desk{cfg: cfg, running: make(chan struct{}, cfg.AtOnce),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "report_seconds", Help: "Time from a report's request to its last row, by report and how it ended.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2.2, 11)}, []string{"report", "end"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "report_rows_total", Help: "Rows answered."}, []string{"report"})}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(d.seconds, d.rows)
	}
	return d
}

// Routes adds the reports and their page to the router.
func (d *Desk) Routes(r fiber.Router) {
	r.Get("/api/reports", d.list)
	r.Get("/api/reports/:name", d.answer)
	pages(r)
}

// find a report by its name.
func (d *Desk) find(name string) (reports.Report, bool) {
	for _, r := range d.cfg.Reports {
		if r.Name == name {
			return r, true
		}
	}
	return reports.Report{}, false
}

// enter takes a place among the reports that run; leave gives it back.
func (d *Desk) enter(ctx context.Context) (leave func(), ok bool) {
	wait := time.NewTimer(queueTime)
	defer wait.Stop()
	select {
	case d.running <- struct{}{}:
		return func() { <-d.running }, true
	case <-wait.C:
	case <-ctx.Done():
	}
	return nil, false
}

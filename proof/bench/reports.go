package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"oms/proof/chaos"
	"oms/views/clickhouse/reports"
)

// Asked is how long a report took over HTTP, with its defaults.
type Asked struct {
	Report string  `json:"report"`
	First  float64 `json:"first_ms"`
	Median float64 `json:"median_ms"` // of the others
	Bytes  int     `json:"bytes"`
}

// asks of each report: a first one, and those that the median is of.
const asks = 4

// askReports fills the tables with a made-up shop and asks every report of it, one at a time, as the page asks: by HTTP, with the defaults of its parameters.
func askReports(ctx context.Context, r *run) (result Result, err error) {
	if r.Binary == "" {
		return result, errors.New("it starts systems of its own: --self")
	}
	dir, err := os.MkdirTemp("", "oms-bench-")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	result.Mix = fmt.Sprintf("%d order lines of 30 days", r.Lines)
	return result, r.with(ctx, dir, nil, func(*chaos.Process) error {
		if err := r.caughtUp(ctx); err != nil { // the tables are there
			return err
		}
		began := time.Now()
		if err := r.fill(ctx, dir); err != nil {
			return err
		}
		result.Seconds = time.Since(began).Seconds()
		for _, report := range reports.All() {
			a := Asked{Report: report.Name}
			var again []float64
			for i := range asks {
				took, bytes, err := r.ask(ctx, report.Name)
				if err != nil {
					return err
				}
				if a.Bytes = bytes; i == 0 {
					a.First = took
				} else {
					again = append(again, took)
				}
			}
			slices.Sort(again)
			a.Median = again[len(again)/2]
			result.Asked = append(result.Asked, a)
			r.say("%s: %s %.0f ms", r.name, a.Report, a.Median)
		}
		return nil
	})
}

func (r *run) fill(ctx context.Context, dir string) error {
	conn, err := engineOf(dir)
	if err != nil {
		return err
	}
	defer conn.Close()
	statements := reports.Fill()
	for i, s := range statements {
		r.say("%s: filling, step %d of %d", r.name, i+1, len(statements))
		if err := conn.Exec(ctx, s, ch.Named("lines", uint64(r.Lines)), ch.Named("to", time.Now().UTC().Format("2006-01-02 15:04:05.000")), ch.Named("tenant", "default")); err != nil {
			return fmt.Errorf("filling: %w", err)
		}
	}
	return nil
}

// ask answers the milliseconds from the request to the last byte.
func (r *run) ask(ctx context.Context, report string) (ms float64, bytes int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Server+"/api/reports/"+report, nil)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET /api/reports/%s was answered %d: %.300s", report, res.StatusCode, body)
	}
	return float64(time.Since(began).Microseconds()) / 1000, len(body), err
}

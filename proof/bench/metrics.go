package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// get asks the system's HTTP server. Anything but 200 is an error.
func (c Config) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.Server, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s was answered %d: %.300s", path, res.StatusCode, body)
	}
	return body, err
}

// metrics of the system as they are now, by name.
func (c Config) metrics(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	raw, err := c.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("GET /metrics: %w", err)
	}
	return families, nil
}

// counter without labels; 0: it is not there.
func counter(families map[string]*dto.MetricFamily, name string) float64 {
	if m := families[name].GetMetric(); len(m) == 1 {
		return m[0].GetCounter().GetValue()
	}
	return 0
}

// counted are the transactions of all groups up to a moment.
type counted struct {
	at    time.Time
	err   error
	parts map[string]map[string][2]float64 // by group, by phase or "records": sum and count
}

func (c Config) transactions(ctx context.Context) counted {
	families, err := c.metrics(ctx)
	all := counted{at: time.Now(), err: err, parts: map[string]map[string][2]float64{}}
	for family, phase := range map[string]string{"stream_phase_seconds": "", "stream_batch_records": "records"} {
		for _, m := range families[family].GetMetric() {
			group, name := "", phase
			for _, l := range m.GetLabel() {
				switch l.GetName() {
				case "group":
					group = l.GetValue()
				case "phase":
					name = l.GetValue()
				}
			}
			if all.parts[group] == nil {
				all.parts[group] = map[string][2]float64{}
			}
			all.parts[group][name] = [2]float64{m.GetHistogram().GetSampleSum(), float64(m.GetHistogram().GetSampleCount())}
		}
	}
	return all
}

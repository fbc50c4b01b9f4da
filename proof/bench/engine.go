package bench

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"oms/internal/kafka"
	"oms/internal/stream/streambench"
)

// engine runs the exactly-once engine and stock goka, one after the other, on embedded brokers of their own in this process.
func engine(ctx context.Context, r *run) (Result, error) {
	began := time.Now()
	result := Result{Ratios: map[string]float64{}}
	for _, keys := range []struct {
		name string
		n    int
	}{{"uniform keys", 10_000}, {"one hot key", 1}} {
		r.say("engine: %d steps on %s, ours and stock goka's", r.Records, keys.name)
		sides, err := r.sides(ctx, keys.n)
		if err != nil {
			return Result{}, err
		}
		for _, s := range sides {
			result.Sides = append(result.Sides, Side{keys.n, s})
		}
		result.Ratios[keys.name] = sides[0].StepsPerSecond / sides[1].StepsPerSecond
	}
	result.Seconds = time.Since(began).Seconds()
	return result, nil
}

func (r *run) sides(ctx context.Context, keys int) (sides []streambench.Result, err error) {
	dir, err := os.MkdirTemp("", "oms-bench-engine-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	quiet := slog.New(slog.DiscardHandler)
	e, err := kafka.StartEmbedded(ctx, kafka.EmbeddedConfig{Dir: dir + "/kafka", Listen: "127.0.0.1:0", Log: quiet})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	return streambench.Run(ctx, streambench.Config{Kafka: e.Settings(), Journal: e.Journal(), Life: e.Life(), Dir: dir, Records: r.Records, Keys: keys, Partitions: 8, Log: quiet})
}

package bench

import (
	"context"
	"errors"
	"io"
	"os"

	"oms/internal/kafka"
	"oms/proof/chaos"
)

// Self measures the binary itself: for each scenario it starts a fresh system of its own, everything in one process on an empty directory, so that no scenario inherits
// the orders of another. What the system logs goes to log. Server, Kafka, PID and DataDir of c are overwritten.
func Self(ctx context.Context, binary string, log io.Writer, c Config) (Report, error) {
	return each(ctx, c, func(ctx context.Context, c Config, s scenario) (result Result, err error) {
		c.Binary = binary
		if s.alone {
			return c.measure(ctx, s)
		}
		dir, err := os.MkdirTemp("", "oms-bench-")
		if err != nil {
			return Result{}, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		args := []string{"--log", "warn", "up", "--no-analytics", "--data", dir, "--http", "127.0.0.1:0"}
		if c.File != "" {
			args = append([]string{"--config", c.File}, args...)
		}
		p, err := chaos.Start(ctx, binary, log, args...)
		if err != nil {
			return Result{}, err
		}
		defer func() { err = errors.Join(err, p.Stop()) }()
		c.Server, c.Kafka, c.PID, c.DataDir = p.HTTP, kafka.Settings{Brokers: []string{p.Kafka}, ClientID: "oms-bench"}, p.PID(), dir
		return c.measure(ctx, s)
	})
}

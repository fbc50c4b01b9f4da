// Package kafkatest gives tests a broker: an embedded one of their own, or a real Apache Kafka shared by the test binary.
package kafkatest

import (
	"context"
	"log/slog"
	"testing"

	"oms/internal/kafka"
)

// Embedded starts an embedded broker with its data in the test's own directory, and closes it with the test.
func Embedded(t testing.TB) *kafka.Embedded {
	t.Helper()
	return EmbeddedAt(t, t.TempDir())
}

// EmbeddedAt is Embedded with the data in dir, to start again what was closed.
func EmbeddedAt(t testing.TB, dir string, tables ...string) *kafka.Embedded {
	t.Helper()
	e, err := kafka.StartEmbedded(context.Background(), kafka.EmbeddedConfig{Dir: dir, Tables: tables, Log: Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// Log shows warnings in the test's output.
func Log(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// Broker is one of the two kinds, as Each hands it out.
type Broker struct {
	kafka.Settings
	Embedded *kafka.Embedded // nil on a real Kafka
}

// Each runs the test on an embedded broker and on a real Kafka. Topics of the real one outlive the test: name them by Name.
func Each(t *testing.T, run func(t *testing.T, b Broker)) {
	t.Run("embedded", func(t *testing.T) {
		e := Embedded(t)
		run(t, Broker{e.Settings(), e})
	})
	t.Run("kafka", func(t *testing.T) {
		if testing.Short() {
			t.Skip("a real Kafka is not started in -short")
		}
		run(t, Broker{Real(t), nil})
	})
}

// Main runs a package's tests and stops the real Kafka, if one of them started it. Call it from TestMain:
// os.Exit(kafkatest.Main(m)). Without it the broker still ends with the test binary.
func Main(m *testing.M) int {
	code := m.Run()
	if err := stop(); err != nil {
		println("stopping Kafka:", err.Error())
		return max(code, 1)
	}
	return code
}

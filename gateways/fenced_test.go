package gateways

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"oms/gateways/payment"
	"oms/internal/kafka/kafkatest"
	"oms/internal/stream"
)

// Two processes of one name: the one that came first says so and ends, and does not take the other's place from it as it leaves.
func TestOfTwoGatewaysOfOneNameTheFirstEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	r := newRig(t, kafkatest.Real(t))
	open := func() (*Dispatcher, chan error) {
		d, err := New(Config{Kafka: r.kafka, Instance: "twin", Providers: map[string]payment.Provider{}, Log: kafkatest.Log(t), Metrics: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- d.Run(t.Context()) }()
		return d, ended
	}
	ready := func(d *Dispatcher) {
		t.Helper()
		for limit := time.Now().Add(30 * time.Second); !d.Ready(); time.Sleep(10 * time.Millisecond) { // nobody tells when it is
			if time.Now().After(limit) {
				t.Fatal("it did not get partitions within 30 s")
			}
		}
	}
	first, ended := open()
	ready(first)
	second, running := open()
	select {
	case err := <-ended:
		if !errors.Is(err, stream.ErrFenced) {
			t.Errorf("the first ended with %v, want %v", err, stream.ErrFenced)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the first goes on beside its twin")
	}
	ready(second)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // longer than a heartbeat, by which it would hear that it was thrown out
	defer cancel()
	select {
	case err := <-running:
		t.Errorf("the second ended as well: %v", err)
	case <-ctx.Done():
	}
}

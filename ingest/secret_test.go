package ingest

import (
	"bytes"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
	"oms/topics"
)

func TestOfTwoSecretsOnOneClusterOneIsRefused(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		cl, err := b.NewProducer()
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		if _, err := kafka.EnsureTopics(t.Context(), kadm.NewClient(cl), []kafka.Topic{{Name: topics.Agreements.Name, Partitions: 4}}, false); err != nil {
			t.Fatal(err)
		}
		of := func(secret byte) *Server {
			return newServer(Config{Kafka: b.Settings, Secret: bytes.Repeat([]byte{secret}, 32), Log: slog.New(slog.DiscardHandler)}, cl)
		}
		var said [2]error // all start at once
		var starts sync.WaitGroup
		for i := range said {
			starts.Go(func() { said[i] = of(byte(i)).agree(t.Context()) })
		}
		starts.Wait()
		winner := 0
		if said[0] != nil {
			winner = 1
		}
		if said[winner] != nil || !errors.Is(said[1-winner], ErrOtherSecret) {
			t.Fatalf("two starts at once ended with %v and %v, want one of them refused", said[0], said[1])
		}
		for i := range said { // and it stays so
			if err := of(byte(i)).agree(t.Context()); (err == nil) != (i == winner) {
				t.Errorf("secret %d, of which %d was adopted: %v", i, winner, err)
			}
		}
	})
}

func TestNoCommandLeavesBeforeTheSecretIsKnownToBeTheClusters(t *testing.T) {
	w := newWorld(t, staff)
	w.ours.Store(false)
	if h := w.call(t, "POST", "/api/orders", goodOrder, "Idempotency-Key", "k"); h.StatusCode != 503 || !bytes.Contains(h.body, []byte(`"k"`)) || len(w.produced) != 0 {
		t.Errorf("%d %s, %d commands written; want 503 with the key and none", h.StatusCode, h.body, len(w.produced))
	}
	w.ours.Store(true)
	if h := w.call(t, "POST", "/api/orders", goodOrder, "Idempotency-Key", "k"); h.StatusCode != 201 {
		t.Errorf("%d %s", h.StatusCode, h.body)
	}
}

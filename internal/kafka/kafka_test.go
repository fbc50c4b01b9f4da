package kafka_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
)

// childDir makes the test binary a process to be killed, on the directory that it names.
const childDir = "OMS_KAFKA_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if table := os.Getenv("OMS_KAFKA_CHILD_TABLE"); table != "" {
			fmt.Fprintln(os.Stderr, "child:", compactingChild(dir, table))
			os.Exit(1)
		}
		fmt.Fprintln(os.Stderr, "child:", child(dir))
		os.Exit(1)
	}
	os.Exit(kafkatest.Main(m))
}

// ensure creates topics and answers a client.
func ensure(t *testing.T, s kafka.Settings, topics ...kafka.Topic) *kgo.Client {
	t.Helper()
	cl, err := s.NewProducer(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if _, err := kafka.EnsureTopics(context.Background(), kadm.NewClient(cl), topics, false); err != nil {
		t.Fatal(err)
	}
	return cl
}

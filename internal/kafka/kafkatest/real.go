package kafkatest

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"oms/internal/kafka"
	"oms/internal/kafka/apache"
)

// shared is the one Kafka of this test binary.
var shared struct {
	sync.Mutex
	settings kafka.Settings
	broker   *apache.Broker
	dir      string
	err      error // why there is none
}

// Real answers a real Apache Kafka: the one at OMS_KAFKA (host:port), otherwise one broker started from the jars in
// OMS_KAFKA_JARS (~/.cache/oms-kafka/jars), once per test binary. Without Java or jars the test is skipped.
func Real(t testing.TB) kafka.Settings {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.settings.Brokers == nil && shared.err == nil {
		shared.err = launch()
	}
	if errors.Is(shared.err, apache.ErrMissing) {
		t.Skip(shared.err, "(set OMS_KAFKA_JARS, or OMS_KAFKA to a running broker)")
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.settings
}

// Name is a topic or group name that no other test uses, for brokers that outlive a test.
func Name(prefix string) string { return prefix + "." + strings.ToLower(rand.Text()[:8]) }

func launch() (err error) {
	if at := os.Getenv("OMS_KAFKA"); at != "" {
		shared.settings = kafka.Settings{Brokers: strings.Split(at, ",")}
		return nil
	}
	if shared.dir, err = os.MkdirTemp("", "oms-kafka-"); err != nil {
		return err
	}
	if shared.broker, err = apache.Start(context.Background(), apache.Config{Jars: os.Getenv("OMS_KAFKA_JARS"), Dir: shared.dir}); err != nil {
		return errors.Join(err, os.RemoveAll(shared.dir))
	}
	shared.settings = shared.broker.Settings
	return nil
}

// Again kills the real Kafka and starts it on its data; between the two it calls away. False: it was not started here, and nothing was done.
func Again(t testing.TB, away func()) bool {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.broker == nil {
		return false
	}
	err := shared.broker.Kill()
	away()
	if err := errors.Join(err, shared.broker.Again(context.Background())); err != nil {
		t.Fatal(err)
	}
	return true
}

func stop() (err error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.broker != nil {
		err = errors.Join(shared.broker.Kill(), os.RemoveAll(shared.dir)) // its data is thrown away
		shared.broker = nil
	}
	return err
}

package chaos

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"oms/internal/kafka/kafkatest"
)

// A shop on a real Kafka: roles in three processes and the sandbox in a fourth. Every one of the three is killed at random while orders flow.
func TestRolesInThreeProcessesOnARealKafkaAreKilledOneByOne(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	settings := kafkatest.Real(t)
	log, brokers := logFile(t), settings.Brokers[0]
	ledger := t.TempDir()
	sandbox := start(t, log, "sandbox", "--listen", "127.0.0.1:0", "--data", ledger)
	front := freeAddress(t)
	c := newCrew(t, log,
		[]string{"run", "--roles", "ingest,views", "--kafka", brokers, "--http", front, "--instance", "front", "--data", t.TempDir()},
		[]string{"run", "--roles", "orders,products,customers", "--kafka", brokers, "--http", "127.0.0.1:0", "--instance", "groups", "--data", t.TempDir()},
		[]string{"run", "--roles", "gateways", "--kafka", brokers, "--http", "127.0.0.1:0", "--instance", "gateway", "--data", t.TempDir(), "--sandbox", sandbox.Sandbox},
	)
	for name, s := range sources(t) {
		t.Run(name, func(t *testing.T) {
			want := calm(t, name, s)
			s.prepare(t, "http://"+front)
			alive, end := c.haunt(t, kills(t, 6), time.Second)
			got, client := loadUntil(alive, t, log, "http://"+front, s)
			killed := end()
			t.Logf("killed (front, groups, gateway): %v", killed)
			if slices.Contains(killed, 0) {
				t.Error("one was never killed: the load was over too soon")
			}
			sameOutcomes(t, want, got)
			t.Logf("audit: %s", audit(t, c.running[1], "--ledger", filepath.Join(ledger, "sandbox", "ledger.jsonl"), "--client", client))
		})
	}
}

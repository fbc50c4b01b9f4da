package chaos

import (
	"math/rand/v2"
	"path/filepath"
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
	roles := [][]string{
		{"run", "--roles", "ingest,views", "--kafka", brokers, "--http", front, "--instance", "front", "--data", t.TempDir()},
		{"run", "--roles", "orders,products,customers", "--kafka", brokers, "--http", "127.0.0.1:0", "--instance", "groups", "--data", t.TempDir()},
		{"run", "--roles", "gateways", "--kafka", brokers, "--http", "127.0.0.1:0", "--instance", "gateway", "--data", t.TempDir(), "--sandbox", sandbox.Sandbox},
	}
	var running [3]*Process
	for i, args := range roles {
		running[i] = start(t, log, args...)
	}
	for name, s := range sources(t) {
		if name != "generated" && testing.Short() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s.prepare(t, "http://"+front)
			stop, killed := make(chan struct{}), make(chan [3]int)
			go func() {
				var n [3]int
				dice := rand.New(rand.NewPCG(2, uint64(time.Now().UnixNano())))
				for total := 0; total < kills(t, 3); total++ {
					select {
					case <-stop:
						killed <- n
						return
					case <-time.After(time.Duration(500+dice.IntN(2_000)) * time.Millisecond):
						i := total % len(roles)
						running[i].Kill()
						n[i]++
						running[i] = start(t, log, roles[i]...)
					}
				}
				killed <- n
			}()
			got, client := load(t, log, "http://"+front, s)
			close(stop)
			t.Logf("killed (front, groups, gateway): %v", <-killed)
			if len(got) != s.documents {
				t.Errorf("%d of %d documents have an outcome", len(got), s.documents)
			}
			running[1].Kafka = brokers
			t.Logf("audit: %s", audit(t, running[1], "--ledger", filepath.Join(ledger, "sandbox", "ledger.jsonl"), "--client", client))
		})
	}
}

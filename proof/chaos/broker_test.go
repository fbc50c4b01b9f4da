package chaos

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"oms/internal/kafka/kafkatest"
)

// The one broker of a shop is killed and comes back on its data while orders flow: after longer than a transaction and a
// membership in a group may last, and sooner.
func TestARealKafkaIsKilledWhileOrdersFlow(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	broker, dice, log := kafkatest.Real(t).Brokers[0], seed(t), listen(t)
	ledger := filepath.Join(installation, "ledger")
	sandbox := start(t, log, "sandbox", "--listen", "127.0.0.1:0", "--data", ledger)
	front := start(t, log, "run", "--roles", "ingest,views", "--kafka", broker, "--http", "127.0.0.1:0", "--instance", "front", "--keys", filepath.Join(installation, "keys"), "--data", t.TempDir())
	start(t, log, "run", "--roles", "orders,products,customers", "--kafka", broker, "--http", "127.0.0.1:0", "--instance", "groups", "--data", t.TempDir())
	start(t, log, "run", "--roles", "gateways", "--kafka", broker, "--http", "127.0.0.1:0", "--instance", "gateway", "--data", t.TempDir(), "--sandbox", sandbox.Sandbox)
	alive, broken := context.WithCancel(t.Context())
	defer broken()
	buyers := buying(alive, t, front.HTTP, 200, false)
	told := func() int { all, _ := os.ReadFile(buyers.record); return bytes.Count(all, []byte("\n")) }
	flow := func() {
		before := told()
		until(t, "orders flow", func() bool { return told() > before+200 })
	}
	for i := range kills(t, 2) {
		flow()
		away := time.Duration(dice.Int64N(int64(2 * time.Second)))
		if i%2 == 0 {
			away += 14 * time.Second
		}
		restart := kafkaAgain(t)
		if restart == nil {
			t.Skip("the real Kafka was not started here: it is not killed")
		}
		restart(func() { time.Sleep(away) }) // how long it is away is what is asked
		t.Logf("killed, and away for %v", away)
	}
	flow()
	buyers.home()
	t.Logf("%d orders; %d times the broker had lost markers; audit: %s", told(), log.count("the broker has lost markers"),
		audited(t, front, "--ledger", filepath.Join(ledger, "sandbox", "ledger.jsonl"), "--client", buyers.record))
}

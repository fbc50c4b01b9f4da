package chaos

import (
	"context"
	"path/filepath"
	"slices"
	"syscall"
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
	ledger := filepath.Join(installation, "ledger")
	sandbox := start(t, log, "sandbox", "--listen", "127.0.0.1:0", "--data", ledger)
	front := address(t)
	c := newCrew(t, log,
		[]string{"run", "--roles", "ingest,views", "--kafka", brokers, "--http", front, "--instance", "front", "--keys", filepath.Join(installation, "keys"), "--data", t.TempDir()},
		[]string{"run", "--roles", "orders,products,customers", "--kafka", brokers, "--http", "127.0.0.1:0", "--instance", "groups", "--data", t.TempDir()},
		[]string{"run", "--roles", "gateways", "--kafka", brokers, "--http", "127.0.0.1:0", "--instance", "gateway", "--data", t.TempDir(), "--sandbox", sandbox.Sandbox},
	)
	for name, s := range sources(t) {
		t.Run(name, func(t *testing.T) {
			want := calm(t, s)
			s.prepare(t, "http://"+front)
			alive, end := c.haunt(t, kills(t, 3), time.Second)
			got, client := loadUntil(alive, t, log, "http://"+front, s)
			killed := end()
			t.Logf("killed (front, groups, gateway): %v", killed)
			if slices.Contains(killed, 0) {
				t.Error("one was never killed: the load was over too soon")
			}
			sameOutcomes(t, want, got)
			t.Logf("audit: %s", audited(t, c.running[1], "--ledger", filepath.Join(ledger, "sandbox", "ledger.jsonl"), "--client", client))
		})
	}
}

// The process that decides everything sleeps, as on a machine that is suspended, until another one has its work; then it wakes up in the middle of its own.
func TestAProcessThatSleepsThroughItsSessionChangesNoOutcome(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	settings := kafkatest.Real(t)
	log, brokers, ledger := logFile(t), settings.Brokers[0], filepath.Join(installation, "ledger")
	sandbox := start(t, log, "sandbox", "--listen", "127.0.0.1:0", "--data", ledger)
	groups := func(name string) []string {
		return []string{"run", "--roles", "orders,products,customers", "--kafka", brokers, "--http", "127.0.0.1:0", "--instance", name, "--data", t.TempDir()}
	}
	front := start(t, log, "run", "--roles", "ingest,views,gateways", "--kafka", brokers, "--http", "127.0.0.1:0", "--instance", "front", "--keys", filepath.Join(installation, "keys"), "--data", t.TempDir(), "--sandbox", sandbox.Sandbox)
	sleeper, arguments := start(t, log, groups("sleeper")...), groups("heir")
	s := sources(t)["generated"]
	want := calm(t, s)
	s.prepare(t, front.HTTP)
	alive, broken := context.WithCancel(t.Context())
	defer broken()
	woken := make(chan *Process, 1)
	go func() {
		<-time.After(time.Second)
		_ = sleeper.Signal(syscall.SIGSTOP)
		ready, cancel := context.WithTimeout(alive, 60*time.Second)
		defer cancel()
		slept := time.Now()
		heir, err := Start(ready, binary, log, arguments...) // is ready when the sleeper was missed and the broker has ended its transaction
		t.Logf("slept for %v", time.Since(slept))
		_ = sleeper.Signal(syscall.SIGCONT)
		if err != nil {
			t.Error(err)
			broken()
		}
		woken <- heir
	}()
	got, client := loadUntil(alive, t, log, front.HTTP, s)
	if heir := <-woken; heir != nil {
		defer heir.Kill()
		sameOutcomes(t, want, got)
		t.Logf("audit: %s", audited(t, front, "--ledger", filepath.Join(ledger, "sandbox", "ledger.jsonl"), "--client", client))
		if err := heir.Stop(); err != nil {
			t.Error(err)
		}
		// The sleeper is one like any other again, and does it all.
		place := call(t, "POST", front.HTTP+"/api/orders", order("p1", 1), "Prefer: wait=30").want(t, 201)
		if place.Body["status"] != "CONFIRMED" {
			t.Errorf("by the one that slept: %s", place.Raw)
		}
	}
}

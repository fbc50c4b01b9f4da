package clickhouse_test

import (
	"syscall"
	"testing"
	"time"

	"oms/internal/clickhouse"
)

// kill ends the engine's process at once, and waits until it has gone.
func kill(t *testing.T, e *clickhouse.Engine) {
	t.Helper()
	pid := e.PID()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the killed engine has gone", 5*time.Second, func() bool { return e.PID() != pid })
}

// retry calls f until it answers something else than that ClickHouse is unavailable.
func retry(t *testing.T, f func() error) error {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := f()
		if !clickhouse.Unavailable(err) || time.Now().After(end) {
			return err
		}
	}
}

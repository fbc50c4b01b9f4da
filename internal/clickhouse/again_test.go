package clickhouse_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"oms/internal/clickhouse"
	"oms/internal/clickhouse/clickhousetest"
)

// said is a log.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) count(mark string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.b.String(), mark)
}

// An engine that does not come back says that it crashed and why it does not come back, not each try; its clients are told why; and that it is back is said.
func TestAnEngineThatDoesNotComeBackIsSaidOnce(t *testing.T) {
	at := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.Symlink(clickhousetest.Library(t), at); err != nil {
		t.Fatal(err)
	}
	var log said
	conf := clickhousetest.Config(t, t.TempDir())
	conf.Library, conf.Log = at, slog.New(slog.NewTextHandler(&log, nil))
	e, err := clickhouse.Start(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const ready, again = "the engine is ready", "the engine ended and is started again"
	eventually(t, "it serves", 10*time.Second, func() bool { return log.count(ready) == 1 })
	if err := os.Rename(at, at+".away"); err != nil {
		t.Fatal(err)
	}
	kill(t, e)
	eventually(t, "it was tried again and again", 60*time.Second, func() bool { return e.Restarts() > 4 })
	if n := log.count(again); n != 2 {
		t.Errorf("%d lines for %d restarts", n, e.Restarts())
	}
	c := connect(t, e.URL())
	eventually(t, "clients hear why", 30*time.Second, func() bool {
		err := c.Ping(t.Context())
		return clickhouse.Code(err) == 236 && strings.Contains(err.Error(), at)
	})
	if err := os.Rename(at+".away", at); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that it is back is said", 30*time.Second, func() bool { return log.count(ready) == 2 })
	if n := log.count("level=WARN"); n > 4 { // the two, and the child's own words
		t.Errorf("%d warnings", n)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

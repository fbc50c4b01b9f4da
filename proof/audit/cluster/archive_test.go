package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"oms/internal/archive"
	"oms/processors"
	"oms/proof/audit"
	"oms/topics"
)

// archived takes everything that may be taken of the inboxes.
func (s *shop) archived(dir string) (records int64) {
	s.t.Helper()
	c := archive.Config{Kafka: s.s}
	for _, g := range processors.Groups {
		c.Topics = append(c.Topics, archive.Topic{Name: g.Inbox.Name, Group: g.Name})
	}
	done, err := archive.Take(s.t.Context(), c, dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, d := range done {
		records += d.Records
	}
	return records
}

// garbage for inboxes and a dead letter for each, and orders around it.
func (s *shop) day(orders int) {
	s.open(5)
	s.sell(0, orders/2)
	for p := range int32(2) {
		s.writeTo(p, topics.OrderCommands.Name, "garbage")
		s.writeTo(p, topics.ProductCommands.Name, "garbage")
	}
	s.sell(orders/2, orders)
}

func TestAnArchivedShopIsAuditedAsBefore(t *testing.T) {
	s, dir := openShop(t), t.TempDir()
	s.day(2000)
	first := s.archived(dir) // beside the groups
	s.sell(2000, 3000)
	s.stop()
	c := s.config()
	c.Archive = dir
	before := s.audit(c)
	if first < 4000 || before.Violations != 0 || before.State != "at rest" || before.Dead != 4 || lawOf(before, "I9").Checked != 3005 || lawOf(before, "I9").UnderWay != 0 {
		t.Errorf("%d records were archived\n%s", first, verdict(before))
	}
	if second := s.archived(dir); second < 2000 || s.archived(dir) != 0 {
		t.Errorf("%d records were archived later", second)
	}
	if got, want := verdict(s.audit(c)), verdict(before); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for name, bare := range map[string]Config{"without": s.config(), "with another": {Kafka: s.s, Build: "test", Archive: empty(t)}} {
		if _, err := Run(t.Context(), bare); err == nil || !strings.Contains(err.Error(), ".commands/") || !strings.Contains(err.Error(), "the laws can only be checked from the first record on") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A lie in the table is found by what the archive has.
	row := s.lastRow("tea_3")
	row.NowMS++
	s.say(row)
	if l := lawOf(s.audit(c), "I9"); l.Violations != 1 || !strings.Contains(l.First, "tea_3") {
		t.Errorf("%+v", l)
	}
}

// empty archive.
func empty(t *testing.T) string {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAnAuditGoesOnFromACheckpointWhateverWasArchivedMeanwhile(t *testing.T) {
	s, dir := openShop(t), t.TempDir()
	s.day(300)
	c := s.config()
	c.Archive, c.Checkpoint = dir, filepath.Join(t.TempDir(), "checkpoint")
	s.archived(dir)
	interrupted, r := 0, audit.Report{}
	for done := false; !done; {
		report, err := interruptedAfter(t, c, 400)
		switch {
		case errors.Is(err, ErrInterrupted):
			if interrupted++; interrupted == 3 { // more orders, and what was not read of them is archived
				s.sell(300, 600)
				s.stop()
				s.archived(dir)
			}
		case err != nil:
			t.Fatal(err)
		default:
			r, done = report, true
		}
	}
	whole := s.config()
	whole.Archive = dir
	if got, want := verdict(r), verdict(s.audit(whole)); got != want || r.Violations != 0 || interrupted < 6 {
		t.Errorf("interrupted %d times:\n%s\nwant\n%s", interrupted, got, want)
	}
	// Without the archive what was read is enough.
	c.Archive = ""
	if got, want := verdict(s.audit(c)), verdict(r); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestAnOldCopyOfTheArchiveIsRefusedAlsoBehindACheckpoint(t *testing.T) {
	s, dir, old := openShop(t), t.TempDir(), filepath.Join(t.TempDir(), "old")
	s.day(300)
	s.archived(dir)
	if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	c := s.config()
	c.Archive, c.Checkpoint = old, filepath.Join(t.TempDir(), "checkpoint")
	s.audit(c)
	s.sell(300, 600)
	s.stop()
	s.archived(dir) // what was not read yet leaves the topics as well
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "what is between can no longer be audited") {
		t.Errorf("%v", err)
	}
}

func TestAFollowerBeginsWithTheArchive(t *testing.T) {
	s, dir := openShop(t), t.TempDir()
	s.day(300)
	s.archived(dir)
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	c := s.config()
	c.Archive = dir
	begin, read, gone := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		<-begin
		s.sell(300, 400)
		<-read
		s.stop()
		s.archived(dir) // what it has read already
		close(gone)
	}()
	begun, rested := sync.OnceFunc(func() { close(begin) }), sync.OnceFunc(func() { close(read) })
	r, err := Follow(ctx, c, Watch{Every: 50 * time.Millisecond, Metrics: prometheus.NewRegistry(), Say: func(line string) {
		if strings.Contains(line, "305 orders and products") {
			begun()
		}
		if strings.Contains(line, "405 orders and products, at rest") {
			rested()
		}
		select {
		case <-gone:
			stop()
		default:
		}
	}})
	if l := lawOf(r, "I9"); err != nil || r.Violations != 0 || l.Checked != 405 || ctx.Err() != context.Canceled {
		t.Errorf("%v, %v: %s", err, ctx.Err(), verdict(r))
	}
}

package clickhouse

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

func (r *rig) prepared(name string) *Sink {
	r.Helper()
	s := r.sink(name)
	if err := s.prepare(context.Background()); err != nil {
		r.Fatal(err)
	}
	return s
}

// Whoever stands by may have looked between a release and the same process's next sign of life.
func TestAReleasedLeadIsTakenAnew(t *testing.T) {
	r, ctx := openRig(t), context.Background()
	s := r.prepared("a")
	if err := s.acquire(ctx, swapping); err != nil {
		t.Fatal(err)
	}
	before := s.lead.epoch
	if err := s.acquire(ctx, swapping); err != nil || s.lead.epoch != before {
		t.Errorf("taken again while it is held: epoch %d after %d, %v", s.lead.epoch, before, err)
	}
	if err := s.lead.release(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.acquire(ctx, swapping); err != nil {
		t.Fatal(err)
	}
	now, err := s.lead.current(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if now.epoch <= before || now.use != swapping || now.holder != s.lead.holder {
		t.Errorf("after epoch %d was released and the lead taken again ClickHouse has %+v", before, now)
	}
}

// To say that an epoch is released which ClickHouse has never seen would make it the newest one.
func TestALeadThatWasPerhapsNeverTakenIsNotReleased(t *testing.T) {
	r, ctx := openRig(t), context.Background()
	leader, other := r.prepared("leader"), r.prepared("other")
	if err := leader.acquire(ctx, filling); err != nil {
		t.Fatal(err)
	}
	r.line.breaks(func(q *http.Request) fault {
		if strings.Contains(statement(q), "INSERT INTO sink_leads") {
			return refuse
		}
		return none
	})
	if err := other.acquire(ctx, filling); err == nil {
		t.Fatal("the lead was taken through a broken line")
	}
	r.line.breaks(nil)
	if err := other.lead.release(ctx); err != nil {
		t.Fatal(err)
	}
	if err := leader.lead.check(ctx); err != nil {
		t.Errorf("the leader has lost its lead to one that never had it: %v", err)
	}
}

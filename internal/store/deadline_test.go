package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// entries counts what the partition's index holds once all is written, stale or not.
func entries(t *testing.T, p *Partition) (n int) {
	t.Helper()
	p.flushFollowed()
	it, err := p.db.db.NewIter(&pebble.IterOptions{LowerBound: append(slices.Clone(p.prefix), kindDeadline), UpperBound: append(slices.Clone(p.prefix), kindEnd)})
	must(t, err)
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n
}

func TestRowsAreDueEarliestFirstAndWithinTheLimit(t *testing.T) {
	db := openDB(t)
	p := partition(t, db, "g", "t", 0)
	for i := range int64(10) {
		must(t, p.Set(fmt.Sprintf("k%d", i), wakes(100-i*10, "")))
	}
	must(t, p.Set("never", wakes(0, "")), p.Set("short", []byte("x")), db.Commit([]Written{{p, 1}}))
	some, err := p.DueBy(45, 3, func(Due) bool { return false })
	must(t, err)
	if want := []Due{{"k9", 10}, {"k8", 20}, {"k7", 30}}; !slices.Equal(some, want) {
		t.Errorf("%v, want %v", some, want)
	}
	if p.Wake() != 40 {
		t.Errorf("the limit was met, and Wake is %d", p.Wake())
	}
	wantDue(t, p, 45, "k9@10", "k8@20", "k7@30", "k6@40")
	if p.Wake() != 50 {
		t.Errorf("Wake is %d, want that of the next row, 50", p.Wake())
	}
}

func TestSkippedRowsDoNotFillTheLimitAndStay(t *testing.T) {
	db := openDB(t)
	p := partition(t, db, "g", "t", 0)
	must(t, p.Set("a", wakes(1, "")), p.Set("b", wakes(2, "")), p.Set("c", wakes(3, "")), db.Commit([]Written{{p, 1}}))
	some, err := p.DueBy(9, 1, func(d Due) bool { return d.DeadlineMS < 3 })
	must(t, err)
	if !slices.Equal(some, []Due{{"c", 3}}) {
		t.Errorf("%v", some)
	}
	wantDue(t, p, 9, "a@1", "b@2", "c@3")
}

func TestAReplacedRowLeavesNoEntryBehind(t *testing.T) {
	db := openDB(t)
	p := partition(t, db, "g", "t", 0)
	var before []byte
	for i, ms := range []int64{50, 10, 10, 0, 30} {
		value := wakes(ms, "")
		must(t, p.Replace("a", before, value), db.Commit([]Written{{p, int64(i)}}))
		before = value
		if n := entries(t, p); n != min(1, int(ms)) {
			t.Errorf("%d entries of one row that wakes at %d", n, ms)
		}
	}
	wantDue(t, p, 100, "a@30")
}

func TestOfAMovedDeadlineOnlyTheLastIsDue(t *testing.T) {
	for name, read := range map[string]bool{"after a read": true, "blindly": false} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t)
			p := partition(t, db, "g", "t", 0)
			step := func(at int64, change func() error) {
				if read {
					_, err := p.Get("a")
					must(t, err)
				}
				must(t, change(), db.Commit([]Written{{p, at}}))
			}
			for i, ms := range []int64{50, 10, 70, 10, 30} {
				step(int64(i), func() error { return p.Set("a", wakes(ms, "")) })
			}
			if n := entries(t, p); read && n != 1 {
				t.Errorf("%d entries of one row", n)
			}
			wantDue(t, p, 100, "a@30")
			if n := entries(t, p); n != 1 {
				t.Errorf("%d entries of one row after the stale ones were met", n)
			}
			step(8, func() error { return p.Set("a", wakes(0, "")) })
			wantDue(t, p, 100)
			step(9, func() error { return p.Set("a", wakes(40, "")) })
			step(10, func() error { return p.Delete("a") })
			wantDue(t, p, 100)
			if n := entries(t, p); n != 0 {
				t.Errorf("%d entries of no row", n)
			}
			if p.Wake() != never {
				t.Errorf("nothing waits, and Wake is %d", p.Wake())
			}
		})
	}
}

func TestWakeComesForwardWithACommitAndIsUnknownAfterOpen(t *testing.T) {
	db := openDB(t)
	p := partition(t, db, "g", "t", 0)
	if p.Wake() != 0 {
		t.Errorf("Wake is %d before anything was looked at", p.Wake())
	}
	wantDue(t, p, 100)
	for i, c := range []struct{ ms, want int64 }{{500, 500}, {900, 500}, {200, 200}} {
		must(t, p.Set(fmt.Sprint(c.ms), wakes(c.ms, "")), db.Commit([]Written{{p, int64(i)}}))
		if p.Wake() != c.want {
			t.Errorf("after a deadline at %d Wake is %d, want %d", c.ms, p.Wake(), c.want)
		}
	}
	must(t, p.Close(), p.Open())
	if p.Wake() != 0 {
		t.Errorf("Wake is %d after a new start", p.Wake())
	}
	wantDue(t, p, 200, "200@200")
}

func TestFollowedRowsHaveTheirDeadlines(t *testing.T) {
	dir := t.TempDir()
	db := openIn(t, dir, small())
	p := partition(t, db, "g", "t", 0)
	const n = gatheredRows + 10 // written in two goes
	for i := range int64(n) {
		must(t, p.Set(fmt.Sprintf("k%05d", i), wakes(i+1, "")), p.SetOffset(i))
	}
	must(t, p.Set("k00000", wakes(n+1, "")), p.SetOffset(n), p.MarkRecovered())
	if got := due(t, p, n+1); len(got) != n || got[0] != "k00001@2" || got[n-1] != fmt.Sprintf("k00000@%d", n+1) {
		t.Errorf("%d rows are due, the first %s", len(got), got[0])
	}
	must(t, db.Close())
	p = partition(t, openIn(t, dir, small()), "g", "t", 0)
	wantOffset(t, p, n)
	if got := due(t, p, n+1); len(got) != n {
		t.Errorf("%d rows are due after a new start, want %d", len(got), n)
	}
}

func TestATableWithoutDeadlinesHasNoIndex(t *testing.T) {
	db := openDB(t)
	p := db.Partition("g", "t", 0, nil)
	must(t, p.Open(), p.Set("a", wakes(1, "")), db.Commit([]Written{{p, 1}}))
	if n := entries(t, p); n != 0 {
		t.Errorf("%d entries", n)
	}
	wantDue(t, p, 100)
}

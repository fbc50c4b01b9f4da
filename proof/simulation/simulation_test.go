package simulation

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // runs are short and small
	os.Exit(m.Run())
}

const orders = 500 // of a run

var (
	update  = flag.Bool("update", false, "write testdata/rows.txt from what is met")
	howMany = flag.Uint64("seeds", 1_000, "runs of TestTheLawsHoldWhateverHappens, for a longer search")
)

// sweep runs seeds from 0 on side by side, and hands each result to take, one at a time, until take has had enough.
func sweep(t *testing.T, seeds uint64, take func(Result) (more bool)) {
	t.Helper()
	var next atomic.Uint64
	var mu sync.Mutex
	var team sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		team.Go(func() {
			for seed := next.Add(1) - 1; seed < seeds; seed = next.Add(1) - 1 {
				r, err := Run(Config{Seed: seed, Orders: orders})
				mu.Lock()
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				if !take(r) {
					next.Store(seeds)
				}
				mu.Unlock()
			}
		})
	}
	team.Wait()
}

// Every seed keeps the laws; together they meet every row of the state tables and every race.
func TestTheLawsHoldWhateverHappens(t *testing.T) {
	seeds := *howMany
	if testing.Short() {
		seeds = 40
	}
	start := time.Now()
	all := Result{Faults: map[string]int{}, Rows: map[string]int{}}
	var failed []Result
	sweep(t, seeds, func(r Result) bool {
		all.add(r)
		if r.Violation != "" {
			failed = append(failed, r)
		}
		return len(failed) < 3
	})
	took := time.Since(start)
	for _, r := range failed {
		c, shrunk := Shrink(Config{Seed: r.Seed, Orders: orders}, r)
		t.Errorf("seed %d: %s\nrepeat with %s\nthe fewest orders: %s: %s", r.Seed, r.Violation, Config{Seed: r.Seed, Orders: orders}.Command(), c.Command(), shrunk.Violation)
	}
	t.Logf("%d seeds, %d orders, %d steps in %d transactions, %d records, %s of simulated time, in %s", seeds, all.Orders, all.Steps, all.Commits, all.Records, all.Lasted.Round(time.Second), took.Round(time.Millisecond))
	t.Log(table(all.Faults))
	t.Log(table(all.Rows))
	if (seeds >= 1_000 || *update) && len(failed) == 0 {
		wantRows(t, all.Rows)
	}
}

func (r *Result) add(o Result) {
	r.Orders, r.Steps, r.Commits, r.Records, r.Lasted = r.Orders+o.Orders, r.Steps+o.Steps, r.Commits+o.Commits, r.Records+o.Records, r.Lasted+o.Lasted
	for name, n := range o.Faults {
		r.Faults[name] += n
	}
	for name, n := range o.Rows {
		r.Rows[name] += n
	}
}

func table(counts map[string]int) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "\n%9d  %s", counts[name], name)
	}
	return b.String()
}

// wantRows compares what was met with the list of rows: one that is never met is a defect of the generator. One that is not on the list is rare or new.
func wantRows(t *testing.T, met map[string]int) {
	t.Helper()
	path := filepath.Join("testdata", "rows.txt")
	if *update {
		if err := os.WriteFile(path, []byte(strings.Join(slices.Sorted(maps.Keys(met)), "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if row := strings.TrimSpace(line); row != "" && row[0] != '#' {
			want[row] = true
		}
	}
	for _, row := range slices.Sorted(maps.Keys(want)) {
		if met[row] == 0 {
			t.Errorf("never met: %s", row)
		}
	}
	for _, row := range slices.Sorted(maps.Keys(met)) {
		if !want[row] {
			t.Logf("met %d times, and not in %s: %s", met[row], path, row)
		}
	}
}

func TestTheSameSeedGivesTheSameBytes(t *testing.T) {
	sums := map[string]uint64{}
	for seed := range uint64(6) {
		a, err := Run(Config{Seed: seed, Orders: orders})
		b, errAgain := Run(Config{Seed: seed, Orders: orders})
		if err != nil || errAgain != nil {
			t.Fatal(err, errAgain)
		}
		if a.Sum != b.Sum || a.Steps != b.Steps || !maps.Equal(a.Rows, b.Rows) || !maps.Equal(a.Faults, b.Faults) {
			t.Errorf("seed %d gave %s and then %s", seed, a.Sum, b.Sum)
		}
		if other, there := sums[a.Sum]; there {
			t.Errorf("seeds %d and %d give the same", other, seed)
		}
		sums[a.Sum] = seed
	}
}

// An order's own fate does not depend on who else orders: its record of what it was told begins alike.
func TestAnOrderIsTheSameWithoutTheOthers(t *testing.T) {
	all, some := newWorld(Config{Seed: 7, Orders: 40}), newWorld(Config{Seed: 7, Orders: 40, Only: []int{3, 17}})
	for _, id := range []string{"ord_3", "ord_17"} {
		a, b := all.actors[id], some.actors[id]
		for range 100 {
			if x, y := a.Uint64(), b.Uint64(); x != y {
				t.Fatalf("%s draws %d, and %d without the others", id, x, y)
			}
		}
	}
	if some.actors["ord_4"] != nil || !bytes.Equal(some.sum.Sum(nil), all.sum.Sum(nil)) {
		t.Error("an order that was left out is there, or something happened before the start")
	}
}

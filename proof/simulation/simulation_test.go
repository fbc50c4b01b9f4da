package simulation

import (
	"maps"
	"slices"
	"testing"
	"time"
)

func TestSmoke(t *testing.T) {
	start := time.Now()
	steps, crashes, rows := 0, map[string]int{}, map[string]int{}
	for seed := range uint64(60) {
		r, err := Run(Config{Seed: seed, Orders: 500})
		if err != nil {
			t.Fatal(err)
		}
		steps += r.Steps
		for f, n := range r.Faults {
			crashes[f] += n
		}
		for f, n := range r.Rows {
			rows[f] += n
		}
		if r.Violation != "" {
			t.Errorf("seed %d after %d orders: %s", seed, r.Placed, r.Violation)
		}
	}
	t.Log(time.Since(start), steps, crashes)
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		t.Log(rows[k], k)
	}
}

//go:build planted

package simulation

import (
	"testing"

	"oms/internal/planted"
)

// Each planted bug is caught by a law, within a hundred seeds.
func TestPlantedBugsAreCaught(t *testing.T) {
	t.Cleanup(func() { planted.Choose("") })
	for _, b := range planted.Machines {
		t.Run(string(b), func(t *testing.T) {
			planted.Choose(b)
			var caught *Result
			seeds, placed := 0, 0
			sweep(t, 100, func(r Result) bool {
				seeds++
				if r.Violation != "" && caught == nil {
					caught, placed = &r, placed+r.Placed
				} else if caught == nil {
					placed += r.Orders
				}
				return caught == nil
			})
			if caught == nil {
				t.Fatalf("not caught in %d seeds, %d orders", seeds, placed)
			}
			t.Logf("%-22s caught by %-3s after %4d orders: %s", b, caught.Law(), placed, caught.Violation)
		})
	}
}

// A failing run is shrunk to the orders that it takes, and the command that is printed repeats it.
func TestAFailingRunIsShrunk(t *testing.T) {
	t.Cleanup(func() { planted.Choose("") })
	planted.Choose(planted.UndoneTwice)
	c := Config{Seed: 3, Orders: 120}
	failed, err := Run(c)
	if err != nil || failed.Law() != "I4" {
		t.Fatalf("%v, %q: want a violation of I4", err, failed.Violation)
	}
	small, again := Shrink(c, failed)
	if len(small.Only) > 2 || again.Law() != "I4" {
		t.Errorf("%d orders are left: %v, with %q", len(small.Only), small.Only, again.Violation)
	}
	if r, err := Run(small); err != nil || r.Sum != again.Sum || r.Violation != again.Violation {
		t.Errorf("run again: %v, %q, not %q", err, r.Violation, again.Violation)
	}
	t.Logf("%s: %s", small.Command(), again.Violation)
}

package product

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"oms/schemas"
)

// twin keeps one number a reservation and adds everything up each time it is asked: too slow to use and too simple to be wrong.
type twin struct {
	onHand, safety map[string]int64
	held           []schemas.Allocation
}

func (w *twin) free(at string) int64 {
	n := w.onHand[at] - w.safety[at]
	for _, a := range w.held {
		if a.LocationID == at {
			n -= a.Quantity
		}
	}
	return max(0, n)
}

var locations = []string{"a", "b", "c"}

func TestStockIsWhatWasCountedAndNotPromisedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &twin{onHand: map[string]int64{}, safety: map[string]int64{}}
		row, _ := Step(schemas.ProductRow{}, schemas.Input{Message: &schemas.AddProduct{ProductID: "tea", PriceMinor: 5, Currency: "EUR"}})
		take := func(m schemas.Message) (said []schemas.Message) {
			row, said = Step(row, schemas.Input{Message: m})
			return said
		}
		for _, at := range locations {
			w.onHand[at] = rapid.Int64Range(0, 9).Draw(t, "at first")
			take(&schemas.AdjustStock{ProductID: "tea", LocationID: at, Mode: schemas.AdjustModeSet, Quantity: w.onHand[at]})
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				w.count(t, take)
			case 1, 2:
				w.reserve(t, take)
			case 3:
				if len(w.held) > 0 {
					i := rapid.IntRange(0, len(w.held)-1).Draw(t, "which")
					a := w.held[i]
					take(&schemas.ReleaseStock{ProductID: "tea", Lines: []schemas.ReleaseLine{{Line: 1, Allocations: []schemas.Allocation{a}}}})
					w.held = append(w.held[:i:i], w.held[i+1:]...)
				}
			}
			for _, l := range row.Levels {
				if l.Reserved < 0 || l.Reserved > l.OnHand || l.OnHand != w.onHand[l.LocationID] || free(&l) != w.free(l.LocationID) {
					t.Fatalf("%+v, want %d on hand and %d free", l, w.onHand[l.LocationID], w.free(l.LocationID))
				}
			}
		}
	})
}

// count sets or changes stock; a command is refused exactly when it would uncover a promise or be more than can be counted.
func (w *twin) count(t *rapid.T, take func(schemas.Message) []schemas.Message) {
	at := rapid.SampledFrom(locations).Draw(t, "at")
	m := &schemas.AdjustStock{ProductID: "tea", LocationID: at, Mode: rapid.SampledFrom([]schemas.AdjustMode{schemas.AdjustModeSet, schemas.AdjustModeDelta}).Draw(t, "mode"),
		Quantity: rapid.OneOf(rapid.Int64Range(-5, 9), rapid.Int64Range(0, 9), rapid.Int64Range(0, 9), rapid.SampledFrom([]int64{math.MaxInt64, math.MinInt64, math.MaxInt64 - 10, math.MinInt64 + 10})).Draw(t, "quantity")}
	if rapid.IntRange(0, 3).Draw(t, "keeps back") == 0 {
		m.SafetyStock = new(int64)
		*m.SafetyStock = rapid.SampledFrom([]int64{0, 0, 2, math.MaxInt64}).Draw(t, "safety")
	}
	promised, elsewhere := int64(0), int64(0)
	for _, a := range w.held {
		if a.LocationID == at {
			promised += a.Quantity
		}
	}
	for _, other := range locations {
		if other != at {
			elsewhere += w.onHand[other]
		}
	}
	after := big.NewInt(m.Quantity)
	if m.Mode == schemas.AdjustModeDelta {
		after.Add(after, big.NewInt(w.onHand[at]))
	}
	var want schemas.RefusalCode
	switch {
	case after.Cmp(big.NewInt(promised)) < 0:
		want = schemas.RefusalCodeOnHandBelowReserved
	case after.Cmp(big.NewInt(math.MaxInt64-elsewhere)) > 0:
		want = schemas.RefusalCodeQuantityOverflow
	}
	refused, _ := take(m)[0].(*schemas.CommandRefused)
	if (refused != nil) != (want != "") || refused != nil && refused.Code != want {
		t.Fatalf("%s %d at %s with %d there, %d promised, %d elsewhere: %+v", m.Mode, m.Quantity, at, w.onHand[at], promised, elsewhere, refused)
	}
	if want == "" {
		w.onHand[at] = after.Int64()
		if m.SafetyStock != nil {
			w.safety[at] = *m.SafetyStock
		}
	}
}

// reserve takes up to three lines; each is had exactly when there is enough over all locations, from as few of them as can be.
func (w *twin) reserve(t *rapid.T, take func(schemas.Message) []schemas.Message) {
	m := &schemas.ReserveStock{OrderID: "ord_1", ProductID: "tea", Currency: "EUR"}
	for i := range rapid.IntRange(1, 3).Draw(t, "lines") {
		q := rapid.OneOf(rapid.Int64Range(1, 12), rapid.Int64Range(1, 12), rapid.Just(int64(math.MaxInt64))).Draw(t, "units")
		m.Lines = append(m.Lines, schemas.ReserveLine{Line: int32(i + 1), Quantity: q})
	}
	said := take(m)
	for i, r := range said[len(said)-1].(*schemas.StockReply).Results {
		available, fewest := int64(0), w.fewest(m.Lines[i].Quantity)
		for _, at := range locations {
			available += w.free(at)
		}
		if (r.Outcome == schemas.StockOutcomeReserved) != (available >= m.Lines[i].Quantity) || r.Outcome == schemas.StockOutcomeRejected && r.Available != available {
			t.Fatalf("%d wanted of %d: %+v", m.Lines[i].Quantity, available, r)
		}
		var sum int64
		for _, a := range r.Allocations {
			if sum += a.Quantity; a.Quantity < 1 || a.Quantity > w.free(a.LocationID) {
				t.Fatalf("%d taken at %s of %d", a.Quantity, a.LocationID, w.free(a.LocationID))
			}
			w.held = append(w.held, a)
		}
		if r.Outcome == schemas.StockOutcomeReserved && (sum != m.Lines[i].Quantity || len(r.Allocations) != fewest) {
			t.Fatalf("%d wanted, %+v given, %d locations would do", m.Lines[i].Quantity, r.Allocations, fewest)
		}
	}
}

// fewest tries every set of locations.
func (w *twin) fewest(units int64) int {
	best := len(locations) + 1
	for set := 1; set < 1<<len(locations); set++ {
		sum, n := int64(0), 0
		for i, at := range locations {
			if set&(1<<i) != 0 {
				sum += w.free(at)
				n++
			}
		}
		if sum >= units {
			best = min(best, n)
		}
	}
	return best
}

package peers

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestTheOrdersOfPeersHaveTheLinesOfOurs(t *testing.T) {
	dice, lines := rand.New(rand.NewPCG(1, 2)), 0
	const orders = 20_000
	for range orders {
		products := draw(dice)
		lines += len(products)
		if !slices.IsSorted(products) || len(slices.Compact(slices.Clone(products))) != len(products) || products[0] < 1 || products[len(products)-1] > 4000 {
			t.Fatal(products)
		}
	}
	if mean := float64(lines) / orders; mean < 1.13 || mean > 1.17 {
		t.Errorf("%.3f lines an order, want 1.15", mean)
	}
}

func TestAReportDividesMedians(t *testing.T) {
	var r Report
	r.Figures = slices.Clone(figures)
	for i, f := range figures {
		for _, v := range []float64{1, 3, 2} {
			r.add(f.ID, v*float64(i+1))
		}
	}
	r.sum()
	if f := r.figure("oms"); f.Median != 2 || f.Least != 1 || f.Most != 3 {
		t.Errorf("%+v", f)
	}
	for _, x := range r.Ratios {
		if ours, theirs := r.figure(x.Ours).Median, r.figure(x.Theirs).Median; x.Value != ours/theirs && (!x.Less || x.Value != theirs/ours) {
			t.Errorf("%+v", x)
		}
	}
	var table, chart strings.Builder
	if err := r.Table(&table); err != nil {
		t.Fatal(err)
	}
	if err := r.SVG(&chart); err != nil {
		t.Fatal(err)
	}
	for _, x := range ratios {
		if !strings.Contains(table.String(), x.Name) || !strings.Contains(chart.String(), x.Name) {
			t.Errorf("%q is shown nowhere", x.Name)
		}
	}
}

package workload

import (
	"bytes"
	"encoding/json"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func collect(t *testing.T, documents iter.Seq2[Document, error]) []Document {
	t.Helper()
	var all []Document
	for d, err := range documents {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

func TestLinesReachTheServerAsTheyStand(t *testing.T) {
	f, err := os.Open("testdata/orders.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := collect(t, Lines(f))
	if len(got) != 6 {
		t.Fatalf("%d documents, want 6: %+v", len(got), got)
	}
	if d := got[0]; d.Action != Open || d.ProductID != "tea" || d.OnHand != 1000 || !strings.HasPrefix(string(d.Body), `{"product_id":"tea"`) {
		t.Errorf("product: %+v", d)
	}
	if d := got[2]; d.Action != Place || d.Key != "A-1" || !strings.HasPrefix(string(d.Body), `{"currency":"EUR","lines"`) {
		t.Errorf("order: %+v %s", d, d.Body)
	}
	if d := got[3]; d.Action != Place || d.Key == "" || !strings.Contains(string(d.Body), "1.50") || strings.Count(string(d.Body), `"currency"`) != 2 {
		t.Errorf("an order that the server must refuse was changed: %+v %s", d, d.Body)
	}
	for _, d := range got[4:] {
		if d.Action != Named || d.Outcome != RefusedLine || d.Key == "" || d.Line < 5 || d.Reason == "" {
			t.Errorf("bad line: %+v", d)
		}
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	s := NewShop(Shop{Seed: 7, Products: 3, OnHand: 10})
	want := collect(t, s.Documents(0, 5))
	var b bytes.Buffer
	if err := Write(&b, s.Documents(0, 5)); err != nil {
		t.Fatal(err)
	}
	got := collect(t, Lines(&b))
	for i := range want {
		if got[i].Key != want[i].Key || got[i].Action != want[i].Action || !bytes.Equal(got[i].Body, want[i].Body) || got[i].OnHand != want[i].OnHand {
			t.Errorf("document %d:\n got %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

func TestTheSameSeedIsTheSameShop(t *testing.T) {
	a, b, other := NewShop(Shop{Seed: 1, Products: 50}), NewShop(Shop{Seed: 1, Products: 50}), NewShop(Shop{Seed: 2, Products: 50})
	a.Order(3) // what was asked before does not matter
	one, _ := json.Marshal(a.Order(9))
	two, _ := json.Marshal(b.Order(9))
	if !bytes.Equal(one, two) {
		t.Errorf("%s\n%s", one, two)
	}
	if three, _ := json.Marshal(other.Order(9)); bytes.Equal(one, three) {
		t.Error("another seed gave the same order")
	}
}

// The facts that the generator is calibrated to, with the tolerance of 20,000 drawn orders.
func TestTheShopsLookLikeRealOnes(t *testing.T) {
	between := func(what string, got, low, high float64) {
		t.Helper()
		t.Logf("%s: %.4g", what, got)
		if got < low || got > high {
			t.Errorf("%s: %.4g, want %.4g to %.4g", what, got, low, high)
		}
	}
	retail := measure(NewShop(Shop{Seed: 1, Products: 4000}), 20_000)
	between("retail lines an order", retail.meanLines, 1.12, 1.18)
	between("retail lines, 99th percentile", float64(retail.lines[len(retail.lines)*99/100]), 3, 3)
	between("retail units", float64(retail.units[len(retail.units)-1]), 1, 1)
	prices := []int64{}
	for i := range 4000 {
		prices = append(prices, NewShop(Shop{Seed: 1, Products: 1}).Product(i).Price.AmountMinor)
	}
	slices.Sort(prices)
	between("median price", float64(prices[2000]), 7000, 8000)
	whole := measure(NewShop(Shop{Seed: 1, Products: 4000, Wholesale: true}), 20_000)
	between("wholesale lines an order", whole.meanLines, 24.5, 26.7)
	between("wholesale lines, median", float64(whole.lines[len(whole.lines)/2]), 14, 16)
	between("wholesale lines, 99th percentile", float64(whole.lines[len(whole.lines)*99/100]), 195, 240)
	between("wholesale lines, most", float64(whole.lines[len(whole.lines)-1]), 600, 1114)
	between("units, median", float64(whole.units[len(whole.units)/2]), 3, 3)
	between("units, 99th percentile", float64(whole.units[len(whole.units)*99/100]), 85, 125)
	between("share of orders with the hottest product", whole.hottest, 0.096, 0.116)
	between("units of the top 1 %", whole.topUnits, 0.16, 0.20)
	between("orders that repeat a product", whole.repeating, 0.12, 0.17)
	between("orders of a customer, median", float64(whole.buyers[len(whole.buyers)/2]), 1, 2)
	between("orders of the busiest customer", float64(whole.buyers[len(whole.buyers)-1]), 100, 800)
}

type measured struct {
	lines                        []int
	units, buyers                []int64
	meanLines, hottest, topUnits float64
	repeating                    float64
}

func measure(s *Shop, n int) (m measured) {
	orders, units, buyers := map[string]int{}, map[string]int64{}, map[string]int64{}
	total, lines, repeated := int64(0), 0, 0
	for i := range n {
		o := s.Order(i)
		in := map[string]bool{}
		for _, l := range o.Lines {
			in[l.ProductID] = true
			units[l.ProductID] += l.Quantity
			total += l.Quantity
			m.units = append(m.units, l.Quantity)
		}
		for p := range in {
			orders[p]++
		}
		if lines += len(o.Lines); len(in) < len(o.Lines) {
			repeated++
		}
		m.lines = append(m.lines, len(o.Lines))
		buyers[o.CustomerID]++
	}
	hottest, top := 0, int64(0)
	for i := range s.Products / 100 {
		top += units[s.ProductID(i)]
		hottest = max(hottest, orders[s.ProductID(i)])
	}
	for _, c := range buyers {
		m.buyers = append(m.buyers, c)
	}
	slices.Sort(m.lines)
	slices.Sort(m.units)
	slices.Sort(m.buyers)
	m.meanLines, m.hottest, m.topUnits = float64(lines)/float64(n), float64(hottest)/float64(n), float64(top)/float64(total)
	m.repeating = float64(repeated) / float64(n)
	return m
}

func TestEveryDocumentOfTheWholesalerHasSomethingToDoOrAName(t *testing.T) {
	shared := os.Getenv("OMS_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	dir := filepath.Join(shared, "data", "uci-online-retail")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the wholesaler's documents are not at hand: " + err.Error())
	}
	counts, stock, keys := map[Action]int{}, map[string]int64{}, map[string]bool{}
	named, awaited := map[string]int{}, map[string]bool{}
	for _, d := range collect(t, UCI(dir)) {
		if d.Key == "" || keys[d.Key] {
			t.Errorf("key %q is empty or not new", d.Key)
		}
		keys[d.Key], awaited[d.Key] = true, d.Awaited
		counts[d.Action]++
		switch d.Action {
		case Open:
			stock[d.ProductID] = d.OnHand
		case Adjust:
			stock[d.ProductID] += d.Delta
		case Cancel:
			if !awaited[d.Of] {
				t.Errorf("%s cancels %q, which did not come before as one that is awaited", d.Key, d.Of)
			}
		case Place:
			var o Order
			if err := json.Unmarshal(d.Body, &o); err != nil {
				t.Fatal(err)
			}
			for _, l := range o.Lines {
				stock[l.ProductID] -= l.Quantity
			}
		case Named:
			named[d.Outcome]++
		}
	}
	if want := map[Action]int{Open: 4070, Place: 3973, Adjust: 217, Cancel: 18, Named: 792}; !equal(counts, want) {
		t.Errorf("documents by action %v, want %v", counts, want)
	}
	if want := map[string]int{NotYetReturn: 407, NotYetCancelLines: 385}; !equal(named, want) {
		t.Errorf("documents by name %v, want %v", named, want)
	}
	for p, left := range stock {
		if left != 0 {
			t.Errorf("%s: %d units are left when all documents are done, want 0", p, left)
		}
	}
}

func equal[K comparable](a, b map[K]int) bool {
	for k := range a {
		if a[k] != b[k] {
			return false
		}
	}
	return len(a) == len(b)
}

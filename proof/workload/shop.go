package workload

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
)

// Shop is a seeded shop. The same Shop gives the same products and the same n-th order, whatever was asked before.
type Shop struct {
	Seed      uint64
	Wholesale bool   // few large orders of many lines, otherwise retail
	Products  int    // size of the catalogue, 1 or more
	OnHand    int64  // units that each product opens with
	Prefix    string // of keys and product ids, so that runs on one system do not meet; may be empty

	popular []float64 // cumulative share of the products, most popular first; filled by init
}

// The calibration. Retail: 1.15 lines an order, 99th percentile 3, one unit each, prices log-normal around 75.00. Wholesale: 25.6 lines an order, median 15,
// 99th percentile 217, at most 1,114; units with median 3 and 99th percentile 100; the hottest of 4,000 products in 10.6 % of the orders, the top 1 % with 18 %
// of the units, 14 % of the orders with a product twice.
var (
	retailLines    = []knot{{.89, 1}, {.97, 2}, {.992, 3}, {1, 4}}
	wholesaleLines = []knot{{0, 1}, {.1, 1}, {.2, 4}, {.3, 7}, {.4, 11}, {.5, 15}, {.6, 19}, {.7, 25}, {.8, 34}, {.9, 50}, {.95, 70}, {.98, 130}, {.99, 217}, {.999, 600}, {1, 1114}}
)

const (
	medianPrice   = 7500.0 // minor units
	priceSpread   = 0.8    // σ of its logarithm
	medianUnits   = 3.0
	unitsSpread   = 1.507 // σ of its logarithm: 99th percentile 100
	maxUnits      = 80_995
	popularity    = 0.62 // exponent and offset of the products' shares, Zipf's law with a flat head
	popularOffset = 6.0
	hotUnits      = 2    // the top 1 % are bought in larger lots
	redrawn       = 0.25 // how often a buyer notices that the product is on the order already
	ordersPerHead = 4    // a customer for every so many orders of 10,000
)

type knot struct{ share, lines float64 }

// Currency of every generated price.
const Currency = "EUR"

// NewShop fills in what drawing needs.
func NewShop(s Shop) *Shop {
	s.popular = make([]float64, s.Products)
	sum := 0.0
	for i := range s.popular {
		sum += math.Pow(float64(i)+1+popularOffset, -popularity)
		s.popular[i] = sum
	}
	for i := range s.popular {
		s.popular[i] /= sum
	}
	return &s
}

func (s *Shop) dice(stream, n uint64) *rand.Rand {
	return rand.New(rand.NewPCG(s.Seed^stream*0x9e3779b97f4a7c15, n))
}

// ProductID of the i-th most popular product, from 0.
func (s *Shop) ProductID(i int) string { return fmt.Sprintf("%sp%05d", s.Prefix, i) }

// Product is the i-th most popular product.
func (s *Shop) Product(i int) Product {
	price := int64(medianPrice * math.Exp(priceSpread*s.dice(1, uint64(i)).NormFloat64()))
	return Product{ProductID: s.ProductID(i), Name: fmt.Sprintf("Article %d", i), Category: fmt.Sprintf("aisle %d", i%12), Price: Money{max(1, price), Currency}}
}

// Order is the n-th order, from 0.
func (s *Shop) Order(n int) Order {
	d := s.dice(2, uint64(n))
	o := Order{
		Key: fmt.Sprintf("%so%d-%08d", s.Prefix, s.Seed, n), Currency: Currency, Lines: make([]Line, s.lines(d)),
		CustomerID: fmt.Sprintf("cus_%s%06d", s.Prefix, s.customer(d)), Payment: Payment{Method: "CARD", Token: fmt.Sprintf("tok_%d", n)},
		ShippingAddress: &Address{Name: "A. Buyer", Line1: fmt.Sprintf("%d Market Street", 1+n%200), City: "Graz", PostalCode: "8010", Country: s.country(n)},
	}
	drawn := map[int]bool{}
	for i := range o.Lines {
		at := s.product(d)
		if drawn[at] && d.Float64() < redrawn {
			at = s.product(d)
		}
		drawn[at] = true
		o.Lines[i] = Line{ProductID: s.ProductID(at), Quantity: s.units(d, at)}
	}
	return o
}

// countries that a shop ships to, the nearest ones most often.
var countries = [...]string{"AT", "AT", "AT", "AT", "DE", "DE", "DE", "CH", "IT", "FR"}

func (s *Shop) country(n int) string { return countries[s.dice(3, uint64(n)).IntN(len(countries))] }

func (s *Shop) product(d *rand.Rand) int {
	at, _ := slices.BinarySearch(s.popular, d.Float64())
	return min(at, s.Products-1)
}

func (s *Shop) lines(d *rand.Rand) int {
	u := d.Float64()
	if !s.Wholesale {
		for _, k := range retailLines {
			if u < k.share {
				return int(k.lines)
			}
		}
	}
	for i, k := range wholesaleLines[1:] {
		if a := wholesaleLines[i]; u <= k.share {
			return max(1, int(math.Round(a.lines*math.Pow(k.lines/a.lines, (u-a.share)/(k.share-a.share)))))
		}
	}
	return 1
}

func (s *Shop) units(d *rand.Rand, product int) int64 {
	if !s.Wholesale {
		return 1
	}
	u := medianUnits * math.Exp(unitsSpread*d.NormFloat64())
	if product < s.Products/100 {
		u *= hotUnits
	}
	return min(maxUnits, max(1, int64(math.Round(u))))
}

// customer draws a buyer: most come once or twice, a few all the time.
func (s *Shop) customer(d *rand.Rand) int {
	const heads = 10_000 * ordersPerHead
	u := d.Float64()
	return int(heads * math.Pow(u, 2.3))
}

// Documents are the catalogue and then the orders from … to−1.
func (s *Shop) Documents(from, to int) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for i := range s.Products {
			p := s.Product(i)
			body, err := json.Marshal(p)
			if !yield(Document{Key: "product:" + p.ProductID, Action: Open, Body: body, ProductID: p.ProductID, OnHand: s.OnHand}, err) {
				return
			}
		}
		for n := from; n < to; n++ {
			if d, err := s.Order(n).Document(); !yield(d, err) {
				return
			}
		}
	}
}

// Document of an order: its key apart from its body.
func (o Order) Document() (Document, error) {
	d := Document{Key: o.Key, Action: Place}
	o.Key = ""
	var err error
	d.Body, err = json.Marshal(o)
	return d, err
}

package workload

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
)

// Files of the data set "Online Retail" (D. Chen, 2015, UCI Machine Learning Repository, doi 10.24432/C5BW33, CC BY 4.0), normalised to JSON lines with prices in pence.
const (
	uciOrders   = "orders-first5000.jsonl.gz"
	uciProducts = "products.jsonl.gz"
)

// invoice is one document of the wholesaler.
type invoice struct {
	ID         string `json:"order_id"`
	CustomerID string `json:"customer_id"` // empty in one sale out of eight
	Currency   string `json:"currency"`
	Country    string `json:"country_code"`
	Kind       string `json:"kind"`
	Items      []struct {
		SKU       string `json:"sku"`
		Quantity  int64  `json:"quantity"`
		UnitPrice int64  `json:"unit_price_minor"`
	} `json:"items"`
	Cancels *struct {
		OrderID string `json:"order_id"`
		Whole   bool   `json:"whole_order"`
	} `json:"cancels"`
}

// stockCode is one line of the wholesaler's product list. The modal price is absent when it was never sold for money.
type stockCode struct {
	SKU         string `json:"sku"`
	Description string `json:"description"`
	ModalPrice  int64  `json:"modal_price_minor"`
	Currency    string `json:"currency"`
}

// UCI reads the wholesaler's folder: first every product at its modal price, with stock for all sales and write-offs of the folder; then the documents in time order.
// Sales carry the prices of the document as quoted prices and its number as key, so no outcome depends on what runs beside it.
//
//   - A product that was never sold for money opens at 0, the only price that the documents know. One without a name is called by its code.
//     Codes are taken as they are: 85123A and 85123a are two products, and POST, DOT or BANK CHARGES are sold like goods.
//   - A write-off (negative quantities without price) takes the units off the stock.
//   - A cancellation that names a sale as a whole cancels its order; one that names a part of it, or no sale at all, is counted as not yet possible.
//   - A bad-debt adjustment, and any kind that is not known, is counted by name.
func UCI(dir string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		need, cancelled, err := survey(dir)
		if err != nil {
			yield(Document{}, err)
			return
		}
		for p, err := range records[stockCode](filepath.Join(dir, uciProducts)) {
			var d Document
			if err == nil {
				d, err = p.document(need[p.SKU])
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
		for v, err := range records[invoice](filepath.Join(dir, uciOrders)) {
			if err != nil {
				yield(Document{}, err)
				return
			}
			d, err := v.document()
			d.Awaited = cancelled[v.ID]
			if !yield(d, err) {
				return
			}
		}
	}
}

// survey sums the units that the documents take of each product, and finds the sales that are cancelled whole.
func survey(dir string) (need map[string]int64, cancelled map[string]bool, err error) {
	need, cancelled = map[string]int64{}, map[string]bool{}
	for v, err := range records[invoice](filepath.Join(dir, uciOrders)) {
		if err != nil {
			return nil, nil, err
		}
		if v.Cancels != nil && v.Cancels.Whole {
			cancelled[v.Cancels.OrderID] = true
		}
		for _, it := range v.Items {
			switch v.Kind {
			case "sale":
				need[it.SKU] += it.Quantity
			case "stock_write_off":
				need[it.SKU] -= it.Quantity
			}
		}
	}
	return need, cancelled, nil
}

// records reads one JSON value a line from a gzip file.
func records[T any](path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		f, err := os.Open(path)
		if err != nil {
			yield(none, err)
			return
		}
		defer f.Close()
		z, err := gzip.NewReader(bufio.NewReader(f))
		if err != nil {
			yield(none, fmt.Errorf("%s: %w", path, err))
			return
		}
		for in := json.NewDecoder(z); ; {
			var v T
			err := in.Decode(&v)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(none, fmt.Errorf("%s: %w", path, err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

func (p stockCode) document(onHand int64) (Document, error) {
	name := p.Description
	if name == "" {
		name = p.SKU
	}
	body, err := json.Marshal(Product{ProductID: p.SKU, Name: name, Price: Money{p.ModalPrice, p.Currency}})
	return Document{Key: "uci:product:" + p.SKU, Action: Open, Body: body, ProductID: p.SKU, OnHand: onHand}, err
}

func (v *invoice) document() (Document, error) {
	d := Document{Key: v.ID, Action: Named}
	switch {
	case v.Kind == "sale":
		return v.sale()
	case v.Kind == "stock_write_off" && len(v.Items) == 1:
		d.Action, d.ProductID, d.Delta, d.Reason = Adjust, v.Items[0].SKU, v.Items[0].Quantity, "write-off "+v.ID
	case v.Kind == "cancellation" && v.Cancels != nil && v.Cancels.Whole:
		d.Action, d.Of, d.Reason = Cancel, v.Cancels.OrderID, "credit note "+v.ID
	case v.Kind == "cancellation" && v.Cancels != nil:
		d.Outcome = NotYetCancelLines
	case v.Kind == "cancellation":
		d.Outcome = NotYetReturn
	case v.Kind == "bad_debt_adjustment":
		d.Outcome = NotYetBadDebt
	default:
		d.Outcome = NotYetKind
	}
	return d, nil
}

func (v *invoice) sale() (Document, error) {
	o := Order{Key: v.ID, CustomerID: v.CustomerID, Currency: v.Currency, ClientReference: v.ID, Payment: Payment{Method: "CARD", Token: "tok_" + v.ID},
		// Of the address the country is known, and not always.
		ShippingAddress: &Address{Name: "Customer " + v.CustomerID, Line1: "unknown", City: "unknown", PostalCode: "unknown", Country: v.Country}}
	for _, it := range v.Items {
		o.Lines = append(o.Lines, Line{ProductID: it.SKU, Quantity: it.Quantity, Quoted: &Money{it.UnitPrice, v.Currency}})
	}
	return o.Document()
}

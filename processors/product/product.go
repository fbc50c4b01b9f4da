// Package product decides about one product: catalogue, price, stock by location.
package product

import (
	"bytes"
	"fmt"

	"oms/schemas"
)

// Step decides what follows from a message. The slices of the state given are the machine's to change.
func Step(state schemas.ProductRow, in schemas.Input) (schemas.ProductRow, []schemas.Message) {
	d := decision{ProductRow: state}
	switch m := in.Message.(type) {
	case *schemas.ReserveStock:
		d.reserve(m)
	case *schemas.ReleaseStock:
		d.release(m)
	case *schemas.AdjustStock:
		d.adjust(m)
	case *schemas.AddProduct:
		d.add(m)
	default:
		d.impossible(m, "no message of a product")
	}
	return d.ProductRow, d.out
}

// decision is one step under way.
type decision struct {
	schemas.ProductRow
	out []schemas.Message
}

func (d *decision) say(m schemas.Message) { d.out = append(d.out, m) }

func (d *decision) impossible(m schemas.Message, why string, args ...any) {
	state := "not in the catalogue"
	if d.Exists {
		state = "in the catalogue"
	}
	panic(schemas.Impossible{Machine: "product", State: state, Message: m, Why: fmt.Sprintf(why, args...)})
}

// add puts the product into the catalogue. The same product added again is answered like the first time.
func (d *decision) add(m *schemas.AddProduct) {
	if d.Exists {
		if bytes.Equal(d.Fingerprint, m.Fingerprint) {
			d.say(&schemas.CommandRepeated{})
		} else {
			d.say(&schemas.CommandRefused{Code: schemas.RefusalCodeProductExists, Pointer: "/product_id",
				Detail: "product_id: " + m.ProductID + " is in the catalogue with another body"})
		}
		return
	}
	if m.PriceMinor < 0 || m.LowStockThreshold < 0 {
		d.impossible(m, "price_minor %d, low_stock_threshold %d: want at least 0", m.PriceMinor, m.LowStockThreshold)
	}
	d.Exists, d.ProductID, d.Fingerprint = true, m.ProductID, m.Fingerprint
	d.Name, d.Description, d.Category, d.Metadata = m.Name, m.Description, m.Category, m.Metadata
	d.PriceMinor, d.Currency, d.LowStockThreshold = m.PriceMinor, m.Currency, m.LowStockThreshold
	d.say(&schemas.ProductAdded{ProductID: m.ProductID, Name: m.Name, Description: m.Description, Category: m.Category, PriceMinor: m.PriceMinor, Currency: m.Currency, Metadata: m.Metadata})
}

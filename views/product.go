package views

import (
	"context"

	"oms/internal/web"
	"oms/schemas"
)

// productBody is a product as buyers see it.
type productBody struct {
	ProductID   string            `json:"product_id"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Category    string            `json:"category,omitempty"`
	Price       money             `json:"price"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Available   int64             `json:"available"`
	Version     int64             `json:"version"`
}

type money struct {
	AmountMinor int64  `json:"amount_minor"`
	Currency    string `json:"currency"`
}

// inventoryBody is the stock of a product.
type inventoryBody struct {
	ProductID         string         `json:"product_id"`
	OnHand            int64          `json:"on_hand"`
	Reserved          int64          `json:"reserved"`
	Available         int64          `json:"available"`
	LowStockThreshold int64          `json:"low_stock_threshold"`
	Locations         []locationBody `json:"locations"`
	Version           int64          `json:"version"`
}

type locationBody struct {
	LocationID  string `json:"location_id"`
	OnHand      int64  `json:"on_hand"`
	Reserved    int64  `json:"reserved"`
	Available   int64  `json:"available"`
	SafetyStock int64  `json:"safety_stock"`
	Incoming    int64  `json:"incoming"`
	Damaged     int64  `json:"damaged"`
}

func productOf(row *schemas.ProductRow) *productBody {
	return &productBody{ProductID: row.ProductID, Name: row.Name, Description: row.Description, Category: row.Category,
		Price: money{row.PriceMinor, row.Currency}, Metadata: schemas.NotesMap(row.Metadata), Available: inventoryOf(row).Available, Version: row.Version}
}

func inventoryOf(row *schemas.ProductRow) *inventoryBody {
	b := &inventoryBody{ProductID: row.ProductID, LowStockThreshold: row.LowStockThreshold, Locations: make([]locationBody, len(row.Levels)), Version: row.Version}
	for i, l := range row.Levels {
		available := max(0, l.OnHand-l.Reserved-l.SafetyStock)
		b.Locations[i] = locationBody{l.LocationID, l.OnHand, l.Reserved, available, l.SafetyStock, l.Incoming, l.Damaged}
		b.OnHand += l.OnHand
		b.Reserved += l.Reserved
		b.Available += available
	}
	return b
}

// productRow reads a product; nil when nobody added it.
func (v *Views) productRow(tenant, id string) (*schemas.ProductRow, error) {
	stored, err := v.stored(productsTable, schemas.ProductKey(tenant, id))
	if err != nil || stored == nil {
		return nil, err
	}
	row, err := rowIn[*schemas.ProductRow](stored)
	if err != nil || !row.Exists || row.Tenant != tenant {
		return nil, err
	}
	return row, nil
}

// Product answers a product of the tenant's catalogue as soon as its row has the version, or as it is with the context's error.
func (v *Views) Product(ctx context.Context, tenant, id string, minVersion int64) (web.Document, error) {
	row, err := v.awaitProduct(ctx, tenant, id, minVersion)
	return shown(row, err, func(row *schemas.ProductRow) (web.Document, error) { return document(productOf(row), row.Version) })
}

// Inventory answers a product's stock as soon as its row has the version, or as it is with the context's error.
func (v *Views) Inventory(ctx context.Context, tenant, id string, minVersion int64) (web.Document, error) {
	row, err := v.awaitProduct(ctx, tenant, id, minVersion)
	return shown(row, err, func(row *schemas.ProductRow) (web.Document, error) { return document(inventoryOf(row), row.Version) })
}

func (v *Views) awaitProduct(ctx context.Context, tenant, id string, minVersion int64) (*schemas.ProductRow, error) {
	return awaitVersion(ctx, v, productFamily, schemas.ProductKey(tenant, id), minVersion, func() (*schemas.ProductRow, error) { return v.productRow(tenant, id) })
}

package schemas

// AddProduct: the staff adds a product to the catalogue.
type AddProduct struct {
	Command           `avro:",inline"`
	ProductID         string `avro:"product_id"`          // identity, chosen by the shop
	Fingerprint       []byte `avro:"fingerprint"`         // HMAC of the canonical body
	Name              string `avro:"name"`                // shown to buyers
	Description       string `avro:"description"`         // shown to buyers
	Category          string `avro:"category"`            // for reports
	PriceMinor        int64  `avro:"price_minor"`         // catalogue price of a unit
	Currency          string `avro:"currency"`            // ISO 4217
	Metadata          []Note `avro:"metadata"`            // the shop’s own notes
	LowStockThreshold int64  `avro:"low_stock_threshold"` // InventoryLow when available falls to it; 0: never
}

// AdjustStock: the staff sets or changes stock at a location.
type AdjustStock struct {
	Command           `avro:",inline"`
	ProductID         string     `avro:"product_id"`          // which
	Fingerprint       []byte     `avro:"fingerprint"`         // HMAC of the canonical body
	ExpectedVersion   *int64     `avro:"expected_version"`    // refused when the row has another version
	Mode              AdjustMode `avro:"mode,omitzero"`       // SET: absolute, DELTA: difference
	LocationID        string     `avro:"location_id"`         // where
	Quantity          int64      `avro:"quantity"`            // units
	SafetyStock       *int64     `avro:"safety_stock"`        // new safety stock there
	LowStockThreshold *int64     `avro:"low_stock_threshold"` // new threshold of the product
	Reason            string     `avro:"reason"`              // why
}

// ReserveStock: an order asks for the price and the units of its lines of one product, decided in line order in one step.
type ReserveStock struct {
	Said      `avro:",inline"`
	OrderID   string        `avro:"order_id"`        // who asks
	ProductID string        `avro:"product_id"`      // what
	Currency  string        `avro:"currency"`        // the order’s
	Policy    FillPolicy    `avro:"policy,omitzero"` // the order’s
	Lines     []ReserveLine `avro:"lines"`           // what is wanted
}

// ReleaseStock: an order gives reserved units back.
type ReleaseStock struct {
	Said      `avro:",inline"`
	OrderID   string        `avro:"order_id"`   // whose
	ProductID string        `avro:"product_id"` // what
	Lines     []ReleaseLine `avro:"lines"`      // what was held
}

// ProductAdded: a product is in the catalogue.
type ProductAdded struct {
	Fact        `avro:",inline"`
	ProductID   string `avro:"product_id"`  // which
	Name        string `avro:"name"`        // shown to buyers
	Description string `avro:"description"` // shown to buyers
	Category    string `avro:"category"`    // for reports
	PriceMinor  int64  `avro:"price_minor"` // catalogue price of a unit
	Currency    string `avro:"currency"`    // ISO 4217
	Metadata    []Note `avro:"metadata"`    // the shop’s own notes
}

// InventoryUpdated: stock moved.
type InventoryUpdated struct {
	Fact      `avro:",inline"`
	ProductID string       `avro:"product_id"`        // which
	Movement  Movement     `avro:"movement,omitzero"` // how
	OrderID   string       `avro:"order_id"`          // for whom; empty: no order
	Reason    string       `avro:"reason"`            // why, for adjustments
	Entries   []StockEntry `avro:"entries"`           // bookings of the movement
	Levels    []StockLevel `avro:"levels"`            // the touched locations after it
}

// InventoryLow: available stock fell to the threshold: said at the crossing, not at every sale.
type InventoryLow struct {
	Fact      `avro:",inline"`
	ProductID string `avro:"product_id"` // which
	Available int64  `avro:"available"`  // units over all locations
	Threshold int64  `avro:"threshold"`  // the product’s
}

// BackInStock: a product that had nothing available has again.
type BackInStock struct {
	Fact      `avro:",inline"`
	ProductID string `avro:"product_id"` // which
	Available int64  `avro:"available"`  // units over all locations
}

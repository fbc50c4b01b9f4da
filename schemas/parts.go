package schemas

// OrderLine: one line as the buyer asked for it.
type OrderLine struct {
	Line                   int32  `avro:"line"`                      // number of the line, from 1
	ProductID              string `avro:"product_id"`                // what is wanted
	Quantity               int64  `avro:"quantity"`                  // units, 1 or more
	ExpectedUnitPriceMinor *int64 `avro:"expected_unit_price_minor"` // price the buyer saw; must equal the catalogue’s
	QuotedUnitPriceMinor   *int64 `avro:"quoted_unit_price_minor"`   // price that replaces the catalogue’s; needs scope orders:price
}

// PaymentIntent: how the buyer means to pay.
type PaymentIntent struct {
	Method  PaymentMethod `avro:"method,omitzero"`  // how
	Token   string        `avro:"token"`            // reference of the payment means at the provider; never a card number
	Capture CapturePolicy `avro:"capture,omitzero"` // when the money is taken
}

// OrderTerms: settings stamped on the order when it was placed; machines read no others.
type OrderTerms struct {
	DecisionTimeoutMS int64  `avro:"decision_timeout_ms"` // time from placing to a decision; then the order expires
	CancelTimeoutMS   int64  `avro:"cancel_timeout_ms"`   // time to wait for the undoing of a cancelled order before asking again
	PaymentProvider   string `avro:"payment_provider"`    // provider chosen by the route table
	PaymentTries      int32  `avro:"payment_tries"`       // authorizations that may be declined before the order is rejected
	PaymentTimeoutMS  int64  `avro:"payment_timeout_ms"`  // time to wait for a provider’s answer before asking again
	MaxTotalMinor     int64  `avro:"max_total_minor"`     // largest total accepted; 0: no limit
}

// Note: one of the shop’s own notes. A list, in order of name: a map would be written in another order each time, and a row must have one form.
type Note struct {
	Name  string `avro:"name"`  // what it is called
	Value string `avro:"value"` // what it says
}

// Allocation: units of one line at one location.
type Allocation struct {
	LocationID string `avro:"location_id"` // where
	Quantity   int64  `avro:"quantity"`    // units
}

// ReserveLine: one line to price and reserve.
type ReserveLine struct {
	Line                   int32  `avro:"line"`                      // number of the line in its order
	Quantity               int64  `avro:"quantity"`                  // units
	ExpectedUnitPriceMinor *int64 `avro:"expected_unit_price_minor"` // must equal the catalogue’s
	QuotedUnitPriceMinor   *int64 `avro:"quoted_unit_price_minor"`   // replaces the catalogue’s
}

// ReleaseLine: one line whose reservation ends.
type ReleaseLine struct {
	Line        int32        `avro:"line"`        // number of the line in its order
	Allocations []Allocation `avro:"allocations"` // what was reserved, by location
}

// StockResult: what became of one line.
type StockResult struct {
	Line           int32        `avro:"line"`             // number of the line in its order
	Outcome        StockOutcome `avro:"outcome,omitzero"` // what became of it
	Reason         Reason       `avro:"reason,omitzero"`  // why it was refused; NONE otherwise
	UnitPriceMinor int64        `avro:"unit_price_minor"` // price that holds for the line
	Name           string       `avro:"name"`             // name of the product then
	Allocations    []Allocation `avro:"allocations"`      // where the units are held
	Available      int64        `avro:"available"`        // units that could have been had, when refused for stock
}

// StockLevel: stock of one product at one location. available = max(0, on_hand − reserved − safety_stock).
type StockLevel struct {
	LocationID  string `avro:"location_id"`  // where
	OnHand      int64  `avro:"on_hand"`      // units there
	Reserved    int64  `avro:"reserved"`     // units promised to orders; 0 ≤ reserved ≤ on_hand
	SafetyStock int64  `avro:"safety_stock"` // units that are not sold
	Incoming    int64  `avro:"incoming"`     // units announced
	Damaged     int64  `avro:"damaged"`      // units there that cannot be sold
}

// StockEntry: one booking of a movement. A reservation’s identity is (order_id, line, location_id).
type StockEntry struct {
	Line       int32  `avro:"line"`        // line of the order; 0: no line
	LocationID string `avro:"location_id"` // where
	Quantity   int64  `avro:"quantity"`    // units; what they change is named by the movement, negative only for ADJUSTED
}

// PricedLine: one line of a confirmed order.
type PricedLine struct {
	Line           int32        `avro:"line"`             // number of the line
	ProductID      string       `avro:"product_id"`       // what
	Name           string       `avro:"name"`             // its name then
	Quantity       int64        `avro:"quantity"`         // units
	UnitPriceMinor int64        `avro:"unit_price_minor"` // price of a unit
	TotalMinor     int64        `avro:"total_minor"`      // quantity × unit price
	Allocations    []Allocation `avro:"allocations"`      // where the units are held
}

// LineReason: why one line was refused.
type LineReason struct {
	Line      int32  `avro:"line"`            // number of the line
	ProductID string `avro:"product_id"`      // what was wanted
	Reason    Reason `avro:"reason,omitzero"` // why
	Available int64  `avro:"available"`       // units that could have been had
	Quantity  int64  `avro:"quantity"`        // units wanted; 0: not known
}

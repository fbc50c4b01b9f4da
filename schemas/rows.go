package schemas

// SeenCommand: a border command that the row has already met.
type SeenCommand struct {
	CommandID   string `avro:"command_id"`  // which
	Fingerprint []byte `avro:"fingerprint"` // HMAC of its canonical body
	Version     int64  `avro:"version"`     // version of the row after it
}

// LineState: one line of an order’s row. quantity = open + reserved + backordered + shipped + cancelled; delivered ≤ shipped; returned ≤ delivered.
type LineState struct {
	Line                   int32        `avro:"line"`                      // number of the line, from 1
	ProductID              string       `avro:"product_id"`                // what
	Name                   string       `avro:"name"`                      // its name when priced
	Quantity               int64        `avro:"quantity"`                  // units ordered
	ExpectedUnitPriceMinor *int64       `avro:"expected_unit_price_minor"` // price the buyer saw
	QuotedUnitPriceMinor   *int64       `avro:"quoted_unit_price_minor"`   // price that replaces the catalogue’s
	UnitPriceMinor         int64        `avro:"unit_price_minor"`          // price that holds, once priced
	Status                 LineStatus   `avro:"status,omitzero"`           // where it is
	Reason                 Reason       `avro:"reason,omitzero"`           // why it was refused
	Available              int64        `avro:"available"`                 // units that could have been had, when refused
	Reserved               int64        `avro:"reserved"`                  // units held
	Backordered            int64        `avro:"backordered"`               // units waited for
	Shipped                int64        `avro:"shipped"`                   // units handed over
	Cancelled              int64        `avro:"cancelled"`                 // units given up
	Delivered              int64        `avro:"delivered"`                 // units that arrived
	Returned               int64        `avro:"returned"`                  // units that came back
	Allocations            []Allocation `avro:"allocations"`               // where the units are held
}

// OrderState: state of the order machine.
type OrderState struct {
	Status             OrderStatus   `avro:"status,omitzero"`      // where it is
	CustomerID         string        `avro:"customer_id"`          // buyer; empty: guest
	Principal          string        `avro:"principal"`            // subject that placed it
	Currency           string        `avro:"currency"`             // ISO 4217
	PlacedAtMS         int64         `avro:"placed_at_ms"`         // when it was accepted
	Fingerprint        []byte        `avro:"fingerprint"`          // HMAC of the canonical body of its PlaceOrder
	CommandID          string        `avro:"command_id"`           // its PlaceOrder
	ClientReference    string        `avro:"client_reference"`     // the shop’s own number
	Metadata           []Note        `avro:"metadata"`             // the shop’s own notes
	ShippingAddress    []byte        `avro:"shipping_address"`     // sealed
	BillingAddress     []byte        `avro:"billing_address"`      // sealed; empty: as shipping
	FillPolicy         FillPolicy    `avro:"fill_policy,omitzero"` // what to do when a line cannot be had
	Payment            PaymentIntent `avro:"payment"`              // how the buyer means to pay
	ExpectedTotalMinor *int64        `avro:"expected_total_minor"` // total the buyer saw
	Terms              OrderTerms    `avro:"terms"`                // settings of its time
	Lines              []LineState   `avro:"lines"`                // what was ordered
	Awaiting           int32         `avro:"awaiting"`             // products whose answer is outstanding
	TotalMinor         int64         `avro:"total_minor"`          // Σ lines, locked at CONFIRMED
	Reasons            []Reason      `avro:"reasons"`              // why it was refused or ended
	DecidedAtMS        int64         `avro:"decided_at_ms"`        // when it left PENDING; 0: not yet
	Asked              int32         `avro:"asked"`                // how often the undoing was asked for again
	DeadlineMS         int64         `avro:"deadline_ms"`          // the order machine’s own deadline; 0: none
	ShipCountry        string        `avro:"ship_country"`         // ISO 3166 alpha-2; empty: not known
}

// PaymentState: state of the payment machine for one payment.
type PaymentState struct {
	PaymentID       string           `avro:"payment_id"`         // identity
	Status          PaymentStatus    `avro:"status,omitzero"`    // where it is
	Method          PaymentMethod    `avro:"method,omitzero"`    // how
	Token           string           `avro:"token"`              // payment means
	Provider        string           `avro:"provider"`           // who
	Capture         CapturePolicy    `avro:"capture,omitzero"`   // when the money is taken
	Currency        string           `avro:"currency"`           // ISO 4217
	AmountMinor     int64            `avro:"amount_minor"`       // asked for
	AuthorizedMinor int64            `avro:"authorized_minor"`   // held
	CapturedMinor   int64            `avro:"captured_minor"`     // taken
	RefundedMinor   int64            `avro:"refunded_minor"`     // given back; ≤ captured
	VoidedMinor     int64            `avro:"voided_minor"`       // let go; ≤ authorized
	Attempt         int32            `avro:"attempt"`            // number of the authorization, from 1
	RequestID       string           `avro:"request_id"`         // request under way or last; its idempotency key at the provider
	Operation       PaymentOperation `avro:"operation,omitzero"` // what that request asks
	Asked           int32            `avro:"asked"`              // how often it was asked
	Undo            bool             `avro:"undo"`               // true: the order is gone, money must go back
	ProviderRef     string           `avro:"provider_ref"`       // the provider’s own number
	Reason          string           `avro:"reason"`             // the provider’s last reason
	DeadlineMS      int64            `avro:"deadline_ms"`        // the payment’s own deadline; 0: none
	TimeoutMS       int64            `avro:"timeout_ms"`         // how long an answer is waited for
}

// Ledger: balances of the order’s double-entry ledger, minor units. The only source of payment_status.
type Ledger struct {
	Goods      int64 `avro:"goods"`      // Σ lines
	Tax        int64 `avro:"tax"`        // tax
	Shipping   int64 `avro:"shipping"`   // shipping
	Discount   int64 `avro:"discount"`   // discounts
	Authorized int64 `avro:"authorized"` // held now
	Captured   int64 `avro:"captured"`   // taken
	Refunded   int64 `avro:"refunded"`   // given back
	Credit     int64 `avro:"credit"`     // owed to the buyer
}

// OrderSequences: last sequence per topic.
type OrderSequences struct {
	Order    int64 `avro:"order"`    // oms.order.events
	Payment  int64 `avro:"payment"`  // oms.payment.events
	Shipment int64 `avro:"shipment"` // oms.shipment.events
	Returns  int64 `avro:"returns"`  // oms.return.events
}

// ProductSequences: last sequence per topic.
type ProductSequences struct {
	Inventory int64 `avro:"inventory"` // oms.inventory.events
	Product   int64 `avro:"product"`   // oms.product.events
}

// OrderRow: the row of group orders: one state a machine.
type OrderRow struct {
	Row       `avro:",inline"`
	OrderID   string         `avro:"order_id"`  // key
	Sequences OrderSequences `avro:"sequences"` // last sequence per topic
	Order     OrderState     `avro:"order"`     // order machine
	Payments  []PaymentState `avro:"payments"`  // payment machine
	Ledger    Ledger         `avro:"ledger"`    // money
	Seen      []SeenCommand  `avro:"seen"`      // ring of border commands, oldest first
}

// ProductRow: the row of group products.
type ProductRow struct {
	Row               `avro:",inline"`
	ProductID         string           `avro:"product_id"`          // key
	Sequences         ProductSequences `avro:"sequences"`           // last sequence per topic
	Exists            bool             `avro:"exists"`              // false: asked for, never added
	Name              string           `avro:"name"`                // shown to buyers
	Description       string           `avro:"description"`         // shown to buyers
	Category          string           `avro:"category"`            // for reports
	PriceMinor        int64            `avro:"price_minor"`         // catalogue price of a unit
	Currency          string           `avro:"currency"`            // ISO 4217
	Metadata          []Note           `avro:"metadata"`            // the shop’s own notes
	Fingerprint       []byte           `avro:"fingerprint"`         // HMAC of the canonical body of its AddProduct
	Levels            []StockLevel     `avro:"levels"`              // stock by location, in order of location_id
	LowStockThreshold int64            `avro:"low_stock_threshold"` // 0: never
	Low               bool             `avro:"low"`                 // InventoryLow was said and not taken back
	Seen              []SeenCommand    `avro:"seen"`                // ring of border commands, oldest first
}

// LoginRow: the row of group logins: who owns an e-mail address.
type LoginRow struct {
	Row          `avro:",inline"`
	LoginID      string `avro:"login_id"`      // key
	CustomerID   string `avro:"customer_id"`   // owner
	CommandID    string `avro:"command_id"`    // its RegisterCustomer
	Fingerprint  []byte `avro:"fingerprint"`   // HMAC of that body
	PasswordHash []byte `avro:"password_hash"` // argon2id
}

// CustomerRow: the row of group customers.
type CustomerRow struct {
	Row              `avro:",inline"`
	CustomerID       string `avro:"customer_id"`       // key
	CustomerSequence int64  `avro:"customer_sequence"` // last sequence of oms.customer.events
	LoginID          string `avro:"login_id"`          // login that claims the address
	CommandID        string `avro:"command_id"`        // its RegisterCustomer
	Principal        string `avro:"principal"`         // subject that registered it
	Profile          []byte `avro:"profile"`           // sealed
	RegisteredAtMS   int64  `avro:"registered_at_ms"`  // when
	Erased           bool   `avro:"erased"`            // its data key is destroyed
}

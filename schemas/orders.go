package schemas

// PlaceOrder: a buyer places an order.
type PlaceOrder struct {
	Command            `avro:",inline"`
	OrderID            string        `avro:"order_id"`             // identity, derived from (tenant, principal, idempotency key)
	Fingerprint        []byte        `avro:"fingerprint"`          // HMAC of the canonical body
	CustomerID         string        `avro:"customer_id"`          // buyer; empty: guest
	Currency           string        `avro:"currency"`             // ISO 4217
	Lines              []OrderLine   `avro:"lines"`                // what is wanted, 1 to 1,200
	ShippingAddress    []byte        `avro:"shipping_address"`     // sealed
	BillingAddress     []byte        `avro:"billing_address"`      // sealed; empty: as shipping
	Payment            PaymentIntent `avro:"payment"`              // how the buyer pays
	ExpectedTotalMinor *int64        `avro:"expected_total_minor"` // total the buyer saw
	FillPolicy         FillPolicy    `avro:"fill_policy,omitzero"` // what to do when a line cannot be had
	ClientReference    string        `avro:"client_reference"`     // the shop’s own number
	Metadata           []Note        `avro:"metadata"`             // the shop’s own notes, ≤ 16 KiB
	Terms              OrderTerms    `avro:"terms"`                // settings of now
	ShipCountry        string        `avro:"ship_country"`         // ISO 3166 alpha-2 of the shipping address, in the clear for reports; empty: not known
}

// CancelOrder: the buyer or the staff cancels an order before hand-over.
type CancelOrder struct {
	Command         `avro:",inline"`
	OrderID         string `avro:"order_id"`         // which
	Fingerprint     []byte `avro:"fingerprint"`      // HMAC of the canonical body
	ExpectedVersion *int64 `avro:"expected_version"` // refused when the row has another version
	Reason          Reason `avro:"reason,omitzero"`  // CANCELLED_BY_CUSTOMER or CANCELLED_BY_STAFF
	Note            string `avro:"note"`             // free text of the staff
}

// RequestStatus: the staff asks for a status; the order machine maps it to the move it stands for.
type RequestStatus struct {
	Command         `avro:",inline"`
	OrderID         string `avro:"order_id"`         // which
	Fingerprint     []byte `avro:"fingerprint"`      // HMAC of the canonical body
	ExpectedVersion *int64 `avro:"expected_version"` // refused when the row has another version
	Status          string `avro:"status"`           // wanted status
	Note            string `avro:"note"`             // free text of the staff
}

// StockReply: a product answers ReserveStock or ReleaseStock, line by line.
type StockReply struct {
	Said      `avro:",inline"`
	OrderID   string        `avro:"order_id"`   // who asked
	ProductID string        `avro:"product_id"` // who answers
	Results   []StockResult `avro:"results"`    // one a line
}

// PaymentReply: the payment gateway answers a request.
type PaymentReply struct {
	Said        `avro:",inline"`
	OrderID     string           `avro:"order_id"`           // whose payment
	PaymentID   string           `avro:"payment_id"`         // which
	RequestID   string           `avro:"request_id"`         // what is answered
	Operation   PaymentOperation `avro:"operation,omitzero"` // what was asked
	Outcome     PaymentOutcome   `avro:"outcome,omitzero"`   // what was done
	AmountMinor int64            `avro:"amount_minor"`       // how much
	ProviderRef string           `avro:"provider_ref"`       // the provider’s own number
	Reason      string           `avro:"reason"`             // the provider’s reason
}

// OrderDeadlineReached: a deadline of the order’s row has come; said by the owner of the partition.
type OrderDeadlineReached struct {
	Said       `avro:",inline"`
	OrderID    string `avro:"order_id"`    // whose
	DeadlineMS int64  `avro:"deadline_ms"` // which deadline; ignored when it is not the row’s
}

// OrderCreated: the order was accepted.
type OrderCreated struct {
	Fact               `avro:",inline"`
	OrderID            string        `avro:"order_id"`                // which
	CustomerID         string        `avro:"customer_id"`             // buyer; empty: guest
	Principal          string        `avro:"principal"`               // subject that placed it
	Currency           string        `avro:"currency"`                // ISO 4217
	Lines              []OrderLine   `avro:"lines"`                   // what is wanted
	ShippingAddress    []byte        `avro:"shipping_address"`        // sealed
	BillingAddress     []byte        `avro:"billing_address"`         // sealed; empty: as shipping
	PaymentMethod      PaymentMethod `avro:"payment_method,omitzero"` // how the buyer pays
	FillPolicy         FillPolicy    `avro:"fill_policy,omitzero"`    // what to do when a line cannot be had
	ExpectedTotalMinor *int64        `avro:"expected_total_minor"`    // total the buyer saw
	ClientReference    string        `avro:"client_reference"`        // the shop’s own number
	Metadata           []Note        `avro:"metadata"`                // the shop’s own notes
	DeadlineMS         int64         `avro:"deadline_ms"`             // when it expires undecided
	ShipCountry        string        `avro:"ship_country"`            // ISO 3166 alpha-2; empty: not known
}

// OrderConfirmed: stock and money stand.
type OrderConfirmed struct {
	Fact        `avro:",inline"`
	OrderID     string       `avro:"order_id"`     // which
	CustomerID  string       `avro:"customer_id"`  // buyer
	Currency    string       `avro:"currency"`     // ISO 4217
	TotalMinor  int64        `avro:"total_minor"`  // Σ lines
	Lines       []PricedLine `avro:"lines"`        // prices and places, fixed from here
	PlacedAtMS  int64        `avro:"placed_at_ms"` // when it was accepted; 0: not known
	ShipCountry string       `avro:"ship_country"` // ISO 3166 alpha-2; empty: not known
}

// OrderRejected: the order was refused.
type OrderRejected struct {
	Fact        `avro:",inline"`
	OrderID     string       `avro:"order_id"`     // which
	CustomerID  string       `avro:"customer_id"`  // buyer
	Reasons     []Reason     `avro:"reasons"`      // why, in order of precedence
	Lines       []LineReason `avro:"lines"`        // the refused lines
	PlacedAtMS  int64        `avro:"placed_at_ms"` // when it was accepted; 0: not known
	ShipCountry string       `avro:"ship_country"` // ISO 3166 alpha-2; empty: not known
}

// OrderExpired: the order was not decided in time.
type OrderExpired struct {
	Fact        `avro:",inline"`
	OrderID     string `avro:"order_id"`     // which
	CustomerID  string `avro:"customer_id"`  // buyer
	PlacedAtMS  int64  `avro:"placed_at_ms"` // when it was accepted; 0: not known
	ShipCountry string `avro:"ship_country"` // ISO 3166 alpha-2; empty: not known
}

// OrderCancellationRequested: the order is being cancelled; stock and money go back.
type OrderCancellationRequested struct {
	Fact         `avro:",inline"`
	OrderID      string      `avro:"order_id"`               // which
	CustomerID   string      `avro:"customer_id"`            // buyer
	Reason       Reason      `avro:"reason,omitzero"`        // who cancelled
	Note         string      `avro:"note"`                   // free text of the staff
	StatusBefore OrderStatus `avro:"status_before,omitzero"` // where it was
	Currency     string      `avro:"currency"`               // ISO 4217
	TotalMinor   int64       `avro:"total_minor"`            // what the order was worth; 0: it had no total yet
	PlacedAtMS   int64       `avro:"placed_at_ms"`           // when it was accepted; 0: not known
	ShipCountry  string      `avro:"ship_country"`           // ISO 3166 alpha-2; empty: not known
}

// OrderCancelled: everything about the order is undone.
type OrderCancelled struct {
	Fact        `avro:",inline"`
	OrderID     string `avro:"order_id"`        // which
	CustomerID  string `avro:"customer_id"`     // buyer
	Reason      Reason `avro:"reason,omitzero"` // who cancelled
	PlacedAtMS  int64  `avro:"placed_at_ms"`    // when it was accepted; 0: not known
	ShipCountry string `avro:"ship_country"`    // ISO 3166 alpha-2; empty: not known
}

package schemas

// AuthorizePayment: hold (and with capture AT_PLACING take) money.
type AuthorizePayment struct {
	Said        `avro:",inline"`
	OrderID     string        `avro:"order_id"`         // whose
	PaymentID   string        `avro:"payment_id"`       // which
	RequestID   string        `avro:"request_id"`       // idempotency key at the provider
	Provider    string        `avro:"provider"`         // who is asked
	Method      PaymentMethod `avro:"method,omitzero"`  // how
	Token       string        `avro:"token"`            // payment means
	AmountMinor int64         `avro:"amount_minor"`     // how much
	Currency    string        `avro:"currency"`         // ISO 4217
	Capture     CapturePolicy `avro:"capture,omitzero"` // AT_PLACING: take at once
}

// CapturePayment: take held money.
type CapturePayment struct {
	Said            `avro:",inline"`
	OrderID         string `avro:"order_id"`         // whose
	PaymentID       string `avro:"payment_id"`       // which
	RequestID       string `avro:"request_id"`       // idempotency key at the provider
	Provider        string `avro:"provider"`         // who is asked
	AuthorizationID string `avro:"authorization_id"` // request_id of the authorization
	ProviderRef     string `avro:"provider_ref"`     // the provider’s number of the authorization
	AmountMinor     int64  `avro:"amount_minor"`     // how much
	Currency        string `avro:"currency"`         // ISO 4217
}

// VoidPayment: let held money go.
type VoidPayment struct {
	Said            `avro:",inline"`
	OrderID         string `avro:"order_id"`         // whose
	PaymentID       string `avro:"payment_id"`       // which
	RequestID       string `avro:"request_id"`       // idempotency key at the provider
	Provider        string `avro:"provider"`         // who is asked
	AuthorizationID string `avro:"authorization_id"` // request_id of the authorization
	ProviderRef     string `avro:"provider_ref"`     // the provider’s number of the authorization
	AmountMinor     int64  `avro:"amount_minor"`     // how much
	Currency        string `avro:"currency"`         // ISO 4217
}

// RefundPayment: give taken money back.
type RefundPayment struct {
	Said            `avro:",inline"`
	OrderID         string `avro:"order_id"`         // whose
	PaymentID       string `avro:"payment_id"`       // which
	RequestID       string `avro:"request_id"`       // idempotency key at the provider
	Provider        string `avro:"provider"`         // who is asked
	AuthorizationID string `avro:"authorization_id"` // request_id of the authorization
	ProviderRef     string `avro:"provider_ref"`     // the provider’s number of the authorization
	AmountMinor     int64  `avro:"amount_minor"`     // how much
	Currency        string `avro:"currency"`         // ISO 4217
}

// ReconcilePayment: ask what became of a request that had no answer.
type ReconcilePayment struct {
	Said      `avro:",inline"`
	OrderID   string           `avro:"order_id"`           // whose
	PaymentID string           `avro:"payment_id"`         // which
	RequestID string           `avro:"request_id"`         // the request in doubt
	Provider  string           `avro:"provider"`           // who is asked
	Operation PaymentOperation `avro:"operation,omitzero"` // what that request asked
}

// CancelPayment: forbid a request by its key, even one that arrives later; undo it if it was done.
type CancelPayment struct {
	Said      `avro:",inline"`
	OrderID   string `avro:"order_id"`   // whose
	PaymentID string `avro:"payment_id"` // which
	RequestID string `avro:"request_id"` // the request to forbid
	Provider  string `avro:"provider"`   // who is asked
}

// PaymentProcessed: a provider’s decision about a payment stands.
type PaymentProcessed struct {
	Fact        `avro:",inline"`
	OrderID     string           `avro:"order_id"`           // whose
	PaymentID   string           `avro:"payment_id"`         // which
	RequestID   string           `avro:"request_id"`         // request that was answered
	Operation   PaymentOperation `avro:"operation,omitzero"` // what was asked
	Outcome     PaymentOutcome   `avro:"outcome,omitzero"`   // what was done
	Method      PaymentMethod    `avro:"method,omitzero"`    // how
	Provider    string           `avro:"provider"`           // who
	AmountMinor int64            `avro:"amount_minor"`       // how much
	Currency    string           `avro:"currency"`           // ISO 4217
	ProviderRef string           `avro:"provider_ref"`       // the provider’s own number
	Reason      string           `avro:"reason"`             // the provider’s reason
}

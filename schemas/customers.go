package schemas

// RegisterCustomer: somebody registers; the login claims the e-mail address once.
type RegisterCustomer struct {
	Command      `avro:",inline"`
	LoginID      string `avro:"login_id"`      // HMAC of the normalised e-mail address
	CustomerID   string `avro:"customer_id"`   // identity of the customer to be
	Fingerprint  []byte `avro:"fingerprint"`   // HMAC of the canonical body, without the password
	PasswordHash []byte `avro:"password_hash"` // argon2id, made at the border; empty: none
	Profile      []byte `avro:"profile"`       // sealed name, e-mail, phone, address
}

// CreateCustomer: the login has the address; the customer comes to be.
type CreateCustomer struct {
	Command    `avro:",inline"`
	CustomerID string `avro:"customer_id"` // identity
	LoginID    string `avro:"login_id"`    // login that claims the address
	Profile    []byte `avro:"profile"`     // sealed
}

// CustomerRegistered: a customer exists. Ids only.
type CustomerRegistered struct {
	Fact       `avro:",inline"`
	CustomerID string `avro:"customer_id"` // which
}

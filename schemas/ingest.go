package schemas

// SecretAdopted: the first ingest of a cluster says which secret ids derive from. Another one that has another secret must not take commands: a repetition would become
// a second order.
type SecretAdopted struct {
	Name        string `avro:"name"`        // which secret, and the record's key
	Fingerprint []byte `avro:"fingerprint"` // HMAC of a fixed text under the secret
	AtMS        int64  `avro:"at_ms"`       // when, UTC ms
}

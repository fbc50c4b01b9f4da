package schemas

// CommandRefused: a command had no effect, and why. Kept an hour; no fact.
type CommandRefused struct {
	CommandID string           `avro:"command_id"`      // which
	Tenant    string           `avro:"tenant"`          // the shop it belongs to
	Family    Family           `avro:"family,omitzero"` // key space
	Subject   string           `avro:"subject"`         // key of the row
	Code      RefusalCode      `avro:"code,omitzero"`   // why
	Pointer   string           `avro:"pointer"`         // JSON pointer into the body; empty: the whole
	Detail    string           `avro:"detail"`          // names field, value and rule
	Version   int64            `avro:"version"`         // version of the row; 0: no row
	LegalNext []string         `avro:"legal_next"`      // statuses that the row may move to
	Numbers   map[string]int64 `avro:"numbers"`         // the quantities behind the refusal
}

// CommandRepeated: a command was met before: answer it like the first. Kept an hour; no fact.
type CommandRepeated struct {
	CommandID string `avro:"command_id"`      // which
	Tenant    string `avro:"tenant"`          // the shop it belongs to
	Family    Family `avro:"family,omitzero"` // key space
	Subject   string `avro:"subject"`         // key of the row
	Version   int64  `avro:"version"`         // version of the row
}

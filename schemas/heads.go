package schemas

// Command heads every command of the border.
type Command struct {
	CommandID string `avro:"command_id"` // identity of the command, made at the border; facts and outcomes name it as their cause
	Tenant    string `avro:"tenant"`     // the shop that the command belongs to
	Principal string `avro:"principal"`  // subject on whose behalf the command runs
}

// Said heads what one row says to another, and to the gateways.
type Said struct {
	ID     string `avro:"id"`     // identity of the message: <key>.<version>.<ordinal> of the step that said it, or <what it answers>.<ordinal> when the step left the row alone
	Tenant string `avro:"tenant"` // the shop it belongs to
}

// Fact heads every fact; the group stamps it.
type Fact struct {
	Tenant   string `avro:"tenant"`   // the shop it belongs to
	Cause    string `avro:"cause"`    // command_id, reply id or deadline that led to the fact
	AtMS     int64  `avro:"at_ms"`    // time of the step, UTC
	Version  int64  `avro:"version"`  // version of the row after the step
	Ordinal  int32  `avro:"ordinal"`  // place of the fact within its step, from 0
	Sequence int64  `avro:"sequence"` // number of the fact per key and topic, gap-free from 1
}

// Row heads every row; the group keeps it.
type Row struct {
	DeadlineMS int64  `avro:"deadline_ms"` // earliest deadline of the row, UTC ms; 0: none. First field: the engine reads it without decoding the row
	NowMS      int64  `avro:"now_ms"`      // time of the last step
	Tenant     string `avro:"tenant"`      // the shop the row belongs to
	Rules      int32  `avro:"rules"`       // number of the rules that decided the row
	Version    int64  `avro:"version"`     // +1 for every step that changed the row
}

package processors

import (
	"oms/processors/login"
	"oms/schemas"
)

// StepLogins is one step of a login's row.
func StepLogins(row *schemas.LoginRow, in schemas.Input) []schemas.Message {
	key := in.Message.Key()
	state, said := login.Step(*row, in)
	said, same := unchanged(said)
	if !same {
		*row = state
		row.LoginID = key
		touch(&row.Row, in)
	}
	return stamp(&row.Row, key, schemas.FamilyLogin, in, said, !same, nil) // a login states no facts
}

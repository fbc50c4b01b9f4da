package processors

import (
	"bytes"
	"fmt"
	"slices"

	"oms/internal/planted"
	"oms/schemas"
)

// remembered is how many border commands a row remembers. A client repeats one within minutes; a busy product may have dozens of stock movements by then, each of
// which would be booked twice if it were forgotten. One takes about 70 bytes of the row, so this is 4.5 KiB at most.
const remembered = 64

// borderCommand is a command of a client as the row sees it, whatever it wants.
type borderCommand struct {
	head            *schemas.Command // nil: no command of a client
	fingerprint     []byte
	expectedVersion *int64
	creates         bool // it may come before the row
}

// answer is what the row says to a command that its machines need not decide on; nil: they must.
func (c borderCommand) answer(row *schemas.Row, seen []schemas.SeenCommand) schemas.Message {
	if c.head == nil {
		return nil
	}
	if a := met(seen, c); a != nil || c.creates {
		return a
	}
	return missed(row, c)
}

// met is the answer to a command that the row has met before; nil: it has not.
func met(seen []schemas.SeenCommand, c borderCommand) schemas.Message {
	for i := range seen {
		if seen[i].CommandID != c.head.CommandID || planted.On(planted.BorderForgets) {
			continue
		}
		if bytes.Equal(seen[i].Fingerprint, c.fingerprint) {
			return &schemas.CommandRepeated{}
		}
		return &schemas.CommandRefused{Code: schemas.RefusalCodeKeyReused, Detail: "the idempotency key was used for a request with another body"}
	}
	return nil
}

// missed is the refusal of a command that means a row that is not there, or another version of it; nil: it means this one.
func missed(row *schemas.Row, c borderCommand) schemas.Message {
	switch {
	case row.Version == 0 || row.Tenant != c.head.Tenant: // another shop's row is not there
		return &schemas.CommandRefused{Code: schemas.RefusalCodeNotFound, Detail: "there is nothing with this id"}
	case c.expectedVersion != nil && *c.expectedVersion != row.Version:
		return &schemas.CommandRefused{Code: schemas.RefusalCodeVersionMismatch, Pointer: "/expected_version",
			Detail:  fmt.Sprintf("expected_version: %d, the version is %d", *c.expectedVersion, row.Version),
			Numbers: map[string]int64{"expected_version": *c.expectedVersion, "version": row.Version}}
	}
	return nil
}

// remember puts an accepted command on the row's ring.
func (c borderCommand) remember(seen []schemas.SeenCommand, version int64) []schemas.SeenCommand {
	if c.head == nil {
		return seen
	}
	if len(seen) >= remembered {
		seen = slices.Delete(seen, 0, len(seen)-remembered+1)
	}
	return append(seen, schemas.SeenCommand{CommandID: c.head.CommandID, Fingerprint: c.fingerprint, Version: version})
}

package processors

import (
	"strconv"

	"oms/internal/planted"
	"oms/schemas"
	"oms/topics"
)

// rules is the number of the rules that decide rows today. A machine that comes to decide otherwise keeps the old branch while a row may carry the old number.
const rules = 1

// unchanged tells whether a machine's answer leaves the row as it was, and takes the word that says so off it.
func unchanged(said []schemas.Message) ([]schemas.Message, bool) {
	if len(said) == 0 {
		return said, false
	}
	switch said[0].(type) {
	case *schemas.Unchanged:
		return said[1:], true
	case *schemas.CommandRefused, *schemas.CommandRepeated:
		return said, true
	}
	return said, false
}

// touch makes the row the one after a step that changed it.
func touch(row *schemas.Row, in schemas.Input) {
	if row.Version == 0 {
		row.Tenant, row.Rules = schemas.TenantOf(in.Message), rules
	}
	if _, reply := in.Message.(*schemas.PaymentReply); !reply || !planted.On(planted.VersionKept) {
		row.Version++
	}
	row.NowMS = in.NowMS
}

// stamp writes on everything said what only the row knows. sequence answers the counter of the topic that a fact is said on.
func stamp(row *schemas.Row, key string, family schemas.Family, in schemas.Input, said []schemas.Message, changed bool, sequence func(schemas.Message) *int64) []schemas.Message {
	cause, tenant := schemas.CauseOf(in.Message), schemas.TenantOf(in.Message)
	if row.Tenant != "" {
		tenant = row.Tenant
	}
	for i, m := range said {
		switch h := m.(type) {
		case interface{ FactHead() *schemas.Fact }:
			n := sequence(m)
			if _, cancelled := m.(*schemas.OrderCancelled); !cancelled || !planted.On(planted.SequenceReused) {
				*n++
			}
			*h.FactHead() = schemas.Fact{Tenant: tenant, Cause: cause, AtMS: in.NowMS, Version: row.Version, Ordinal: int32(i), Sequence: *n}
		case interface{ SaidHead() *schemas.Said }:
			// Steps that leave the row alone share its version, so what they say is told apart by what they answer.
			id := cause + "." + strconv.Itoa(i)
			if changed {
				id = topics.MessageID(key, row.Version, int32(i))
			}
			*h.SaidHead() = schemas.Said{ID: id, Tenant: tenant}
		case *schemas.CommandRefused:
			h.CommandID, h.Tenant, h.Family, h.Subject, h.Version = cause, schemas.TenantOf(in.Message), family, key, row.Version
		case *schemas.CommandRepeated:
			h.CommandID, h.Tenant, h.Family, h.Subject, h.Version = cause, schemas.TenantOf(in.Message), family, key, row.Version
		}
	}
	return said
}

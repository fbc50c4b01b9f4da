// Package login decides who owns an e-mail address. The address itself is never seen here: its keyed digest is the row's key.
package login

import (
	"bytes"

	"oms/schemas"
)

// Step decides what follows from a message.
func Step(state schemas.LoginRow, in schemas.Input) (schemas.LoginRow, []schemas.Message) {
	m, ok := in.Message.(*schemas.RegisterCustomer)
	if !ok {
		panic(schemas.Impossible{Machine: "login", State: state.CustomerID, Message: in.Message, Why: "no message of a login"})
	}
	switch {
	case state.CustomerID == "":
	case state.CommandID != m.CommandID:
		return state, []schemas.Message{&schemas.CommandRefused{Code: schemas.RefusalCodeEmailTaken, Pointer: "/email", Detail: "email: a customer is registered with this address"}}
	case !bytes.Equal(state.Fingerprint, m.Fingerprint):
		return state, []schemas.Message{&schemas.CommandRefused{Code: schemas.RefusalCodeKeyReused, Detail: "the idempotency key was used for a registration with another body"}}
	default:
		return state, []schemas.Message{&schemas.CommandRepeated{}}
	}
	state.CustomerID, state.CommandID, state.Fingerprint, state.PasswordHash = m.CustomerID, m.CommandID, m.Fingerprint, m.PasswordHash
	return state, []schemas.Message{&schemas.CreateCustomer{Command: m.Command, CustomerID: m.CustomerID, LoginID: m.LoginID, Profile: m.Profile}}
}

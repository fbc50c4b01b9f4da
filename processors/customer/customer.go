// Package customer decides about one customer. Names and addresses are sealed before they come here, and stay so.
package customer

import "oms/schemas"

// Step decides what follows from a message.
func Step(state schemas.CustomerRow, in schemas.Input) (schemas.CustomerRow, []schemas.Message) {
	m, ok := in.Message.(*schemas.CreateCustomer)
	if !ok {
		panic(schemas.Impossible{Machine: "customer", State: state.CustomerID, Message: in.Message, Why: "no message of a customer"})
	}
	if state.LoginID != "" {
		panic(schemas.Impossible{Machine: "customer", State: state.CustomerID, Message: m, Why: "customer_id: taken by another registration; logins create each customer once"})
	}
	state.LoginID, state.CommandID, state.Principal = m.LoginID, m.CommandID, m.Principal
	state.Profile, state.RegisteredAtMS = m.Profile, in.NowMS
	return state, []schemas.Message{&schemas.CustomerRegistered{CustomerID: m.CustomerID}}
}

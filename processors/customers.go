package processors

import (
	"oms/processors/customer"
	"oms/schemas"
)

// StepCustomers is one step of a customer's row.
func StepCustomers(row *schemas.CustomerRow, in schemas.Input) []schemas.Message {
	key := in.Message.Key()
	state, said := customer.Step(*row, in)
	said, same := unchanged(said)
	if !same {
		*row = state
		row.CustomerID = key
		touch(&row.Row, in)
	}
	return stamp(&row.Row, key, schemas.FamilyCustomer, in, said, !same, func(schemas.Message) *int64 { return &row.CustomerSequence })
}

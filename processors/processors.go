// Package processors decides: pure machines in their folders, the rows that hold them, and the shell that binds both to goka.
//
// This file is the topology: every group with its inbox, its table, what it may say and which function decides.
package processors

import (
	"oms/schemas"
	"oms/topics"
)

// Row is the state that a group keeps under one key.
type Row interface {
	schemas.Message
	RowHead() *schemas.Row
}

// Group is one key space: exactly one inbox, in whose order everything happens to a row, and one table.
type Group struct {
	Name        string
	Inbox       topics.Topic
	Table       topics.Topic
	DeadLetters topics.Topic
	Family      schemas.Family
	Says        []topics.Topic // other topics that its steps may say something on
	New         func() Row
	// Step decides: it changes the row, which is new for a key never seen, and answers what is to be said, stamped. Pure.
	Step func(row Row, in schemas.Input) []schemas.Message
	// Tick is what the owner of a row says into the inbox when the row's deadline has come; nil: rows of the group have none.
	Tick func(key string, deadlineMS int64) schemas.Message
}

// Groups is the whole system.
var Groups = []Group{
	{
		Name:        "orders",
		Inbox:       topics.OrderCommands,
		Table:       topics.OrdersTable,
		DeadLetters: topics.OrderDeadLetters,
		Family:      schemas.FamilyOrder,
		Says:        []topics.Topic{topics.OrderEvents, topics.PaymentEvents, topics.ProductCommands, topics.PaymentRequests, topics.OrderOutcomes},
		New:         func() Row { return new(schemas.OrderRow) },
		Step:        decide(StepOrders),
		Tick: func(key string, deadlineMS int64) schemas.Message {
			return &schemas.OrderDeadlineReached{Said: schemas.Said{ID: deadlineID(key, deadlineMS)}, OrderID: key, DeadlineMS: deadlineMS}
		},
	},
	{
		Name:        "products",
		Inbox:       topics.ProductCommands,
		Table:       topics.ProductsTable,
		DeadLetters: topics.ProductDeadLetters,
		Family:      schemas.FamilyProduct,
		Says:        []topics.Topic{topics.ProductEvents, topics.InventoryEvents, topics.OrderCommands, topics.ProductOutcomes},
		New:         func() Row { return new(schemas.ProductRow) },
		Step:        decide(StepProducts),
	},
	{
		Name:        "logins",
		Inbox:       topics.LoginCommands,
		Table:       topics.LoginsTable,
		DeadLetters: topics.LoginDeadLetters,
		Family:      schemas.FamilyLogin,
		Says:        []topics.Topic{topics.CustomerCommands, topics.LoginOutcomes},
		New:         func() Row { return new(schemas.LoginRow) },
		Step:        decide(StepLogins),
	},
	{
		Name:        "customers",
		Inbox:       topics.CustomerCommands,
		Table:       topics.CustomersTable,
		DeadLetters: topics.CustomerDeadLetters,
		Family:      schemas.FamilyCustomer,
		Says:        []topics.Topic{topics.CustomerEvents, topics.CustomerOutcomes},
		New:         func() Row { return new(schemas.CustomerRow) },
		Step:        decide(StepCustomers),
	},
}

// decide fits a step over one kind of row into the topology.
func decide[R Row](step func(R, schemas.Input) []schemas.Message) func(Row, schemas.Input) []schemas.Message {
	return func(row Row, in schemas.Input) []schemas.Message { return step(row.(R), in) }
}

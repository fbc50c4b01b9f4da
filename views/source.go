package views

import (
	"oms/schemas"
	"oms/topics"
)

// source is a followed topic; its number is part of keys on disk: append only.
type source byte

const (
	ordersTable source = iota
	productsTable
	customersTable
	orderEvents
	paymentEvents
	sources
)

// families of keys that clients wait for and watch.
type family byte

const (
	orderFamily family = iota
	productFamily
	customerFamily
)

// following says what is followed, and how. Stock movements and facts of products and customers are not: no question needs more of them than their rows hold.
var following = [sources]struct {
	topic  topics.Topic
	family family
}{
	ordersTable:    {topics.OrdersTable, orderFamily},
	productsTable:  {topics.ProductsTable, productFamily},
	customersTable: {topics.CustomersTable, customerFamily},
	orderEvents:    {topics.OrderEvents, orderFamily},
	paymentEvents:  {topics.PaymentEvents, orderFamily},
}

func (s source) table() bool { return following[s].topic.Policy == topics.Compact }

func followed() []string {
	names := make([]string, sources)
	for s := range sources {
		names[s] = following[s].topic.Name
	}
	return names
}

// sequenceIn is the number of the last fact about the order on the topic, as its row counts them.
func (s source) sequenceIn(row *schemas.OrderRow) int64 {
	if s == paymentEvents {
		return row.Sequences.Payment
	}
	return row.Sequences.Order
}

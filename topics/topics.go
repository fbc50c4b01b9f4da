// Package topics is where things are said: every topic and table on this page, the home of each message, and the record that carries it.
package topics

import (
	"fmt"

	"oms/schemas"
)

// Topic is one Kafka topic. Its partition count and replication are the installation's; all topics have the same count, so that equal keys meet in equal partitions.
type Topic struct {
	Name   string
	Key    string // what the record key is
	Policy Policy
	Doc    string
}

// Policy is how long a topic keeps its records.
type Policy uint8

const (
	KeepForever Policy = iota // the log: replayed by operators, consumed by anyone
	KeepHour                  // answers to who waits now
	Compact                   // a table: the last value per key
)

// The topics of a family: commands and replies in (the inbox of its group), facts out, refusals to the border, records that nobody could read.
var (
	OrderCommands    = Topic{"oms.order.commands", "order_id", KeepForever, "inbox of group orders: commands of the border, replies of products and gateways, deadlines"}
	ProductCommands  = Topic{"oms.product.commands", "product_id", KeepForever, "inbox of group products"}
	CustomerCommands = Topic{"oms.customer.commands", "customer_id", KeepForever, "inbox of group customers"}
	LoginCommands    = Topic{"oms.login.commands", "login_id", KeepForever, "inbox of group logins"}

	OrderEvents     = Topic{"oms.order.events", "order_id", KeepForever, "facts about orders"}
	PaymentEvents   = Topic{"oms.payment.events", "order_id", KeepForever, "facts about payments"}
	InventoryEvents = Topic{"oms.inventory.events", "product_id", KeepForever, "stock movements"}
	ProductEvents   = Topic{"oms.product.events", "product_id", KeepForever, "facts about the catalogue"}
	CustomerEvents  = Topic{"oms.customer.events", "customer_id", KeepForever, "facts about customers, ids only"}

	PaymentRequests = Topic{"oms.payment.requests", "order_id", KeepForever, "asked of payment providers, with the idempotency key"}

	OrderOutcomes    = Topic{"oms.order.outcomes", "order_id", KeepHour, "refused and repeated commands to orders"}
	ProductOutcomes  = Topic{"oms.product.outcomes", "product_id", KeepHour, "refused and repeated commands to products"}
	CustomerOutcomes = Topic{"oms.customer.outcomes", "customer_id", KeepHour, "refused and repeated commands to customers"}
	LoginOutcomes    = Topic{"oms.login.outcomes", "login_id", KeepHour, "refused and repeated registrations"}

	OrderDeadLetters    = Topic{"oms.order.dlq", "as it came", KeepForever, "raw records that group orders could not take, origin and error in headers"}
	ProductDeadLetters  = Topic{"oms.product.dlq", "as it came", KeepForever, "the same of group products"}
	CustomerDeadLetters = Topic{"oms.customer.dlq", "as it came", KeepForever, "the same of group customers"}
	LoginDeadLetters    = Topic{"oms.login.dlq", "as it came", KeepForever, "the same of group logins"}
	PaymentDeadLetters  = Topic{"oms.payment.dlq", "as it came", KeepForever, "requests that the payment gateway could not read"}

	Agreements = Topic{"oms.agreements", "what about", KeepForever, "what the processes of an installation must agree on; the first record of a key holds"}

	// The tables: changelogs of the groups, named as goka names them.
	OrdersTable    = Topic{"orders-table", "order_id", Compact, "rows of group orders"}
	ProductsTable  = Topic{"products-table", "product_id", Compact, "rows of group products"}
	CustomersTable = Topic{"customers-table", "customer_id", Compact, "rows of group customers"}
	LoginsTable    = Topic{"logins-table", "login_id", Compact, "rows of group logins"}
)

// All is every topic of the system.
var All = []Topic{
	OrderCommands, ProductCommands, CustomerCommands, LoginCommands,
	OrderEvents, PaymentEvents, InventoryEvents, ProductEvents, CustomerEvents,
	PaymentRequests,
	OrderOutcomes, ProductOutcomes, CustomerOutcomes, LoginOutcomes,
	OrderDeadLetters, ProductDeadLetters, CustomerDeadLetters, LoginDeadLetters, PaymentDeadLetters,
	Agreements,
	OrdersTable, ProductsTable, CustomersTable, LoginsTable,
}

// homes is the one topic that each message is said on. Outcomes have one a family: see Of.
var homes = map[schemas.Kind]Topic{
	schemas.KindPlaceOrder:           OrderCommands,
	schemas.KindCancelOrder:          OrderCommands,
	schemas.KindRequestStatus:        OrderCommands,
	schemas.KindStockReply:           OrderCommands,
	schemas.KindPaymentReply:         OrderCommands,
	schemas.KindOrderDeadlineReached: OrderCommands,

	schemas.KindOrderCreated:               OrderEvents,
	schemas.KindOrderConfirmed:             OrderEvents,
	schemas.KindOrderRejected:              OrderEvents,
	schemas.KindOrderExpired:               OrderEvents,
	schemas.KindOrderCancellationRequested: OrderEvents,
	schemas.KindOrderCancelled:             OrderEvents,

	schemas.KindAuthorizePayment: PaymentRequests,
	schemas.KindCapturePayment:   PaymentRequests,
	schemas.KindVoidPayment:      PaymentRequests,
	schemas.KindRefundPayment:    PaymentRequests,
	schemas.KindReconcilePayment: PaymentRequests,
	schemas.KindCancelPayment:    PaymentRequests,
	schemas.KindPaymentProcessed: PaymentEvents,

	schemas.KindAddProduct:       ProductCommands,
	schemas.KindAdjustStock:      ProductCommands,
	schemas.KindReserveStock:     ProductCommands,
	schemas.KindReleaseStock:     ProductCommands,
	schemas.KindProductAdded:     ProductEvents,
	schemas.KindInventoryUpdated: InventoryEvents,
	schemas.KindInventoryLow:     InventoryEvents,
	schemas.KindBackInStock:      InventoryEvents,

	schemas.KindRegisterCustomer:   LoginCommands,
	schemas.KindCreateCustomer:     CustomerCommands,
	schemas.KindCustomerRegistered: CustomerEvents,

	schemas.KindSecretAdopted: Agreements,

	schemas.KindOrderRow:    OrdersTable,
	schemas.KindProductRow:  ProductsTable,
	schemas.KindCustomerRow: CustomersTable,
	schemas.KindLoginRow:    LoginsTable,
}

var outcomes = map[schemas.Family]Topic{
	schemas.FamilyOrder: OrderOutcomes, schemas.FamilyProduct: ProductOutcomes, schemas.FamilyCustomer: CustomerOutcomes, schemas.FamilyLogin: LoginOutcomes,
}

// Of is the home of a message. A message without one is a defect of the build, not of the data, so it panics.
func Of(m schemas.Message) Topic {
	switch o := m.(type) {
	case *schemas.CommandRefused:
		return outcomes[o.Family]
	case *schemas.CommandRepeated:
		return outcomes[o.Family]
	}
	t, ok := homes[m.Kind()]
	if !ok {
		panic(fmt.Sprintf("topics: %s has no home", m.Kind()))
	}
	return t
}

// KindHas tells whether a message of the kind may be met on the topic.
func KindHas(t Topic, k schemas.Kind) bool {
	return homes[k] == t || k.Info().Class == schemas.OutcomeClass && t.Policy == KeepHour
}

// KindsOf are the messages that may be met on a topic, for the schema registry and the audit.
func KindsOf(t Topic) []schemas.Kind {
	var on []schemas.Kind
	for _, k := range schemas.Kinds() {
		if KindHas(t, k) {
			on = append(on, k)
		}
	}
	return on
}

// Subject is the name of a message's schema in a schema registry: topic and full name (TopicRecordNameStrategy).
func Subject(t Topic, k schemas.Kind) string { return t.Name + "-" + k.String() }

package clickhouse

import (
	"oms/schemas"
	"oms/topics"
)

// table is one table that the sink fills.
type table struct {
	name    string
	sources []topics.Topic
	columns []column // as in migrations, in order
	// rows writes the rows of a message that came on one of the sources; none for messages that are another table's.
	rows func(*block, schemas.Message, place)
	// time is the column that a rebuild goes by; empty: the table is small, or a row has no time of its own, and is rebuilt whole.
	time string
	// sums are columns whose sum verify prints beside the digest, for people.
	sums []string
}

// cols reads a list of columns: names, with ":n" behind a number and ":t" behind an instant.
func cols(list ...string) []column {
	all := make([]column, len(list))
	for i, s := range list {
		c := column{name: s}
		if n := len(s); n > 2 && s[n-2] == ':' {
			c.name, c.kind = s[:n-2], map[byte]kind{'n': number, 't': instant}[s[n-1]]
		}
		all[i] = c
	}
	return all
}

// tables is every table of facts. To add one: a migration, a line here, and its rows in mapping.go.
var tables = []*table{
	{name: "order_events", sources: []topics.Topic{topics.OrderEvents}, rows: orderEvents, time: "at", sums: []string{"total_minor", "units"},
		columns: cols("tenant", "at:t", "order_id", "version:n", "ordinal:n", "sequence:n", "type", "placed_at:t", "customer_id", "country", "currency", "payment_method",
			"lines:n", "units:n", "total_minor:n", "reason", "status_before", "client_reference", "_topic", "_partition:n", "_offset:n")},
	{name: "order_lines", sources: []topics.Topic{topics.OrderEvents}, rows: orderLines, time: "at", sums: []string{"quantity", "total_minor"},
		columns: cols("tenant", "at:t", "order_id", "version:n", "ordinal:n", "line:n", "type", "placed_at:t", "product_id", "country", "currency",
			"quantity:n", "unit_price_minor:n", "total_minor:n", "locations:n", "reason", "available:n", "_topic", "_partition:n", "_offset:n")},
	{name: "payments", sources: []topics.Topic{topics.PaymentEvents}, rows: payments, time: "at", sums: []string{"amount_minor"},
		columns: cols("tenant", "at:t", "order_id", "version:n", "ordinal:n", "sequence:n", "operation", "outcome", "method", "provider", "currency",
			"amount_minor:n", "provider_ref", "reason", "_topic", "_partition:n", "_offset:n")},
	{name: "stock_movements", sources: []topics.Topic{topics.InventoryEvents}, rows: stockMovements, time: "at", sums: []string{"quantity"},
		columns: cols("tenant", "at:t", "product_id", "version:n", "ordinal:n", "entry:n", "sequence:n", "movement", "order_id", "line:n", "location_id", "quantity:n",
			"on_hand:n", "reserved:n", "safety_stock:n", "incoming:n", "damaged:n", "reason", "_topic", "_partition:n", "_offset:n")},
	{name: "stock_alerts", sources: []topics.Topic{topics.InventoryEvents}, rows: stockAlerts, time: "at", sums: []string{"available"},
		columns: cols("tenant", "at:t", "product_id", "version:n", "ordinal:n", "type", "available:n", "threshold:n", "_topic", "_partition:n", "_offset:n")},
	{name: "products", sources: []topics.Topic{topics.ProductEvents}, rows: products, sums: []string{"price_minor"},
		columns: cols("tenant", "product_id", "version:n", "at:t", "name", "category", "price_minor:n", "currency", "_topic", "_partition:n", "_offset:n")},
	{name: "orders_now", sources: []topics.Topic{topics.OrdersTable}, rows: ordersNow, sums: []string{"total_minor", "captured_minor", "refunded_minor"},
		columns: cols("tenant", "placed_at:t", "order_id", "version:n", "status", "payment_status", "fulfillment_status", "customer_id", "country", "currency", "payment_method",
			"lines:n", "units:n", "total_minor:n", "authorized_minor:n", "captured_minor:n", "refunded_minor:n", "reason", "decided_at:t", "updated_at:t", "_topic", "_partition:n", "_offset:n")},
	deadLetters,
}

// deadLetters takes the records of every source that cannot be mapped.
var deadLetters = &table{name: "dead_letters", sources: followed, rows: func(*block, schemas.Message, place) {},
	columns: cols("_topic", "_partition:n", "_offset:n", "at:t", "key", "value", "reason")}

// followed is every topic that a table is filled from.
var followed = []topics.Topic{topics.OrderEvents, topics.PaymentEvents, topics.InventoryEvents, topics.ProductEvents, topics.OrdersTable}

// fills tells whether the table is filled from the topic.
func (t *table) fills(topic string) bool {
	for _, s := range t.sources {
		if s.Name == topic {
			return true
		}
	}
	return false
}

// Package workload is what a shop is asked to do: documents from a file, from a wholesaler's real year, or from a seeded generator.
//
// The file format is JSON lines. A line is either one order, the body of POST /api/orders and beside it its "idempotency_key":
//
//	{"idempotency_key":"A-1001","currency":"EUR","lines":[{"product_id":"tea","quantity":2}],"shipping_address":{…},"payment":{"method":"CARD","token":"tok_1"}}
//
// or one product of the catalogue, the body of POST /api/products and the units to open with:
//
//	{"product":{"product_id":"tea","name":"Tea","price":{"amount_minor":450,"currency":"EUR"}},"on_hand":1000}
//
// Products come before the first order. An order without a key gets one from its line number and its bytes, so that the same file
// loaded twice is the same orders. Nothing else of a line is touched: what is wrong with it, the server says.
package workload

// Action is what a document asks for.
type Action uint8

const (
	Place  Action = iota + 1 // POST /api/orders with Body
	Open                     // POST /api/products with Body, then OnHand units of stock: set-up, no document of the shop
	Adjust                   // POST /api/inventory/{ProductID}/adjust by Delta
	Cancel                   // POST /api/orders/{id}/cancel of the order that document Of placed
	Named                    // nothing is sent; Outcome says why
)

// Document is one thing to do, and it ends in exactly one named outcome.
type Document struct {
	Key       string // identity of the document and idempotency key of what it asks
	Action    Action
	Body      []byte // JSON, for Place and Open
	ProductID string // for Open and Adjust
	OnHand    int64  // units to open with, for Open
	Delta     int64  // units, for Adjust; negative takes away
	Reason    string // for Adjust and Cancel, and of a Named one that is refused
	Of        string // key of the document whose order is meant, for Cancel; it comes earlier
	Outcome   string // for Named
	Awaited   bool   // a later document names this one in Of
	Line      int    // where in its file it stands; 0: in none
}

// Outcomes that are known before anything is sent.
const (
	NotYetReturn      = "NOT_YET:RETURN"       // goods came back: there is no machine for returns
	NotYetCancelLines = "NOT_YET:CANCEL_LINES" // some lines of an order are taken back: orders are cancelled whole
	NotYetBadDebt     = "NOT_YET:BAD_DEBT"     // a receivable is written off: there is no machine for receivables
	NotYetKind        = "NOT_YET:UNKNOWN_KIND" // a kind of document that nobody told us of
	RefusedLine       = "REFUSED:NOT_JSON"     // the line is no JSON object
)

// Order is the body of POST /api/orders with its key, as the generator makes it.
type Order struct {
	Key             string   `json:"idempotency_key,omitempty"`
	CustomerID      string   `json:"customer_id,omitempty"`
	Currency        string   `json:"currency"`
	Lines           []Line   `json:"lines"`
	ShippingAddress *Address `json:"shipping_address,omitempty"`
	Payment         Payment  `json:"payment"`
	ClientReference string   `json:"client_reference,omitempty"`
}

// Line is one line of an order; prices are minor units.
type Line struct {
	ProductID string `json:"product_id"`
	Quantity  int64  `json:"quantity"`
	Quoted    *Money `json:"quoted_unit_price,omitempty"`
}

// Money is an amount of a currency in its minor unit.
type Money struct {
	AmountMinor int64  `json:"amount_minor"`
	Currency    string `json:"currency"`
}

// Address is where an order goes.
type Address struct {
	Name       string `json:"name"`
	Line1      string `json:"line1"`
	City       string `json:"city"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country,omitempty"` // ISO 3166 alpha-2
}

// Payment is how an order is paid.
type Payment struct {
	Method string `json:"method"`
	Token  string `json:"token"`
}

// Product is the body of POST /api/products.
type Product struct {
	ProductID   string `json:"product_id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Category    string `json:"category,omitempty"`
	Price       Money  `json:"price"`
}

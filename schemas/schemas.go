// Package schemas is what is said and what is kept: one Avro schema a message, a folder a family, and the Go structs with the same fields in the same order.
//
// The working schemas (order/PlaceOrder.avsc …) are what the structs are written against; released/ holds the frozen ones that records on the topics name by id.
package schemas

// Message is anything said on a topic or kept in a table. Its home topic is given by package topics.
type Message interface {
	Kind() Kind
	// Key is the record's key: the row that the message is about.
	Key() string
}

// Kind numbers the messages; it is never written to a record.
type Kind uint8

// Class is what a message is for.
type Class uint8

const (
	CommandClass Class = iota + 1 // wants something of a row
	ReplyClass                    // answers what a row asked
	RequestClass                  // asks something of the outside
	FactClass                     // happened
	OutcomeClass                  // a command that no fact answers
	StateClass                    // a row of a table
	NoteClass                     // what the processes of an installation must agree on
)

// Info is what the register knows of a kind.
type Info struct {
	Name  string // full name of the schema, oms.<family>.<Message>
	Class Class
	New   func() Message
}

// Info of the kind; the zero Info for a number that is no kind.
func (k Kind) Info() Info {
	if k >= kinds {
		return Info{}
	}
	return register[k]
}

func (k Kind) String() string { return k.Info().Name }

// Kinds answers every kind that has a schema.
func Kinds() []Kind {
	all := make([]Kind, 0, kinds)
	for k := KindMalformed + 1; k < kinds; k++ {
		all = append(all, k)
	}
	return all
}

// Malformed is a record whose bytes are no message of this system. It has no schema: it is met, never said.
type Malformed struct {
	Raw    []byte
	Reason string
}

func (*Malformed) Kind() Kind  { return KindMalformed }
func (*Malformed) Key() string { return "" }

// CommandHead, SaidHead, FactHead and RowHead answer the head that a message embeds, to whoever fills or reads it without knowing the message.
func (c *Command) CommandHead() *Command { return c }
func (s *Said) SaidHead() *Said          { return s }
func (f *Fact) FactHead() *Fact          { return f }
func (r *Row) RowHead() *Row             { return r }

// CauseOf is the identity that facts name as their cause: command_id of a command, id of what a row or a gateway said.
func CauseOf(m Message) string {
	switch h := m.(type) {
	case interface{ CommandHead() *Command }:
		return h.CommandHead().CommandID
	case interface{ SaidHead() *Said }:
		return h.SaidHead().ID
	case interface{ FactHead() *Fact }:
		return h.FactHead().Cause
	}
	return ""
}

// TenantOf is the shop that a message belongs to; "" for one without a head.
func TenantOf(m Message) string {
	switch h := m.(type) {
	case interface{ CommandHead() *Command }:
		return h.CommandHead().Tenant
	case interface{ SaidHead() *Said }:
		return h.SaidHead().Tenant
	case interface{ FactHead() *Fact }:
		return h.FactHead().Tenant
	case interface{ RowHead() *Row }:
		return h.RowHead().Tenant
	}
	return ""
}

// DefaultTenant is the shop of an installation that serves one.
const DefaultTenant = "default"

// ProductKey is the key of a product's row. Product ids are chosen by shops, so another shop's are told apart by its name; "/" is refused in both.
func ProductKey(tenant, productID string) string {
	if tenant == "" || tenant == DefaultTenant {
		return productID
	}
	return tenant + "/" + productID
}

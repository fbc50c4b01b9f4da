package audit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"oms/internal/kafka"
	"oms/schemas"
	"oms/topics"
)

// Auditor keeps the books of one system. It takes records in the order of their partitions; between partitions there is none, so what concerns two of them is
// checked by Report. It knows neither a broker nor a clock.
type Auditor struct {
	laws

	orders   map[string]*order
	products map[name]*product
	facts    map[factKey]*trail // of everything that is neither order nor product
	effects  map[effect]*charge // what payment facts, and the provider's ledger, say that the provider did
	requests map[uint64]bool    // hashes of the requests that the provider was asked
	ledger   bool               // the provider's ledger was read
	misheard []hearing          // what clients were told that was not so when their record was read

	foreign map[uint64]bool // hashes of commands to orders of another shop
	counted map[uint64]bool // hashes of commands that changed what is on hand

	asked, answered int64                 // messages between orders and products
	backlog         map[stretch][]waiting // records of inboxes that their group has not taken, in order
	inbox           map[Place]*misfit     // records of inboxes that are no message, and all that have a dead letter
	records, dead   int64
	newestMS        int64   // of all records
	letters         []named // the first of them

	names map[string]name // the texts that many records repeat
	texts []string        // by name
}

// misfit is a record of an inbox that its group could not take.
type misfit struct {
	ms      int64 // its time, when it is no message; 0: it is one
	letters int   // dead letters of it
}

func (a *Auditor) misfit(at Place) *misfit {
	m := a.inbox[at]
	if m == nil {
		m = &misfit{}
		a.inbox[at] = m
	}
	return m
}

// stretch is a partition of an inbox.
type stretch struct {
	topic     uint8 // of places
	partition int32
}

// waiting is a record in an inbox.
type waiting struct{ offset, ms int64 }

// Taken tells that the groups have taken the records of their inboxes before these offsets (I13). It may be told at any time, and again.
func (a *Auditor) Taken(before kafka.Offsets) {
	a.prompt.Partly, a.prompt.Why = false, ""
	for s, left := range a.backlog {
		n := 0
		for end := before[placeNames[s.topic]][s.partition]; n < len(left) && left[n].offset < end; n++ {
		}
		a.backlog[s] = left[n:]
	}
}

type factKey struct {
	topic uint8 // of places
	key   name
}

// order is what is known of one order.
type order struct {
	placed   Place // its first PlaceOrder; zero: none was met
	placedMS int64
	commands []command // its PlaceOrders
	owner    uint64    // by its OrderCreated
	placer   uint64    // hash of the tenant of its first PlaceOrder
	shop     uint64    // hash of the tenant of its facts and rows; 0: none was met
	undone   uint64    // hash of the command that its OrderCancellationRequested names
	created  Place     // its OrderCreated
	cause    uint64    // hash of the command that OrderCreated names
	deadline int64     // UTC ms, of its decision
	invoice  bool
	dead     Place // a dead letter of its

	status    status // by its facts
	statusAt  Place
	statusMS  int64
	confirmed Place
	total     int64
	prices    uint64 // hash of lines and total as they were confirmed

	events, payments trail
	stamps           []stamp // of its facts on all topics
	open             []hold  // reservations that its products hold for it
	money            money
	row              row
}

// command of the border: hashes of its id, and of the tenant and principal that it came from.
type command struct{ id, owner uint64 }

func owner(tenant, principal string) uint64 { return hash(tenant + "\x00" + principal) }

// stamp is a fact's place in the life of its row.
type stamp struct {
	version int64
	ordinal int32
}

// New auditor, with empty books.
func New() *Auditor {
	return &Auditor{laws: newLaws(), orders: map[string]*order{}, products: map[name]*product{}, facts: map[factKey]*trail{}, effects: map[effect]*charge{},
		requests: map[uint64]bool{}, foreign: map[uint64]bool{}, counted: map[uint64]bool{}, inbox: map[Place]*misfit{}, backlog: map[stretch][]waiting{}, names: map[string]name{}}
}

func (a *Auditor) order(id string) *order {
	o := a.orders[id]
	if o == nil {
		o = &order{}
		a.orders[strings.Clone(id)] = o // the texts of a message lie in a kilobyte that others share, which would be kept with it
	}
	return o
}

func hash(s string) uint64 { return xxhash.Sum64String(s) }

// name stands for a text that many things repeat: a million orders hold few products at few places, and what has no pointer costs the collector nothing.
type name uint32

// one answers the name of a text.
func (a *Auditor) one(s string) name {
	n, ok := a.names[s]
	if !ok {
		n, s = name(len(a.texts)), strings.Clone(s)
		a.names[s], a.texts = n, append(a.texts, s)
	}
	return n
}

func (a *Auditor) text(n name) string { return a.texts[n] }

// home finds the topic of a name.
var home = func() map[string]topics.Topic {
	byName := map[string]topics.Topic{}
	for _, t := range topics.All {
		byName[t.Name] = t
	}
	return byName
}()

// inboxes and dead letters hold what the border was sent, whatever it is; everything else was written by the system.
var (
	inboxes     = map[string]bool{topics.OrderCommands.Name: true, topics.ProductCommands.Name: true, topics.CustomerCommands.Name: true, topics.LoginCommands.Name: true, topics.PaymentRequests.Name: true}
	deadLetters = map[string]bool{topics.OrderDeadLetters.Name: true, topics.ProductDeadLetters.Name: true, topics.CustomerDeadLetters.Name: true, topics.LoginDeadLetters.Name: true, topics.PaymentDeadLetters.Name: true}
)

// Take books one record of one of topics.All. What the record itself shows to be wrong is counted, and is no error.
func (a *Auditor) Take(rec *kafka.Record) error {
	a.records++
	a.newestMS = max(a.newestMS, rec.Timestamp.UnixMilli())
	at := At(rec.Topic, rec.Partition, rec.Offset)
	if inboxes[rec.Topic] {
		s := stretch{at.topic, at.partition}
		a.backlog[s] = append(a.backlog[s], waiting{at.offset, rec.Timestamp.UnixMilli()})
	}
	if deadLetters[rec.Topic] {
		a.letter(at, rec)
		return nil
	}
	m := schemas.Decode(rec.Value)
	bad, broken := m.(*schemas.Malformed)
	fits := !broken && topics.KindHas(home[rec.Topic], m.Kind()) && m.Key() == string(rec.Key)
	switch {
	case fits:
	case inboxes[rec.Topic]:
		a.misfit(at).ms = rec.Timestamp.UnixMilli()
		return nil
	case broken:
		a.complete.Demand(false, at, "a record of the system cannot be read: %s", bad.Reason)
		return nil
	default:
		a.complete.Demand(false, at, "%s under key %q is not at home here", m.Kind(), rec.Key)
		return nil
	}
	if f, ok := m.(interface{ FactHead() *schemas.Fact }); ok {
		a.fact(at, m, f.FactHead())
	}
	a.book(at, rec, m)
	return nil
}

// Records taken.
func (a *Auditor) Records() int64 { return a.records }

// Keys that the books grow with: orders and products.
func (a *Auditor) Keys() int { return len(a.orders) + len(a.products) }

// book hands a message to the books that it concerns.
func (a *Auditor) book(at Place, rec *kafka.Record, m schemas.Message) {
	switch m := m.(type) {
	case *schemas.PlaceOrder:
		a.order(m.OrderID).ask(at, rec.Timestamp.UnixMilli(), m)
	case *schemas.CancelOrder:
		a.command(m.OrderID, &m.Command)
	case *schemas.RequestStatus:
		a.command(m.OrderID, &m.Command)
	case *schemas.ReserveStock, *schemas.ReleaseStock:
		a.asked++
	case *schemas.StockReply:
		a.answered++
	case *schemas.OrderCreated:
		o := a.order(m.OrderID)
		o.created, o.deadline, o.invoice, o.cause, o.owner = at, m.DeadlineMS, m.PaymentMethod == schemas.PaymentMethodInvoice, hash(m.Cause), owner(m.Tenant, m.Principal)
		a.move(o, at, m.AtMS, schemas.OrderStatusPending)
	case *schemas.OrderConfirmed:
		a.confirm(a.order(m.OrderID), at, m)
	case *schemas.OrderRejected:
		a.move(a.order(m.OrderID), at, m.AtMS, schemas.OrderStatusRejected)
	case *schemas.OrderExpired:
		a.move(a.order(m.OrderID), at, m.AtMS, schemas.OrderStatusExpired)
	case *schemas.OrderCancellationRequested:
		o := a.order(m.OrderID)
		o.undone = hash(m.Cause)
		a.move(o, at, m.AtMS, schemas.OrderStatusCancelling)
	case *schemas.OrderCancelled:
		a.move(a.order(m.OrderID), at, m.AtMS, schemas.OrderStatusCancelled)
	case *schemas.PaymentProcessed:
		a.paid(at, m)
	case *schemas.InventoryUpdated:
		a.moved(at, m)
	case *schemas.OrderRow:
		a.orderRow(at, rec.Value, m)
	case *schemas.ProductAdded:
		a.product(a.one(m.Key())).listed = amount{at, m.PriceMinor, a.one(m.Currency)}
	case *schemas.ProductRow:
		a.productRow(at, rec.Value, m)
	case *schemas.AuthorizePayment:
		a.requests[hash(m.RequestID)] = true
	case *schemas.CapturePayment:
		a.requests[hash(m.RequestID)] = true
	case *schemas.VoidPayment:
		a.requests[hash(m.RequestID)] = true
	case *schemas.RefundPayment:
		a.requests[hash(m.RequestID)] = true
	}
}

// The headers of a dead letter that say what it was.
const (
	originTopic     = "oms-origin-topic"
	originPartition = "oms-origin-partition"
	originOffset    = "oms-origin-offset"
	originError     = "oms-error"
)

func header(rec *kafka.Record, name string) string {
	for _, h := range rec.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// Origin is where a dead letter says that its record stood; ok is false when it does not say so.
func Origin(letter *kafka.Record) (topic string, partition int32, offset int64, ok bool) {
	n, err1 := strconv.ParseInt(header(letter, originPartition), 10, 32)
	offset, err2 := strconv.ParseInt(header(letter, originOffset), 10, 64)
	topic = header(letter, originTopic)
	return topic, int32(n), offset, err1 == nil && err2 == nil && topic != ""
}

// lettersNamed is how many dead letters the report names.
const lettersNamed = 20

// letter books a dead letter. One that can be read is something that nobody decided; one that cannot is where garbage belongs.
func (a *Auditor) letter(at Place, rec *kafka.Record) {
	a.dead++
	topic, partition, offset, said := Origin(rec)
	origin := At(topic, partition, offset)
	if a.complete.Demand(said && !origin.none(), at, "a dead letter does not say where it came from"); !origin.none() {
		a.misfit(origin).letters++
	}
	m := schemas.Decode(rec.Value)
	what := "not readable"
	if m.Kind() != schemas.KindMalformed {
		what = fmt.Sprintf("%s of %q, %s", m.Kind(), m.Key(), schemas.CauseOf(m))
		if m.Key() == string(rec.Key) {
			a.decided.Demand(false, at, "%s came to nothing: %s", what, firstLine(header(rec, originError)))
			if home[topic] == topics.OrderCommands {
				a.order(m.Key()).dead = at
			}
		}
	}
	a.letters = append(a.letters, named{at, fmt.Sprintf("%s from %s: %s: %s", at, origin, what, firstLine(header(rec, originError)))})
	if len(a.letters) > lettersNamed {
		slices.SortFunc(a.letters, func(x, y named) int { return x.at.compare(y.at) })
		a.letters = a.letters[:lettersNamed]
	}
}

// named is a dead letter in words.
type named struct {
	at   Place
	text string
}

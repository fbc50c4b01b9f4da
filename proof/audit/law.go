package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"oms/topics"
)

// Law is one invariant and what was found of it.
type Law struct {
	ID         string `json:"law"`
	Text       string `json:"text"`
	Checked    int64  `json:"checked"`         // things that were held against it
	Violations int64  `json:"violations"`      //
	UnderWay   int64  `json:"under_way"`       // things that wait for a message which may still come
	Partly     bool   `json:"partly"`          // not all of the law could be checked
	Why        string `json:"why,omitempty"`   // what could not
	First      string `json:"first,omitempty"` // the first violation by the place of its record, so that it does not depend on the order in which partitions were read

	firstAt Place
}

// number of the law, for the order of reports.
func (l *Law) number() int {
	n, _ := strconv.Atoi(strings.TrimPrefix(l.ID, "I"))
	return n
}

// Place of a record, or of a line in a file. The zero Place is none.
type Place struct {
	offset    int64
	partition int32
	topic     uint8 // of places; 0: no place
}

// The names that places may have, in order, behind the empty one.
const (
	ledgerFile = "ledger"
	clientFile = "client"
)

var (
	placeNames = func() []string {
		names := []string{"", ledgerFile, clientFile}
		for _, t := range topics.All {
			names = append(names, t.Name)
		}
		slices.Sort(names)
		return names
	}()
	placeIndex = func() map[string]uint8 {
		byName := map[string]uint8{}
		for i, name := range placeNames {
			byName[name] = uint8(i)
		}
		return byName
	}()
)

// At is a place on a topic; none when topics.All has no such topic.
func At(topic string, partition int32, offset int64) Place {
	i := placeIndex[topic]
	if i == 0 {
		return Place{}
	}
	return Place{offset, partition, i}
}

func (p Place) none() bool { return p.topic == 0 }

func (p Place) String() string {
	if p.none() {
		return "no record"
	}
	return fmt.Sprintf("%s/%d@%d", placeNames[p.topic], p.partition, p.offset)
}

func (p Place) compare(q Place) int {
	return cmp.Or(cmp.Compare(p.topic, q.topic), cmp.Compare(p.partition, q.partition), cmp.Compare(p.offset, q.offset))
}

// Violated notes a violation at the record.
func (l *Law) Violated(at Place, format string, args ...any) {
	if l.Violations++; l.First != "" && at.compare(l.firstAt) > 0 {
		return
	}
	text := at.String() + ": " + fmt.Sprintf(format, args...)
	if l.First == "" || at != l.firstAt || text < l.First {
		l.First, l.firstAt = text, at
	}
}

// Demand checks one thing.
func (l *Law) Demand(ok bool, at Place, format string, args ...any) {
	if l.Checked++; !ok {
		l.Violated(at, format, args...)
	}
}

// due is a thing that something must still follow, and did not: a violation once its time, in UTC ms, is longer past than messages are under way.
func (s *settlement) due(l *Law, sinceMS int64, at Place, format string, args ...any) {
	if s.asOfMS-sinceMS <= Grace.Milliseconds() {
		l.UnderWay++
		return
	}
	l.Violated(at, format, args...)
}

// laws in the order of the report.
type laws struct {
	conservation, oversell, reservations, charges, refunds, decided, complete, legal, money, repeats, owners, prompt Law
}

func (l *laws) all() []*Law {
	return []*Law{&l.conservation, &l.oversell, &l.reservations, &l.charges, &l.refunds, &l.decided, &l.complete, &l.legal, &l.money, &l.repeats, &l.owners, &l.prompt}
}

func newLaws() laws {
	return laws{
		conservation: Law{ID: "I1", Text: "stock is conserved: what came, went and was promised adds up to what is there, and products and orders agree on every promise"},
		oversell:     Law{ID: "I2", Text: "nothing is oversold: 0 ≤ reserved ≤ on hand after every movement"},
		reservations: Law{ID: "I3", Text: "each reservation ends at most once, and none outlives its order"},
		charges:      Law{ID: "I4", Text: "one charge: the provider's ledger and the payment facts are the same, one to one", Partly: true, Why: "without the provider's ledger only the facts were checked against the requests"},
		refunds:      Law{ID: "I5", Text: "of an order that ended without goods nothing is kept; never is more given back than was taken"},
		decided:      Law{ID: "I6", Text: "what was accepted exists and is decided; nothing exists that nobody sent", Partly: true, Why: "without a client's record only the commands were checked, not what clients were told"},
		complete:     Law{ID: "I7", Text: "no fact is lost or doubled: sequences without gap per key and topic; every record is at home and readable"},
		legal:        Law{ID: "I8", Text: "orders change only as they may, their rows only forward, and prices are fixed from the confirmation on"},
		money:        Law{ID: "I10", Text: "money adds up: prices are the catalogue's or were quoted; lines, totals, and each order's ledger against its payment facts"},
		repeats:      Law{ID: "I11", Text: "repetitions of one key are one order or one change of stock, with equal answers; another body is refused", Partly: true, Why: "without a client's record only orders and commands were compared, not answers"},
		owners:       Law{ID: "I12", Text: "nobody changes what is not theirs: an order stays with the shop and the buyer whose command made it, and only that shop's commands undo it", Partly: true, Why: "reading leaves no record, so who read what was not checked"},
		prompt:       Law{ID: "I13", Text: "nothing is left lying: every record of an inbox is taken, and every order has its products' answers, within 60 s", Partly: true, Why: "without the groups' offsets only orders were checked"},
	}
}

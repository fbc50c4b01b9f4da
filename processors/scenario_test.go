package processors

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"oms/schemas"
)

// Each file of testdata tells one story of the shop. What a row says to another waits until the text delivers it, so the text decides who is first.
//
//	product ID price=250 [currency=EUR] [on_hand=10] [threshold=2]       add a product, with stock at main
//	stock ID set=5 | add=-2 [at=LOCATION] [safety=1] [expected_version=3] adjust
//	place ID lines=(tea:2, cup:1@300, mug:1?500) [method=INVOICE] …       @ a quoted price, ? the price the buyer expects
//	cancel ID, status ID to=STATUS                                        with [key=K] to repeat a command, [body=B] for another body
//	deliver [ID [n]]                                                      the next message (or n) to that row; without ID: everything
//	answer ID OUTCOME [amount=N] [again]                                  the provider answers the oldest request; again: the last answer once more
//	deadline ID [at=30s]                                                  the row's deadline comes
//	register LOGIN customer=ID                                            a customer registers
//	show ID, wait 5s
func TestScenarios(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			s := &scenario{world: newWorld(func(law string) { t.Helper(); t.Error(law) })}
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.run(d) })
		})
	}
}

type scenario struct {
	*world
	commands int
	answered map[string]*schemas.PaymentReply
	b        strings.Builder
}

func (s *scenario) run(d *datadriven.TestData) string {
	s.b.Reset()
	id := ""
	if len(d.CmdArgs) > 0 {
		id = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "product":
		s.add(d, id)
	case "stock":
		s.tell(s.take(s.adjust(d, id)))
	case "place":
		s.tell(s.take(s.place(d, id)))
	case "cancel":
		m := &schemas.CancelOrder{Command: s.head(d), OrderID: id, Fingerprint: body(d), ExpectedVersion: number(d, "expected_version"), Reason: schemas.ReasonCancelledByCustomer}
		s.tell(s.take(m))
	case "status":
		s.tell(s.take(&schemas.RequestStatus{Command: s.head(d), OrderID: id, Fingerprint: body(d), ExpectedVersion: number(d, "expected_version"), Status: text(d, "to", "")}))
	case "register":
		s.tell(s.take(&schemas.RegisterCustomer{Command: s.head(d), LoginID: id, CustomerID: text(d, "customer", ""), Fingerprint: body(d), Profile: []byte("sealed")}))
	case "deliver":
		s.deliveries(d, id)
	case "answer":
		s.answer(d, id)
	case "deadline":
		s.deadlineComes(d, id)
	case "wait":
		ms, _ := strconv.ParseInt(strings.TrimSuffix(id, "s"), 10, 64)
		s.now += ms * 1000
	case "show":
		s.show(id)
	default:
		return "unknown command " + d.Cmd
	}
	return s.b.String()
}

func (s *scenario) add(d *datadriven.TestData, id string) {
	price, threshold := *number(d, "price"), number(d, "threshold")
	m := &schemas.AddProduct{Command: s.head(d), ProductID: id, Fingerprint: body(d), Name: strings.ToUpper(id[:1]) + id[1:], PriceMinor: price, Currency: text(d, "currency", "EUR")}
	if threshold != nil {
		m.LowStockThreshold = *threshold
	}
	s.tell(s.take(m))
	if n := number(d, "on_hand"); n != nil {
		s.tell(s.take(&schemas.AdjustStock{Command: s.head(d), ProductID: id, Mode: schemas.AdjustModeSet, LocationID: "main", Quantity: *n}))
	}
}

func (s *scenario) adjust(d *datadriven.TestData, id string) schemas.Message {
	m := &schemas.AdjustStock{Command: s.head(d), ProductID: id, Fingerprint: body(d), Mode: schemas.AdjustModeSet, LocationID: text(d, "at", "main"),
		ExpectedVersion: number(d, "expected_version"), SafetyStock: number(d, "safety"), LowStockThreshold: number(d, "threshold"), Reason: "count"}
	if n := number(d, "add"); n != nil {
		m.Mode, m.Quantity = schemas.AdjustModeDelta, *n
	} else {
		m.Quantity = *number(d, "set")
	}
	return m
}

func (s *scenario) place(d *datadriven.TestData, id string) schemas.Message {
	m := &schemas.PlaceOrder{Command: s.head(d), OrderID: id, Fingerprint: body(d), Currency: text(d, "currency", "EUR"), ExpectedTotalMinor: number(d, "expected_total"),
		FillPolicy: schemas.FillPolicyAllOrNothing,
		Payment:    schemas.PaymentIntent{Method: schemas.PaymentMethod(text(d, "method", "CARD")), Token: "tok", Capture: schemas.CapturePolicy(text(d, "capture", "LATER"))},
		Terms:      schemas.OrderTerms{DecisionTimeoutMS: 60_000, CancelTimeoutMS: 300_000, PaymentTimeoutMS: 16_000, PaymentProvider: "sandbox", PaymentTries: 1}}
	if limit := number(d, "max_total"); limit != nil {
		m.Terms.MaxTotalMinor = *limit
	}
	for _, a := range d.CmdArgs {
		if a.Key != "lines" {
			continue
		}
		for i, v := range a.Vals {
			m.Lines = append(m.Lines, line(int32(i+1), v))
		}
	}
	return m
}

// line reads "tea:2", "tea:2@300" (quoted) or "tea:2?300" (expected).
func line(n int32, v string) schemas.OrderLine {
	product, rest, _ := strings.Cut(strings.TrimSpace(v), ":")
	l := schemas.OrderLine{Line: n, ProductID: product}
	units, quoted, isQuoted := strings.Cut(rest, "@")
	units, expected, isExpected := strings.Cut(units, "?")
	l.Quantity, _ = strconv.ParseInt(units, 10, 64)
	if isQuoted {
		p, _ := strconv.ParseInt(quoted, 10, 64)
		l.QuotedUnitPriceMinor = &p
	}
	if isExpected {
		p, _ := strconv.ParseInt(expected, 10, 64)
		l.ExpectedUnitPriceMinor = &p
	}
	return l
}

func (s *scenario) deliveries(d *datadriven.TestData, id string) {
	if id == "" {
		for at := s.waiting(); len(at) > 0; at = s.waiting() {
			out, _ := s.deliver(at[0])
			s.tell(out)
		}
		return
	}
	n := 1
	if len(d.CmdArgs) > 1 {
		n, _ = strconv.Atoi(d.CmdArgs[1].Key)
	}
	for range n {
		for _, g := range Groups {
			if out, ok := s.deliver(g.Name + "/" + id); ok {
				s.tell(out)
			}
		}
	}
}

func (s *scenario) answer(d *datadriven.TestData, id string) {
	if s.answered == nil {
		s.answered = map[string]*schemas.PaymentReply{}
	}
	if !d.HasArg("again") {
		if len(s.requests[id]) == 0 {
			fmt.Fprintf(&s.b, "nothing is asked for %s\n", id)
			return
		}
		amount := s.order(id).Payments[0].AmountMinor
		if n := number(d, "amount"); n != nil {
			amount = *n
		}
		s.answered[id] = s.reply(s.requests[id][0], schemas.PaymentOutcome(d.CmdArgs[1].Key), amount)
		s.requests[id] = s.requests[id][1:]
	}
	s.tell(s.take(s.answered[id]))
}

func (s *scenario) deadlineComes(d *datadriven.TestData, id string) {
	if at := text(d, "at", ""); at != "" {
		n, _ := strconv.ParseInt(strings.TrimSuffix(at, "s"), 10, 64)
		s.tell(s.take(&schemas.OrderDeadlineReached{Said: schemas.Said{ID: "deadline"}, OrderID: id, DeadlineMS: n * 1000}))
		return
	}
	out, ok := s.deadline(id)
	if !ok {
		fmt.Fprintf(&s.b, "%s has no deadline\n", id)
		return
	}
	fmt.Fprintf(&s.b, "it is %s\n", seconds(s.now))
	s.tell(out)
}

// head of a command; with key=K one that can be sent again.
func (s *scenario) head(d *datadriven.TestData) schemas.Command {
	s.commands++
	return schemas.Command{CommandID: text(d, "key", fmt.Sprintf("cmd_%d", s.commands)), Tenant: text(d, "tenant", schemas.DefaultTenant), Principal: "staff"}
}

func body(d *datadriven.TestData) []byte { return []byte(text(d, "body", "a body")) }

func text(d *datadriven.TestData, key, otherwise string) string {
	for _, a := range d.CmdArgs {
		if a.Key == key && len(a.Vals) > 0 {
			return a.Vals[0]
		}
	}
	return otherwise
}

func number(d *datadriven.TestData, key string) *int64 {
	n, err := strconv.ParseInt(text(d, key, ""), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

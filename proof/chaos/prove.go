package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"oms/proof/workload"
)

// Proof is one promise, shown by three bookkeepers who do not know each other: the topics, the payment provider, and who bought.
type Proof struct {
	Promise string    `json:"promise"`
	Rows    []Row     `json:"rows"`
	Report  Report    `json:"report"`
	Began   time.Time `json:"began"`

	limit  int // of the curves; 0: none
	curves []curve
}

// Row is a line of the table; a bookkeeper who does not know says nothing.
type Row struct {
	What     string `json:"what"`
	Topics   string `json:"topics,omitempty"`
	Provider string `json:"provider,omitempty"`
	Buyers   string `json:"buyers,omitempty"`
}

// curve is drawn over the time of the run.
type curve struct {
	name   string
	points []point
}

// Oversell lets buyers want more units of one product than there are, while processes are killed and the provider has bad moments. Config's Orders are the buyers.
func Oversell(ctx context.Context, c Config, units int) (Proof, error) {
	goods := workload.NewShop(workload.Shop{Seed: c.Seed, Products: 1, OnHand: int64(units)})
	order := func(n int) workload.Order {
		o := goods.Order(n)
		o.Lines = o.Lines[:1] // one unit a buyer
		return o
	}
	c.Topology, c.Faults = Embedded, []Kind{Kill, KillTwice, ProviderSilent, ProviderTwice}
	w := work{goods: goods, arrive: func(n int, _ func(string) bool) ([]workload.Document, error) { return cancelled(n, order) }, decides: func(outcome string) bool { return confirmed(outcome) || strings.HasPrefix(outcome, "REJECTED:") }}
	p := Proof{Promise: "nothing is oversold", limit: units}
	err := p.run(ctx, c, w, func(r *run, b *books, provider *account) []curve {
		told := r.report.Load.Outcomes
		p.row("buyers, each wants one unit", b.created, none, r.watch.placed)
		p.row("confirmed", b.ended["CONFIRMED"], none, told["CONFIRMED"])
		p.row("cancelled later by the buyer", b.ended["CANCELLED"], none, told["CANCELLED"])
		p.row("refused: out of stock", b.ended["OUT_OF_STOCK"], none, told["REJECTED:OUT_OF_STOCK"])
		p.row("refused: card declined", b.ended["PAYMENT_DECLINED"], provider.declined, told["REJECTED:PAYMENT_DECLINED"])
		p.row("orders that hold a unit and money", len(b.holding), len(provider.charges), told["CONFIRMED"]-told["CANCELLED"])
		p.money("money held", b.payments.held, provider.held)
		p.row("units there", int(b.onHand), none, none)
		p.row("units promised at the end", int(b.reserved), none, none)
		p.row("units promised at most, at any moment", int(b.most), none, none)
		p.equal(r, "orders that hold money", len(b.holding), len(provider.charges))
		p.equal(r, "units promised and orders that hold one", int(b.reserved), len(b.holding))
		p.equal(r, "confirmed and told so", b.ended["CONFIRMED"], told["CONFIRMED"])
		if b.most > int64(units) {
			r.violated("%d units were promised, there are %d", b.most, units)
		}
		return []curve{{"units promised, by the topics", b.promised}, {"orders with money, by the provider's ledger", provider.curve}}
	})
	return p, err
}

// sends is how often each order of the proof of exactly-once is sent at least, and anotherEvery how many orders come to one that is sent with another body besides.
const (
	sends        = 3
	anotherEvery = 50
)

// ExactlyOnce sends every order several times, at once and later, while processes are killed and the provider charges without an answer, answers twice and answers nonsense.
func ExactlyOnce(ctx context.Context, c Config) (Proof, error) {
	goods := workload.NewShop(workload.Shop{Seed: c.Seed, Products: 100, OnHand: int64(10 * c.Orders)})
	c.Topology, c.Faults = Embedded, []Kind{Kill, KillTwice, ProviderSilent, ProviderTwice, ProviderWrong}
	another := 0
	w := work{goods: goods, decides: confirmed}
	w.arrive = func(n int, decided func(string) bool) (all []workload.Document, err error) {
		of := []int{n}
		for range sends - 2 {
			of = append(of, n) // at once
		}
		of = append(of, n-n%100+(n*37+11)%100%(n%100+1)) // one of those that came before, or this one again
		for _, n := range of {
			d, err := goods.Order(n).Document()
			if err != nil {
				return nil, err
			}
			all = append(all, d)
		}
		if o := goods.Order(max(0, n-anotherEvery/2)); n%anotherEvery == anotherEvery-1 && decided(o.Key) {
			o.Lines[0].Quantity++
			d, err := o.Document()
			if err != nil {
				return nil, err
			}
			another++
			all = append(all, d)
		}
		return all, nil
	}
	p := Proof{Promise: "every order and every charge happens exactly once"}
	err := p.run(ctx, c, w, func(r *run, b *books, provider *account) []curve {
		told := r.watch.outcomes
		p.row("orders that were meant", b.created, none, r.watch.placed)
		p.row("requests that were sent for them", none, none, r.report.Load.Documents+int(r.report.Load.Retries))
		p.row("confirmed", b.ended["CONFIRMED"], none, told["CONFIRMED"])
		p.row("refused: card declined", b.ended["PAYMENT_DECLINED"], provider.declined, told["REJECTED:PAYMENT_DECLINED"])
		p.row("charges", b.payments.taken, provider.taken, none)
		p.row("charges of one order at most", b.payments.most, provider.most, none)
		p.row("orders for which money is held", len(b.payments.charges), len(provider.charges), told["CONFIRMED"])
		p.money("money held", b.payments.held, provider.held)
		p.row("another body under a used key: refused", none, none, r.report.Load.Outcomes[keyReused])
		p.equal(r, "orders created and meant", b.created, r.watch.placed)
		p.equal(r, "charges", b.payments.taken, provider.taken)
		p.equal(r, "charges of one order", 1, provider.most)
		p.equal(r, "orders confirmed and charged", b.ended["CONFIRMED"], len(provider.charges))
		p.equal(r, "other bodies sent and refused", another, r.report.Load.Outcomes[keyReused])
		return []curve{{"orders charged, by the topics", b.payments.curve}, {"orders charged, by the provider's ledger", provider.curve}}
	})
	return p, err
}

// run breaks a shop and lays the books beside each other.
func (p *Proof) run(ctx context.Context, c Config, w work, compare func(r *run, b *books, provider *account) []curve) error {
	r := newRun(ctx, c, w)
	p.Began = time.Now()
	err := r.run(ctx, func(ctx context.Context) error {
		k, err := r.shop.kafka()
		if err != nil {
			return err
		}
		b, err := readBooks(ctx, k)
		if err != nil {
			return err
		}
		provider, err := readLedger(r.shop.provider.ledger)
		if err != nil {
			return err
		}
		p.curves = compare(r, b, provider)
		if b.payments.held != provider.held {
			r.violated("the topics hold %d, the provider %d", b.payments.held, provider.held)
		}
		return nil
	})
	p.Report = r.report
	return err
}

// none: a bookkeeper who does not know.
const none = -1

func (p *Proof) row(what string, topics, provider, buyers int) {
	text := func(n int) string {
		if n == none {
			return ""
		}
		return fmt.Sprint(n)
	}
	p.Rows = append(p.Rows, Row{what, text(topics), text(provider), text(buyers)})
}

func (p *Proof) money(what string, topics, provider int64) {
	text := func(minor int64) string { return fmt.Sprintf("%d.%02d %s", minor/100, minor%100, workload.Currency) }
	p.Rows = append(p.Rows, Row{What: what, Topics: text(topics), Provider: text(provider)})
}

// equal demands what the table shows.
func (p *Proof) equal(r *run, what string, a, b int) {
	if a != b {
		r.violated("%s: %d and %d", what, a, b)
	}
}

// JSON prints the proof as one line.
func (p Proof) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(p) }

// Table prints the proof for people.
func (p Proof) Table(w io.Writer) error {
	done := 0
	for _, n := range p.Report.Faults {
		done += n
	}
	fmt.Fprintf(w, "\n%s: seed %d, commit %s, %d faults in %.0f s\n", p.Promise, p.Report.Seed, p.Report.Commit, done, p.Report.Seconds)
	for _, s := range p.Report.Steps {
		fmt.Fprintf(w, "  after %4.0f s  %s\n", s.At.Sub(p.Began).Seconds(), s.What)
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\n\tthe topics\tthe provider's ledger\tthe buyers were told\t\n")
	for _, r := range p.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\n", r.What, r.Topics, r.Provider, r.Buyers)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nthe auditor, who reads the topics, the ledger and what the buyers were told:\n\n")
	if err := p.Report.Audit.Text(w); err != nil {
		return err
	}
	for _, v := range p.Report.Violations {
		fmt.Fprintf(w, "VIOLATION: %s\n", v)
	}
	verdict := "holds"
	if len(p.Report.Violations) > 0 {
		verdict = "is BROKEN"
	}
	_, err := fmt.Fprintf(w, "%q %s\n", p.Promise, verdict)
	return err
}

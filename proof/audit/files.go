package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"oms/schemas"
)

// lines hands every whole line of a file to take; a last line that was cut off is not one.
func lines(path string, take func(n int64, line []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	for n := int64(1); ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = take(n, line)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}

// entry is one line of the provider's ledger.
type entry struct {
	At          time.Time `json:"at"`
	RequestID   string    `json:"request_id"`
	OrderID     string    `json:"order_id"`
	Operation   string    `json:"operation"`
	AmountMinor int64     `json:"amount_minor"`
	Currency    string    `json:"currency"`
}

// effects of the provider's operations; the others move no money.
var done = map[string]schemas.PaymentOutcome{"AUTHORIZE": schemas.PaymentOutcomeAuthorized, "CAPTURE": schemas.PaymentOutcomeCaptured, "VOID": schemas.PaymentOutcomeVoided, "REFUND": schemas.PaymentOutcomeRefunded}

// readLedger matches the provider's ledger with the payment facts, one to one (I4).
func (a *auditor) readLedger(path string) error {
	a.charges.Partly, a.charges.Why = false, ""
	untold := map[effect]bool{}
	err := lines(path, func(n int64, line []byte) error {
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		what, moves := done[e.Operation]
		if !moves || e.AmountMinor == 0 {
			return nil
		}
		a.charges.Checked++
		at, key := place{"ledger", 0, n}, effect{e.RequestID, what}
		c := a.effects[key]
		switch {
		case untold[key] || c != nil && c.matched:
			a.charges.violated(at, "the provider did %s of %d for %q under request %q twice", e.Operation, e.AmountMinor, e.OrderID, e.RequestID)
		case c == nil:
			untold[key] = true
			a.due(&a.charges, e.At.UnixMilli(), at, "the provider did %s of %d for %q under request %q, and no fact tells it", e.Operation, e.AmountMinor, e.OrderID, e.RequestID)
		default:
			if c.matched = true; c.amount != e.AmountMinor || c.currency != e.Currency {
				a.charges.violated(c.at, "request %q: the fact tells %d %s, the provider's ledger has %d %s", e.RequestID, c.amount, c.currency, e.AmountMinor, e.Currency)
			}
		}
		return nil
	})
	for e, c := range a.effects {
		if !c.matched && c.amount > 0 && err == nil {
			a.charges.violated(c.at, "%s of %d under request %q is not in the provider's ledger", e.what, c.amount, e.request)
		}
	}
	return err
}

// told is one line of a client's record.
type told struct {
	Key      string `json:"key"`
	Asked    string `json:"asked"`
	Request  string `json:"request"`
	HTTP     int    `json:"http"`
	OrderID  string `json:"order_id"`
	PlacedAt string `json:"placed_at"`
	Lines    string `json:"lines"`
	Status   string `json:"status"`
	Code     string `json:"code"`
}

// readClient compares what a client was told with what is (I6, I11).
func (a *auditor) readClient(path string) error {
	a.decided.Partly, a.decided.Why, a.repeats.Partly, a.repeats.Why = false, "", false, ""
	first, owner := map[string]told{}, map[string]string{}
	return lines(path, func(n int64, line []byte) error {
		var t told
		if err := json.Unmarshal(line, &t); err != nil {
			return err
		}
		at := place{"client", 0, n}
		if t.OrderID != "" {
			a.hear(at, t)
		}
		if t.Asked != "place" {
			return nil
		}
		f, known := first[t.Key]
		accepted := t.HTTP >= 200 && t.HTTP < 300 && t.OrderID != ""
		switch {
		case accepted && !known:
			first[t.Key] = t
			other, taken := owner[t.OrderID]
			a.repeats.demand(!taken, at, "keys %q and %q have the same order %q", t.Key, other, t.OrderID)
			owner[t.OrderID] = t.Key
		case accepted:
			a.repeats.demand(t.Request == f.Request, at, "key %q was accepted with two bodies", t.Key)
			a.repeats.demand(t.OrderID == f.OrderID && alike(t.PlacedAt, f.PlacedAt) && alike(t.Lines, f.Lines), at, "key %q was answered %q placed at %q, and before %q placed at %q, or with other lines",
				t.Key, t.OrderID, t.PlacedAt, f.OrderID, f.PlacedAt)
			if f.PlacedAt == "" {
				first[t.Key] = t
			}
		case known && t.Code == string(schemas.RefusalCodeKeyReused):
			a.repeats.demand(t.Request != f.Request, at, "key %q was refused for another body, and it was the same", t.Key)
		}
		return nil
	})
}

// alike: an answer that came before the order could be shown has neither its time nor its lines.
func alike(a, b string) bool { return a == "" || b == "" || a == b }

// hear demands that the order that a client was told of is there, and is or was what the client was told.
func (a *auditor) hear(at place, t told) {
	o := a.orders[t.OrderID]
	if o == nil || o.created.topic == "" && o.dead.topic == "" {
		if a.still {
			a.decided.demand(false, at, "a client was told of %q, which does not exist", t.OrderID)
		} else {
			a.decided.UnderWay++
		}
		return
	}
	is := string(o.status) == t.Status
	switch schemas.OrderStatus(strings.ToUpper(t.Status)) {
	case "", schemas.OrderStatusPending, schemas.OrderStatusCancelling:
		is = true // on its way
	case schemas.OrderStatusConfirmed:
		is = o.confirmed.topic != ""
	}
	a.decided.demand(is || !a.still, at, "a client was told that %q is %s; its facts say %s", t.OrderID, t.Status, o.status)
}

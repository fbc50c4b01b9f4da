package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"oms/schemas"
)

// lines hands every whole line to take; a last line that was cut off is not one.
func lines(r io.Reader, take func(n int64, line []byte) error) error {
	in := bufio.NewReaderSize(r, 1<<20)
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

// Ledger books what the payment provider did, JSON lines of its ledger, to be matched with the payment facts one to one (I4). An error names the line that is none.
func (a *Auditor) Ledger(r io.Reader) error {
	a.ledger, a.charges.Partly, a.charges.Why = true, false, ""
	return lines(r, func(n int64, line []byte) error {
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		what, moves := done[e.Operation]
		if !moves || e.AmountMinor == 0 {
			return nil
		}
		at, c := At(ledgerFile, 0, n), a.effect(e.RequestID, what)
		a.charges.Demand(c.done.at.none(), at, "the provider did %s of %d for %q under request %q twice", e.Operation, e.AmountMinor, e.OrderID, e.RequestID)
		c.done, c.doneMS = amount{at, e.AmountMinor, a.one(e.Currency)}, e.At.UnixMilli()
		return nil
	})
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

// Client compares what a client was told, JSON lines, with what is (I6, I11). An error names the line that is none.
func (a *Auditor) Client(r io.Reader) error {
	a.decided.Partly, a.decided.Why, a.repeats.Partly, a.repeats.Why = false, "", false, ""
	first, owner := map[string]told{}, map[string]string{}
	return lines(r, func(n int64, line []byte) error {
		var t told
		if err := json.Unmarshal(line, &t); err != nil {
			return err
		}
		at := At(clientFile, 0, n)
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
			a.repeats.Demand(!taken, at, "keys %q and %q have the same order %q", t.Key, other, t.OrderID)
			owner[t.OrderID] = t.Key
		case accepted:
			// Of an answer that came before the decision nobody knows which body it will be.
			undecided := t.HTTP == http.StatusAccepted || f.HTTP == http.StatusAccepted
			a.repeats.Demand(undecided || t.Request == f.Request, at, "key %q was accepted with two bodies", t.Key)
			a.repeats.Demand(t.OrderID == f.OrderID && alike(t.PlacedAt, f.PlacedAt) && alike(t.Lines, f.Lines), at, "key %q was answered %q placed at %q, and before %q placed at %q, or with other lines",
				t.Key, t.OrderID, t.PlacedAt, f.OrderID, f.PlacedAt)
			if f.HTTP == http.StatusAccepted {
				first[t.Key] = t
			}
		case known && f.HTTP != http.StatusAccepted && t.Code == string(schemas.RefusalCodeKeyReused):
			a.repeats.Demand(t.Request != f.Request, at, "key %q was refused for another body, and it was the same", t.Key)
		}
		return nil
	})
}

// alike: an answer that came before the order could be shown has neither its time nor its lines.
func alike(a, b string) bool { return a == "" || b == "" || a == b }

// hearing is what a client was told of an order.
type hearing struct {
	at     Place
	order  string
	status string
}

// hear checks that the order that a client was told of is there, and is or was what the client was told. What does not fit is looked at again when all is known.
func (a *Auditor) hear(at Place, t told) {
	h := hearing{at, t.OrderID, t.Status}
	if o := a.orders[h.order]; o.exists() && o.was(h.status) {
		a.decided.Checked++
		return
	}
	a.misheard = append(a.misheard, h)
}

// exists: it was created, or its creation became a dead letter.
func (o *order) exists() bool { return o != nil && (!o.created.none() || !o.dead.none()) }

// was tells whether an order is or was what a client was told.
func (o *order) was(status string) bool {
	switch schemas.OrderStatus(strings.ToUpper(status)) {
	case "", schemas.OrderStatusPending, schemas.OrderStatusCancelling:
		return true // on its way
	case schemas.OrderStatusConfirmed:
		return !o.confirmed.none()
	}
	return o.status.String() == status
}

func (s *settlement) settleHearings() {
	for _, h := range s.misheard {
		switch o := s.orders[h.order]; {
		case !o.exists() && !s.still:
			s.decided.UnderWay++
		case !o.exists():
			s.decided.Demand(false, h.at, "a client was told of %q, which does not exist", h.order)
		default:
			s.decided.Demand(o.was(h.status) || !s.still, h.at, "a client was told that %q is %s; its facts say %s", h.order, h.status, o.status)
		}
	}
}

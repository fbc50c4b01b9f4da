package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"oms/internal/kafka"
	"oms/proof/sandbox"
	"oms/schemas"
	"oms/topics"
)

// account is what one bookkeeper says of the payments.
type account struct {
	taken, declined int              // how often money was taken or set aside for an order, and how often that was declined
	held            int64            // of it, what was not given back, minor units
	charges         map[string]int64 // the same by order
	times           map[string]int   // how often for each order
	most            int              // the most of times
	curve           []point          // orders for which money is held
}

// point of a curve.
type point struct {
	at    time.Time
	value int
}

func newAccount() *account { return &account{charges: map[string]int64{}, times: map[string]int{}} }

func (a *account) take(order string, amount int64, at time.Time) {
	a.taken++
	a.times[order]++
	a.most = max(a.most, a.times[order])
	a.book(order, amount, at)
}

func (a *account) giveBack(order string, amount int64, at time.Time) { a.book(order, -amount, at) }

func (a *account) book(order string, amount int64, at time.Time) {
	a.held += amount
	if a.charges[order] += amount; a.charges[order] == 0 {
		delete(a.charges, order)
	}
	a.curve = append(a.curve, point{at, len(a.charges)})
}

// books are what the topics say in the end, counted plainly.
type books struct {
	payments *account
	created  int
	ended    map[string]int // orders by how they were decided: CONFIRMED, CANCELLED besides, OUT_OF_STOCK, PAYMENT_DECLINED, …
	holding  map[string]bool
	onHand   int64 // of the product that was moved last
	reserved int64
	most     int64   // ever reserved
	promised []point // units, of the only product
}

// readBooks reads the facts.
func readBooks(ctx context.Context, k kafka.Settings) (*books, error) {
	r, err := k.NewReader(ctx, kafka.From{}, topics.OrderEvents.Name, topics.PaymentEvents.Name, topics.InventoryEvents.Name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := &books{payments: newAccount(), ended: map[string]int{}, holding: map[string]bool{}}
	var paid []*schemas.PaymentProcessed
	err = r.ToEnd(ctx, func(rec *kafka.Record) error {
		switch m := schemas.Decode(rec.Value).(type) {
		case *schemas.OrderCreated:
			b.created++
		case *schemas.OrderConfirmed:
			b.ended["CONFIRMED"]++
			b.holding[m.OrderID] = true
		case *schemas.OrderRejected:
			b.ended[string(m.Reasons[0])]++
		case *schemas.OrderExpired:
			b.ended["EXPIRED"]++
		case *schemas.OrderCancelled:
			b.ended["CANCELLED"]++
			delete(b.holding, m.OrderID)
		case *schemas.InventoryUpdated:
			b.onHand, b.reserved = 0, 0
			for _, l := range m.Levels {
				b.onHand, b.reserved = b.onHand+l.OnHand, b.reserved+l.Reserved
			}
			b.most = max(b.most, b.reserved)
			b.promised = append(b.promised, point{time.UnixMilli(m.AtMS), int(b.reserved)})
		case *schemas.PaymentProcessed:
			paid = append(paid, m)
		}
		return nil
	})
	slices.SortStableFunc(paid, func(x, y *schemas.PaymentProcessed) int { return int(x.AtMS - y.AtMS) }) // they lie in several partitions
	for _, m := range paid {
		switch at := time.UnixMilli(m.AtMS); m.Outcome {
		case schemas.PaymentOutcomeAuthorized, schemas.PaymentOutcomeCaptured: // the orders here are never captured in a second step
			b.payments.take(m.OrderID, m.AmountMinor, at)
		case schemas.PaymentOutcomeVoided, schemas.PaymentOutcomeRefunded:
			b.payments.giveBack(m.OrderID, m.AmountMinor, at)
		case schemas.PaymentOutcomeDeclined:
			b.payments.declined++
		}
	}
	return b, err
}

// readLedger reads the provider's own book.
func readLedger(path string) (*account, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a := newAccount()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e sandbox.Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		at, err := time.Parse(time.RFC3339, e.At)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		switch e.Operation {
		case "AUTHORIZE", "CAPTURE":
			a.take(e.OrderID, e.AmountMinor, at)
		case "VOID", "REFUND":
			a.giveBack(e.OrderID, e.AmountMinor, at)
		case "DECLINE":
			a.declined++
		}
	}
	return a, nil
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/proof/workload"
	"oms/schemas"
	"oms/topics"
)

// catalogue is how many products a shop has: as many as the wholesaler that the workload is calibrated to.
const catalogue = 4_000

// plenty of units, so that no order is refused for want of stock.
const plenty = 1 << 40

const (
	decisionTimeout = 5 * time.Minute
	paymentTimeout  = 10 * time.Second
	// sealedAddress is the size of an address as the HTTP door seals it. Through the Kafka door it is noise: nobody can open it, and no machine looks.
	sealedAddress = 150
)

// placing is the command that the HTTP door would make of an order.
func placing(o workload.Order) *schemas.PlaceOrder {
	m := &schemas.PlaceOrder{
		Command: schemas.Command{CommandID: "cmd_" + o.Key, Tenant: schemas.DefaultTenant, Principal: "bench"},
		OrderID: "ord_" + o.Key, Fingerprint: []byte(o.Key), CustomerID: o.CustomerID, Currency: o.Currency,
		Lines:           make([]schemas.OrderLine, len(o.Lines)),
		ShippingAddress: make([]byte, sealedAddress),
		Payment:         schemas.PaymentIntent{Method: schemas.PaymentMethod(o.Payment.Method), Token: o.Payment.Token},
		Terms: schemas.OrderTerms{DecisionTimeoutMS: decisionTimeout.Milliseconds(), CancelTimeoutMS: decisionTimeout.Milliseconds(), PaymentTimeoutMS: paymentTimeout.Milliseconds(),
			PaymentTries: 1, PaymentProvider: "sandbox"},
	}
	for i, l := range o.Lines {
		m.Lines[i] = schemas.OrderLine{Line: int32(i + 1), ProductID: l.ProductID, Quantity: l.Quantity}
	}
	return m
}

// record carries a command with the headers that the HTTP door would give it.
func record(m schemas.Message) (*kgo.Record, error) {
	value, err := schemas.Encode(m)
	if err != nil {
		return nil, err
	}
	r := &kgo.Record{Topic: topics.Of(m).Name, Key: []byte(m.Key()), Value: value}
	for name, v := range topics.HeadersOf(m, "bench", time.Now().UnixMilli(), nil) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: v})
	}
	return r, nil
}

// producer gives the broker a few milliseconds of orders at a time, as a busy door would.
func (r *run) producer() (*kgo.Client, error) {
	return r.Kafka.NewProducer(kgo.ProducerLinger(2*time.Millisecond), kgo.MaxBufferedRecords(max(r.Window, 10_000)))
}

// shop opens the catalogue and waits until all of it is on sale.
func (r *run) shop(ctx context.Context, s workload.Shop) (*workload.Shop, error) {
	s.Seed, s.Prefix = r.Seed, r.prefix
	shop := workload.NewShop(s)
	r.say("%s: opening %d products", r.name, s.Products)
	facts, err := r.Kafka.NewReader(ctx, kafka.From{End: true}, topics.InventoryEvents.Name)
	if err != nil {
		return nil, err
	}
	defer facts.Close()
	cl, err := r.producer()
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	var failed error // written by the producer's promises, read after Flush
	for i := range s.Products {
		p := shop.Product(i)
		for _, m := range []schemas.Message{
			&schemas.AddProduct{Command: schemas.Command{CommandID: "add_" + p.ProductID, Tenant: schemas.DefaultTenant, Principal: "bench"}, ProductID: p.ProductID, Fingerprint: []byte("add"),
				Name: p.Name, Category: p.Category, PriceMinor: p.Price.AmountMinor, Currency: p.Price.Currency},
			&schemas.AdjustStock{Command: schemas.Command{CommandID: "set_" + p.ProductID, Tenant: schemas.DefaultTenant, Principal: "bench"}, ProductID: p.ProductID, Fingerprint: []byte("set"),
				Mode: schemas.AdjustModeSet, LocationID: "main", Quantity: s.OnHand, Reason: "opening"},
		} {
			rec, err := record(m)
			if err != nil {
				return nil, err
			}
			cl.Produce(ctx, rec, func(_ *kgo.Record, err error) { failed = errors.Join(failed, err) })
		}
	}
	if err := errors.Join(cl.Flush(ctx), failed); err != nil {
		return nil, fmt.Errorf("opening the catalogue: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the catalogue was not on sale within %s", patience))
	defer cancel()
	for open := 0; open < s.Products; {
		err := facts.Poll(ctx, func(rec *kgo.Record) error {
			if strings.Contains(string(rec.Key), r.prefix) {
				open++
			}
			return nil
		})
		if err != nil {
			return nil, errors.Join(err, context.Cause(ctx))
		}
	}
	return shop, nil
}

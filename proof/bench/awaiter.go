package bench

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/proof/workload"
	"oms/schemas"
)

// awaiter places orders through door kafka and waits for the decision of each.
type awaiter struct {
	producer *kgo.Client
	tally    *tally

	mu      sync.Mutex
	waiting map[string]chan schemas.OrderStatus // by order
}

func (r *run) awaiter(ctx context.Context) (*awaiter, error) {
	producer, err := r.Kafka.NewProducer(kgo.ProducerLinger(0)) // somebody waits for each
	if err != nil {
		return nil, err
	}
	a := &awaiter{producer: producer, waiting: map[string]chan schemas.OrderStatus{}}
	if a.tally, err = r.tally(ctx, r.Record, a.decided); err != nil {
		producer.Close()
		return nil, err
	}
	return a, nil
}

func (a *awaiter) close() {
	a.producer.Close()
	a.tally.close()
}

func (a *awaiter) decided(order string, status schemas.OrderStatus) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.waiting[order]; ok {
		delete(a.waiting, order)
		c <- status
	}
}

// order answers the status that the order's decision left it in.
func (a *awaiter) order(ctx context.Context, m *schemas.PlaceOrder) (string, error) {
	rec, err := record(m)
	if err != nil {
		return "", err
	}
	c := make(chan schemas.OrderStatus, 1)
	a.mu.Lock()
	a.waiting[m.OrderID] = c
	a.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errUndecided)
	defer cancel()
	if err := a.producer.ProduceSync(ctx, rec).FirstErr(); err != nil {
		return "", err
	}
	select {
	case status := <-c:
		return string(status), nil
	case err := <-a.tally.failed:
		return "", err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// kafkaLatency is what a program waits that places orders through door kafka and reads what became of them. On invoice, as others who are measured so ask no provider.
func kafkaLatency(ctx context.Context, r *run) (Result, error) {
	shop, err := r.shop(ctx, workload.Shop{Products: catalogue, OnHand: plenty})
	if err != nil {
		return Result{}, err
	}
	a, err := r.awaiter(ctx)
	if err != nil {
		return Result{}, err
	}
	defer a.close()
	return r.paced(ctx, invoiceMix, r.Rate, r.Warm, r.Duration, func(n int) (string, error) { return a.order(ctx, onInvoice(shop.Order(n))) })
}

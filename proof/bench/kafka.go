package bench

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/proof/workload"
	"oms/schemas"
)

// pour produces orders 0, 1, … and keeps at most Window of them undecided, until ctx ends or limit were placed (0: no limit). It answers how many were.
func (r *run) pour(ctx context.Context, t *tally, limit int, order func(n int) *schemas.PlaceOrder) (int64, error) {
	cl, err := r.producer()
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	var failed atomic.Pointer[error]
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.CompareAndSwap(nil, &err)
		}
	}
	placed := 0
	for ; limit == 0 || placed < limit; placed++ {
		if room := int64(placed - r.Window + 1); t.decided.Load() < room {
			// Waiting for a part of the window, not for one place in it: the generator then sleeps instead of spinning.
			if err := t.reach(ctx, room+int64(r.Window/10)); err != nil && ctx.Err() == nil {
				return 0, err
			}
		}
		if ctx.Err() != nil || failed.Load() != nil {
			break
		}
		rec, err := record(order(placed))
		if err != nil {
			return 0, err
		}
		cl.Produce(context.WithoutCancel(ctx), rec, promise)
	}
	err = cl.Flush(context.WithoutCancel(ctx))
	if f := failed.Load(); f != nil {
		err = errors.Join(err, *f)
	}
	return int64(placed), err
}

func retailThroughput(ctx context.Context, r *run) (Result, error) {
	return r.throughput(ctx, workload.Shop{Products: catalogue, OnHand: plenty}, retailMix, placing)
}

// invoiceThroughput is of orders that no provider has to be asked for.
func invoiceThroughput(ctx context.Context, r *run) (Result, error) {
	return r.throughput(ctx, workload.Shop{Products: catalogue, OnHand: plenty}, invoiceMix, onInvoice)
}

func wholesaleThroughput(ctx context.Context, r *run) (Result, error) {
	r.Window = max(1, r.Window/10) // an order has twenty times the lines, so a smaller window is as full
	return r.throughput(ctx, workload.Shop{Products: catalogue, OnHand: plenty, Wholesale: true}, "wholesale, 25.6 lines, card", placing)
}

const (
	retailMix  = "retail, 1.15 lines, card"
	invoiceMix = "retail, 1.15 lines, invoice"
)

// throughput places orders through door kafka as fast as they are decided.
func (r *run) throughput(ctx context.Context, s workload.Shop, mix string, placing func(workload.Order) *schemas.PlaceOrder) (Result, error) {
	shop, err := r.shop(ctx, s)
	if err != nil {
		return Result{}, err
	}
	return r.against(ctx, mix, r.Record, nil, func(ctx context.Context, t *tally) (int64, error) {
		return r.pour(ctx, t, 0, func(n int) *schemas.PlaceOrder { return placing(shop.Order(n)) })
	})
}

// against lets orders be placed while it measures, and then waits until all of them are decided. place ends with its context and counts in acknowledged what the client
// was told exists, where it is told.
func (r *run) against(ctx context.Context, mix string, record *workload.Record, acknowledged *atomic.Int64, place func(context.Context, *tally) (int64, error)) (Result, error) {
	t, err := r.tally(ctx, record, nil)
	if err != nil {
		return Result{}, err
	}
	defer t.close()
	start := r.usage()
	open, shut := context.WithCancel(ctx)
	defer shut()
	var placed int64
	var placing error
	var done sync.WaitGroup
	done.Go(func() {
		placed, placing = place(open, t)
		if placing == nil && open.Err() == nil {
			placing = errEarly
		}
		shut()
	})
	w, err := t.watch(open, r, acknowledged)
	shut()
	done.Wait()
	if placing != nil {
		return Result{}, placing
	}
	if err != nil {
		return Result{}, err
	}
	if err := t.reach(ctx, placed); err != nil {
		return Result{}, err
	}
	result := Result{Mix: mix, Orders: placed, Outcomes: t.outcomes()}
	w.into(&result)
	result.grown(start, r.usage(), placed)
	return result, nil
}

// fixed places a number of orders and measures from the first of them to the last decision. Then it lets the system rest before it looks at memory and disk.
func (r *run) fixed(ctx context.Context, mix string, orders int, order func(n int) *schemas.PlaceOrder, rest time.Duration) (Result, error) {
	t, err := r.tally(ctx, r.Record, nil)
	if err != nil {
		return Result{}, err
	}
	defer t.close()
	before, began := r.usage(), time.Now()
	placed, err := r.pour(ctx, t, orders, order)
	if err != nil {
		return Result{}, err
	}
	if err := t.reach(ctx, placed); err != nil {
		return Result{}, err
	}
	result := Result{Mix: mix, Orders: placed, Outcomes: t.outcomes(), Seconds: time.Unix(0, t.lastNano.Load()).Sub(began).Seconds()}
	result.PerSecond = float64(t.confirmed()) / result.Seconds
	result.spent(before, r.usage(), placed)
	if err := sleep(ctx, rest, func() { r.say("%s: at rest", r.name) }); err != nil {
		return Result{}, err
	}
	result.grown(before, r.usage(), placed)
	return result, nil
}

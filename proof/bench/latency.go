package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"oms/proof/workload"
	"oms/schemas"
)

// schedule is an open loop: request n is meant to be sent at n/rate, whether or not those before it were answered. Its latency counts from then, so a stall of the system
// is felt by every request that it held up, also by those that could not be sent meanwhile.
type schedule struct {
	rate    int // requests per second
	total   int
	warm    int // of the total, sent first and not counted
	workers int // requests under way at most; more wait, with their clocks running
}

// run sends and answers the latencies, in microseconds. The first error ends it.
func (s schedule) run(ctx context.Context, send func(n int) error) (*hdr.Histogram, error) {
	type due struct {
		n     int
		meant time.Time
	}
	queue := make(chan due, s.total) // never full: the clock does not wait for the workers
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	each := make([]*hdr.Histogram, s.workers) // one a worker, so that they do not meet
	var all sync.WaitGroup
	for w := range each {
		each[w] = newHistogram()
		all.Go(func() {
			for d := range queue {
				if ctx.Err() != nil {
					continue
				}
				if err := send(d.n); err != nil {
					cancel(err)
					continue
				}
				if d.n >= s.warm {
					_ = each[w].RecordValue(min(max(1, time.Since(d.meant).Microseconds()), each[w].HighestTrackableValue()))
				}
			}
		})
	}
	start := time.Now()
	for n := range s.total {
		meant := start.Add(time.Duration(n) * time.Second / time.Duration(s.rate))
		time.Sleep(time.Until(meant))
		if ctx.Err() != nil {
			break
		}
		queue <- due{n, meant}
	}
	close(queue)
	all.Wait()
	for _, h := range each[1:] {
		each[0].Merge(h)
	}
	return each[0], context.Cause(ctx)
}

// connections of the open loop: more than a system that keeps up will ever need.
const connections = 512

// latency is what a client waits that asks for the decision, at a rate that the system can bear.
func latency(ctx context.Context, r *run) (Result, error) {
	s := workload.Shop{Products: catalogue, OnHand: plenty}
	shop, err := r.shop(ctx, s)
	if err != nil {
		return Result{}, err
	}
	return r.posted(ctx, shop, retailMix, r.Rate, r.Warm, r.Duration, 0)
}

// posted is paced with orders of the shop that are posted over HTTP, beginning with the one of number first.
func (r *run) posted(ctx context.Context, shop *workload.Shop, mix string, rate int, warm, duration time.Duration, first int) (Result, error) {
	d, err := r.door(connections)
	if err != nil {
		return Result{}, err
	}
	defer d.close()
	return r.paced(ctx, mix, rate, warm, duration, func(n int) (string, error) { return d.order(shop.Order(first+n), fmt.Sprintf("wait=%d", waitSeconds)) })
}

// paced lets orders 0, 1, … be placed at the rate. order answers the status after the decision.
func (r *run) paced(ctx context.Context, mix string, rate int, warm, duration time.Duration, order func(n int) (status string, err error)) (Result, error) {
	plan := schedule{rate: rate, warm: int(warm.Seconds() * float64(rate)), workers: connections}
	plan.total = plan.warm + max(1, int(duration.Seconds()*float64(rate)))
	var outcomes sync.Map // status as answered: *atomic.Int64
	var done atomic.Int64
	var before usage
	var began time.Time
	shares := func() (map[string]float64, error) { return nil, nil }
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	warmed := max(0, plan.warm-1) // its latency does not count
	start := r.usage()
	h, err := plan.run(ctx, func(n int) error {
		if n == warmed {
			before, began = r.usage(), time.Now()
			shares = r.watchShares(ctx, int(duration.Seconds()))
		}
		status, err := order(n)
		if err != nil {
			return err
		}
		count, _ := outcomes.LoadOrStore(status, new(atomic.Int64))
		count.(*atomic.Int64).Add(1)
		if k := done.Add(1); k%int64(rate) == 0 {
			r.say("%s: %d of %d orders at %d/s", r.name, k, plan.total, rate)
		}
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	result := Result{Mix: mix, Rate: rate, Orders: int64(plan.total), Outcomes: map[string]int64{}, Latency: percentiles(h), Seconds: time.Since(began).Seconds()}
	if result.Shares, err = shares(); err != nil {
		return result, err
	}
	outcomes.Range(func(status, count any) bool {
		result.Outcomes[status.(string)] = count.(*atomic.Int64).Load()
		return true
	})
	share := float64(result.Outcomes[string(schemas.OrderStatusConfirmed)]) / float64(plan.total)
	result.PerSecond = share * float64(plan.total-plan.warm) / result.Seconds
	after := r.usage()
	result.spent(before, after, int64(plan.total-plan.warm))
	result.grown(start, after, int64(plan.total))
	return result, nil
}

const (
	ladderFirst = 250 // orders per second of the first step; each next step doubles it
	ladderSteps = 8
	ladderTime  = 5 * time.Second
	knee        = 1_000.0 // ms at the 99th percentile: beyond it the queue grows
)

// ladder raises the rate until the system does not keep up.
func ladder(ctx context.Context, r *run) (Result, error) {
	s := workload.Shop{Products: catalogue, OnHand: plenty}
	shop, err := r.shop(ctx, s)
	if err != nil {
		return Result{}, err
	}
	result, began, first := Result{Mix: retailMix}, time.Now(), 0
	for i := range ladderSteps {
		step, err := r.posted(ctx, shop, "", ladderFirst<<i, ladderTime/5, ladderTime, first)
		if err != nil {
			return result, err
		}
		first += int(step.Orders)
		result.Orders += step.Orders
		result.Steps = append(result.Steps, step)
		if step.Latency.P99 > knee {
			break
		}
	}
	result.Seconds = time.Since(began).Seconds()
	return result, nil
}

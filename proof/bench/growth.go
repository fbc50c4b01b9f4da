package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"oms/proof/chaos"
	"oms/proof/workload"
	"oms/schemas"
)

// few orders are held at first; ten times as many at each next step.
const few = 1_000

// Step of a growth: what an order costs while so many are held.
type Step struct {
	Held        int     `json:"held"`   // when the step began
	Orders      int     `json:"orders"` // that were measured
	PerSecond   float64 `json:"per_second"`
	ServerCPUMS float64 `json:"server_cpu_ms_per_order"`
	ResidentMiB float64 `json:"resident_mib"`
}

// Recovery of a system whose state was lost.
type Recovery struct {
	Without float64 `json:"without_state_seconds"` // of a start with the state directory deleted, until orders can flow
	With    float64 `json:"with_state_seconds"`    // of one with everything there
}

const heldMix = invoiceMix + ", all live"

// hold places the orders of the shop from first on, on invoice: each is confirmed and none shipped.
func (r *run) hold(ctx context.Context, shop *workload.Shop, first, orders int, rest time.Duration) (Result, error) {
	return r.fixed(ctx, heldMix, orders, func(n int) *schemas.PlaceOrder { return onInvoice(shop.Order(first + n)) }, rest)
}

// growth holds more and more orders and measures the next ones at each power of ten.
func growth(ctx context.Context, r *run) (Result, error) {
	shop, err := r.shop(ctx, workload.Shop{Products: catalogue, OnHand: plenty})
	if err != nil {
		return Result{}, err
	}
	result, held, start := Result{Mix: heldMix}, 0, r.usage()
	for mark := few; mark <= max(r.Live, few); mark *= 10 {
		if _, err := r.hold(ctx, shop, held, mark-held, 0); err != nil {
			return result, err
		}
		if err := r.rest(ctx, r.PID); err != nil { // what the orders before have left to be done is not of the next ones
			return result, err
		}
		sample := min(max(mark, 8_000), 200_000)
		one, err := r.hold(ctx, shop, mark, sample, 0)
		if err != nil {
			return result, err
		}
		if one.ServerCPUMS == 0 {
			return result, errors.New("the processor time of the system cannot be measured: use --self or --pid")
		}
		held = mark + sample
		result.Growth = append(result.Growth, Step{Held: mark, Orders: sample, PerSecond: one.PerSecond, ServerCPUMS: one.ServerCPUMS, ResidentMiB: one.ResidentMiB})
		r.say("%s: %d orders are held, the next cost %.3f ms each", r.name, mark, one.ServerCPUMS)
	}
	result.Orders = int64(held)
	result.grown(start, r.usage(), result.Orders)
	return result, nil
}

// recovery deletes the state of a system of its own and starts it again. A start before it is not counted: it compacts the tables, and those after it find that done.
func recovery(ctx context.Context, r *run) (result Result, err error) {
	if r.Binary == "" {
		return result, errors.New("it starts systems of its own: use --self")
	}
	dir, err := os.MkdirTemp("", "oms-bench-")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	err = r.with(ctx, dir, []string{"--no-analytics"}, func(*chaos.Process) error {
		shop, err := r.shop(ctx, workload.Shop{Products: catalogue, OnHand: plenty})
		if err == nil {
			result, err = r.hold(ctx, shop, 0, r.Live, 0)
		}
		return err
	})
	if err != nil {
		return result, err
	}
	again := func() (seconds float64, err error) {
		began := time.Now()
		err = r.with(ctx, dir, []string{"--no-analytics"}, func(*chaos.Process) error {
			seconds = time.Since(began).Seconds()
			return nil
		})
		return seconds, err
	}
	result.Recovery = &Recovery{}
	if _, err := again(); err != nil {
		return result, err
	}
	if result.Recovery.With, err = again(); err != nil {
		return result, err
	}
	if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
		return result, err
	}
	result.Recovery.Without, err = again()
	return result, err
}

// growthRows draw the curve: a bar is what an order costs, and the first is 20 wide.
func (r Result) growthRows(row func(what, format string, args ...any)) {
	const width = 20
	for _, s := range r.Growth {
		times := s.ServerCPUMS / r.Growth[0].ServerCPUMS
		row("held", "%10d  %.3f ms an order, %.2f × the first, %6.0f orders/s, %5.0f MiB  %s", s.Held, s.ServerCPUMS, times, s.PerSecond, s.ResidentMiB, strings.Repeat("█", int(times*width+0.5)))
	}
	if r.Recovery != nil {
		row("recovery", "%.1f s until orders can flow again with the state of %d orders deleted, %.1f s with it", r.Recovery.Without, r.Orders, r.Recovery.With)
	}
}

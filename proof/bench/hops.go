package bench

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/proof/workload"
	"oms/schemas"
	"oms/topics"
)

type step struct {
	kind schemas.Kind // of the record that ends the hop; none: the answer ends it
	hop  string
}

// The way of a card's order from the client and back: who works on it until the next record of it can be read by everybody.
var way = []step{
	{schemas.KindPlaceOrder, "ingest: a command"},
	{schemas.KindReserveStock, "orders: a reservation is asked for"},
	{schemas.KindStockReply, "products: stock is taken"},
	{schemas.KindAuthorizePayment, "orders: a payment is asked for"},
	{schemas.KindPaymentReply, "gateway: the provider has answered"},
	{schemas.KindOrderConfirmed, "orders: a fact"},
	{hop: "views: the client is answered"},
}

// Hop of an order's way, from when the record before it could be read to when its own could.
type Hop struct {
	Name string  `json:"name"`
	Mean float64 `json:"mean_ms"`
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
}

// Phase of a group's transactions, as the system measures it.
type Phase struct {
	Group   string             `json:"group"`
	Second  float64            `json:"transactions_per_second"`
	Records float64            `json:"records_per_transaction"`
	Mean    map[string]float64 `json:"mean_ms"` // steps, flush, end, store
}

// moments of an order: when it was sent, when the record that ends each hop was first read, and when it was answered.
type moments [8]time.Time

// hops watches where orders are on their way.
type hops struct {
	reader *kafka.Reader

	mu  sync.Mutex
	all map[string]*moments // by order
}

// follow reads until ctx ends.
func (h *hops) follow(ctx context.Context) error {
	for {
		if err := h.reader.Poll(ctx, h.take); err != nil {
			return err
		}
	}
}

func (h *hops) take(rec *kgo.Record) error {
	m := schemas.Decode(rec.Value) // what rooms say among themselves has its kind nowhere else
	at := slices.IndexFunc(way[:len(way)-1], func(w step) bool { return w.kind == m.Kind() })
	if at < 0 {
		return nil
	}
	order := m.Key()
	if ask, ok := m.(*schemas.ReserveStock); ok {
		order = ask.OrderID
	}
	h.note(order, at+1, time.Now())
	return nil
}

// note a moment of an order; of several lines' replies the last one counts, which lets the order go on.
func (h *hops) note(order string, at int, when time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	times := h.all[order]
	if times == nil {
		times = new(moments)
		h.all[order] = times
	}
	times[at] = when
}

// answered notes both ends.
func (h *hops) answered(order string, sent time.Time) {
	now := time.Now()
	h.note(order, 0, sent)
	h.note(order, len(way), now)
}

// measured are the hops of the orders sent since, of those that went the whole way.
func (h *hops) measured(since time.Time) []Hop {
	h.mu.Lock()
	defer h.mu.Unlock()
	each := make([]*hdr.Histogram, len(way))
	for i := range each {
		each[i] = newHistogram()
	}
	for _, times := range h.all {
		if times[0].Before(since) || slices.ContainsFunc(times[:], time.Time.IsZero) {
			continue
		}
		for i := range way { // the client may be answered before the fact is read here
			_ = each[i].RecordValue(max(1, times[i+1].Sub(times[i]).Microseconds()))
		}
	}
	if each[0].TotalCount() == 0 {
		return nil
	}
	var all []Hop
	for i, w := range way {
		l := percentiles(each[i])
		all = append(all, Hop{w.hop, each[i].Mean() / 1000, l.P50, l.P99})
	}
	return all
}

// hopByHop sends orders at a rate that the system can bear and tells where their time goes.
func hopByHop(ctx context.Context, r *run) (Result, error) {
	s := workload.Shop{Products: catalogue, OnHand: plenty}
	shop, err := r.shop(ctx, s)
	if err != nil {
		return Result{}, err
	}
	h := &hops{all: map[string]*moments{}}
	h.reader, err = r.Kafka.NewReader(ctx, kafka.From{End: true}, topics.OrderCommands.Name, topics.ProductCommands.Name, topics.PaymentRequests.Name, topics.OrderEvents.Name)
	if err != nil {
		return Result{}, err
	}
	defer h.reader.Close()
	reading, stop := context.WithCancel(ctx)
	failed := make(chan error, 1)
	go func() { failed <- h.follow(reading) }()
	r.hops = h
	warmed := make(chan counted, 1)
	warm := time.AfterFunc(r.Warm, func() { warmed <- r.transactions(ctx) })
	defer warm.Stop()
	result, err := r.posted(ctx, shop, retailMix, r.Rate, r.Warm, r.Duration, 0)
	stop()
	if ended := <-failed; err == nil && !errors.Is(ended, context.Canceled) {
		err = ended
	}
	if err != nil {
		return result, err
	}
	from, to := <-warmed, r.transactions(ctx)
	if err := errors.Join(from.err, to.err); err != nil {
		return result, err
	}
	result.Phases, result.Hops = to.since(from), h.measured(from.at)
	if result.Hops == nil {
		return result, errors.New("no order was seen on its whole way")
	}
	return result, nil
}

func (c counted) since(before counted) (all []Phase) {
	for group, phases := range c.parts {
		p := Phase{Group: group, Mean: map[string]float64{}}
		for name, now := range phases {
			was := before.parts[group][name]
			n := now[1] - was[1]
			if n == 0 {
				continue
			}
			if mean := (now[0] - was[0]) / n; name == "records" {
				p.Records, p.Second = mean, n/c.at.Sub(before.at).Seconds()
			} else {
				p.Mean[name] = 1000 * mean
			}
		}
		if p.Second > 0 {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b Phase) int { return strings.Compare(a.Group, b.Group) })
	return all
}

// hopRows draws the way: a bar is the mean's share of the whole.
func (r Result) hopRows(row func(what, format string, args ...any)) {
	const width = 40
	var whole float64
	for _, h := range r.Hops {
		whole += h.Mean
	}
	for _, h := range r.Hops {
		row("hop", "%-36s %6.1f p50 %6.1f p99 ms  %s", h.Name, h.P50, h.P99, strings.Repeat("█", int(h.Mean/whole*width+0.5)))
	}
	for _, p := range r.Phases {
		row("transactions", "%s: %.0f/s of %.1f records; steps %.1f, flush %.1f, end %.1f, store %.1f ms", p.Group, p.Second, p.Records, p.Mean["steps"], p.Mean["flush"], p.Mean["end"], p.Mean["store"])
	}
}

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"oms/proof/workload"
)

// door is a lean client of the HTTP server: it shares the processors with what it measures.
type door struct {
	client *fasthttp.HostClient
	record *workload.Record
	hops   *hops // nil: not watched
}

// waitSeconds is how long a client of the latency scenario lets the server wait for a decision.
const waitSeconds = 5

func (r *run) door(connections int) (*door, error) {
	u, err := url.Parse(r.Server)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("server: %q: want http://HOST:PORT", r.Server)
	}
	return &door{record: r.Record, hops: r.hops, client: &fasthttp.HostClient{Addr: u.Host, MaxConns: connections, ReadTimeout: patience, MaxIdleConnDuration: time.Minute}}, nil
}

func (d *door) close() { d.client.CloseIdleConnections() }

// post sends a body and hands the answer to take, which must not keep it.
func (d *door) post(path, key, prefer string, body []byte, take func(code int, body []byte) error) error {
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.SetRequestURI("http://" + d.client.Addr + path)
	req.Header.SetContentType("application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if prefer != "" {
		req.Header.Set("Prefer", prefer)
	}
	req.SetBodyRaw(body)
	if err := d.client.Do(req, res); err != nil {
		return err
	}
	return take(res.StatusCode(), res.Body())
}

// answered is what a client reads of an order.
type answered struct {
	OrderID string `json:"order_id"`
	Status  string `json:"status"`
	Version int64  `json:"version"`
}

// order places one order and answers its status; an answer that is no order is an error.
func (d *door) order(o workload.Order, prefer string) (status string, err error) {
	doc, err := o.Document()
	if err != nil {
		return "", err
	}
	sent := time.Now()
	err = d.post("/api/orders", doc.Key, prefer, doc.Body, func(code int, body []byte) error {
		if code != fasthttp.StatusCreated && code != fasthttp.StatusOK {
			return fmt.Errorf("POST /api/orders was answered %d: %.300s", code, body)
		}
		var a answered
		if d.record != nil || prefer != "" {
			if err := json.Unmarshal(body, &a); err != nil {
				return fmt.Errorf("the answer to POST /api/orders: %w", err)
			}
		}
		if status = a.Status; d.hops != nil {
			d.hops.answered(a.OrderID, sent)
		}
		d.tell(doc.Key, doc.Body, code, a)
		return nil
	})
	return status, err
}

func (d *door) tell(key string, body []byte, code int, a answered) {
	if d.record != nil {
		d.record.Add(workload.Told{Key: key, Asked: "place", Request: workload.Digest(body), HTTP: code, OrderID: a.OrderID, Status: a.Status, Version: a.Version})
	}
}

// batch places many orders in one request and answers how many of them exist.
func (d *door) batch(orders []workload.Order) (placed int64, err error) {
	body, err := json.Marshal(map[string]any{"orders": orders})
	if err != nil {
		return 0, err
	}
	err = d.post("/api/orders:batch", "", "", body, func(code int, body []byte) error {
		var a struct {
			Results []struct {
				Status int             `json:"status"`
				Order  json.RawMessage `json:"order"`
			} `json:"results"`
		}
		if err := json.Unmarshal(body, &a); code != fasthttp.StatusOK || err != nil {
			return fmt.Errorf("POST /api/orders:batch was answered %d: %.300s", code, body)
		}
		for i, item := range a.Results {
			if item.Status != fasthttp.StatusCreated {
				return fmt.Errorf("order %s of a batch was answered %d", orders[i].Key, item.Status)
			}
			if placed++; d.record != nil {
				var told answered
				doc, err := orders[i].Document()
				if err == nil {
					err = json.Unmarshal(item.Order, &told)
				}
				if err != nil {
					return err
				}
				d.tell(doc.Key, doc.Body, item.Status, told)
			}
		}
		return nil
	})
	return placed, err
}

// batchSize is the most orders that the server takes at once.
const batchSize = 100

func singlePosts(ctx context.Context, r *run) (Result, error) {
	return r.posts(ctx, r.Workers, 1, func(d *door, shop *workload.Shop, n int) (int64, error) {
		_, err := d.order(shop.Order(n), "")
		return 1, err
	})
}

func batchPosts(ctx context.Context, r *run) (Result, error) {
	return r.posts(ctx, max(1, r.Workers/8), batchSize, func(d *door, shop *workload.Shop, n int) (int64, error) {
		orders := make([]workload.Order, batchSize)
		for i := range orders {
			orders[i] = shop.Order(n + i)
		}
		return d.batch(orders)
	})
}

// posts lets workers send one request after the other, each with the next size orders.
func (r *run) posts(ctx context.Context, workers, size int, send func(d *door, shop *workload.Shop, n int) (int64, error)) (Result, error) {
	s := workload.Shop{Products: catalogue, OnHand: plenty}
	shop, err := r.shop(ctx, s)
	if err != nil {
		return Result{}, err
	}
	d, err := r.door(workers)
	if err != nil {
		return Result{}, err
	}
	defer d.close()
	var acknowledged atomic.Int64
	return r.against(ctx, retailMix+", "+strconv.Itoa(workers)+" clients", nil, &acknowledged, func(ctx context.Context, t *tally) (int64, error) {
		var next atomic.Int64
		var failed atomic.Pointer[error]
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for ctx.Err() == nil && failed.Load() == nil {
					n, err := send(d, shop, int(next.Add(int64(size)))-size)
					if acknowledged.Add(n); err != nil {
						failed.CompareAndSwap(nil, &err)
					}
				}
			})
		}
		all.Wait()
		if f := failed.Load(); f != nil {
			return 0, *f
		}
		return acknowledged.Load(), nil
	})
}

package load

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"oms/proof/workload"
)

// outcome is how a document ended.
type outcome struct {
	name     string // CONFIRMED, REJECTED:OUT_OF_STOCK, REFUSED:KEY_REUSED, ADJUSTED …
	detail   string // of a refusal
	replayed bool   // the server had done it before
}

const undecided = "UNDECIDED"

// order is the server's word on an order.
type order struct {
	OrderID  string   `json:"order_id"`
	Status   string   `json:"status"`
	Version  int64    `json:"version"`
	PlacedAt string   `json:"placed_at"`
	Reasons  []string `json:"reasons"`
	Lines    []struct {
		Line      int32  `json:"line"`
		ProductID string `json:"product_id"`
		Quantity  int64  `json:"quantity"`
	} `json:"lines"`
}

// decided tells whether the order waits for nothing but its shop or its buyer.
func (o order) decided() bool {
	return o.Status != "" && o.Status != "PENDING" && o.Status != "CANCELLING"
}

func (o order) outcome() string {
	if o.Status == "REJECTED" && len(o.Reasons) > 0 {
		return o.Status + ":" + o.Reasons[0]
	}
	return o.Status
}

// told is the line of the record for an answer; o is its body when it is an order.
func told(d workload.Document, asked string, a answer, o order) workload.Told {
	t := workload.Told{Key: d.Key, Asked: asked, HTTP: a.code, OrderID: o.OrderID, PlacedAt: o.PlacedAt, Status: o.Status, Version: o.Version, Replayed: a.replayed}
	if asked == "place" {
		t.Request = workload.Digest(d.Body)
	}
	if len(o.Lines) > 0 {
		b, _ := json.Marshal(o.Lines) // of numbers and text: it cannot fail
		t.Lines = workload.Digest(b)
	}
	if a.code >= 400 {
		t.Code = a.problem().Code
	}
	return t
}

// refused is the outcome of a request that the server does not accept.
func refused(a answer) outcome {
	p := a.problem()
	return outcome{name: "REFUSED:" + p.Code, detail: p.text(), replayed: a.replayed}
}

// place puts an order and follows it until it is decided.
func (r *run) place(ctx context.Context, d workload.Document) (out outcome) {
	t := r.ticket(d.Key)
	if t == nil {
		t = &placed{done: make(chan struct{})}
	}
	defer close(t.done)
	if !fits(d.Key) {
		return r.local(d, "REFUSED:BAD_KEY", "idempotency_key: must be printable ASCII without a space at either end")
	}
	return r.ordering(ctx, d, "place", "/api/orders", d.Body, t)
}

// ordering sends a command to an order under the document's key and follows the order until it is decided. An order that was accepted and does not come to light is
// asked for again with the same key: the answer may have been given before it was safe to see.
func (r *run) ordering(ctx context.Context, d workload.Document, asked, path string, body []byte, t *placed) outcome {
	for {
		a, err := r.client.call(ctx, http.MethodPost, path, d.Key, body)
		var o order
		if err == nil && a.code < 300 {
			_ = json.Unmarshal(a.body, &o) // a body that is no order has no id, and is asked for again
		}
		line := told(d, asked, a, o)
		var out outcome
		switch {
		case err != nil:
			out = outcome{name: undecided}
		case a.code >= 300:
			out = refused(a)
		case o.decided():
			out = outcome{name: o.outcome(), replayed: a.replayed}
		}
		t.orderID = o.OrderID
		line.Outcome = out.name
		if a.code > 0 || out.name != "" {
			r.Record.Add(line)
		}
		if out.name != "" {
			return out
		}
		if o.OrderID == "" {
			if !pause(ctx, 10) {
				return r.local(d, undecided, "")
			}
			continue
		}
		if followed := r.follow(ctx, d, o.OrderID); followed.name != "" {
			followed.replayed = a.replayed
			return followed
		}
	}
}

// followTries bounds how long an accepted order is looked for before it is asked for again: about 15 s.
const followTries = 16

// follow reads the order until it is decided; an outcome without a name when it is not in time.
func (r *run) follow(ctx context.Context, d workload.Document, orderID string) outcome {
	for try := range followTries {
		if !pause(ctx, try) {
			return r.local(d, undecided, "")
		}
		a, err := r.client.call(ctx, http.MethodGet, "/api/orders/"+url.PathEscape(orderID), "", nil)
		var o order
		if err != nil || a.code != http.StatusOK || json.Unmarshal(a.body, &o) != nil || !o.decided() {
			continue
		}
		line := told(d, "get", a, o)
		line.Outcome = o.outcome()
		r.Record.Add(line)
		return outcome{name: line.Outcome}
	}
	return outcome{}
}

// local is an outcome that no server gave.
func (r *run) local(d workload.Document, name, detail string) outcome {
	r.Record.Add(workload.Told{Key: d.Key, Asked: "nothing", Outcome: name})
	return outcome{name: name, detail: detail}
}

// open adds a product and its first stock. A product that is there already keeps what it has.
func (r *run) open(ctx context.Context, d workload.Document) outcome {
	a, err := r.once(ctx, d, "open", http.MethodPost, "/api/products", d.Key, d.Body)
	switch {
	case err != nil:
		return r.local(d, undecided, "")
	case a.code >= 300 && a.problem().Code != "PRODUCT_EXISTS":
		return refused(a)
	}
	out := outcome{name: "OPENED", replayed: a.replayed || a.code >= 300}
	if d.OnHand == 0 {
		return out
	}
	path := "/api/inventory/" + url.PathEscape(d.ProductID)
	if out.replayed {
		if a, err = r.client.call(ctx, http.MethodGet, path, "", nil); err != nil {
			return r.local(d, undecided, "")
		}
		var stock struct {
			Locations []json.RawMessage `json:"locations"`
		}
		if a.code == http.StatusOK && json.Unmarshal(a.body, &stock) == nil && len(stock.Locations) > 0 {
			return out
		}
	}
	body, _ := json.Marshal(map[string]int64{"on_hand": d.OnHand}) // of a number: it cannot fail
	if a, err = r.once(ctx, d, "stock", http.MethodPut, path, d.Key, body); err != nil {
		return r.local(d, undecided, "")
	}
	if a.code >= 300 {
		return refused(a)
	}
	return out
}

// adjust takes units off the stock or adds some.
func (r *run) adjust(ctx context.Context, d workload.Document) outcome {
	body, _ := json.Marshal(map[string]any{"quantity": d.Delta, "reason": d.Reason}) // of a number and text: it cannot fail
	a, err := r.once(ctx, d, "adjust", http.MethodPost, "/api/inventory/"+url.PathEscape(d.ProductID)+"/adjust", d.Key, body)
	var out outcome
	switch {
	case err != nil:
		out = outcome{name: undecided}
	case a.code >= 300:
		out = refused(a)
	default:
		out = outcome{name: "ADJUSTED", replayed: a.replayed}
	}
	r.Record.Add(workload.Told{Key: d.Key, Asked: "adjust", HTTP: a.code, Replayed: a.replayed, Outcome: out.name})
	return out
}

// once asks until the command is done or refused: while the answer is 202 it is repeated with its key.
func (r *run) once(ctx context.Context, d workload.Document, asked, method, path, key string, body []byte) (answer, error) {
	for try := 0; ; try++ {
		a, err := r.client.call(ctx, method, path, key, body)
		if err != nil || a.code != http.StatusAccepted {
			return a, err
		}
		r.Record.Add(workload.Told{Key: d.Key, Asked: asked, HTTP: a.code})
		if !pause(ctx, try) {
			return a, errUndecided
		}
	}
}

// cancel cancels the order of an earlier document, once that is decided.
func (r *run) cancel(ctx context.Context, d workload.Document) outcome {
	t := r.ticket(d.Of)
	if t == nil {
		return r.local(d, "REFUSED:NO_SUCH_DOCUMENT", "the document "+d.Of+" did not come before")
	}
	select {
	case <-t.done:
	case <-ctx.Done():
		return r.local(d, undecided, "")
	}
	if t.orderID == "" {
		return r.local(d, "REFUSED:NO_SUCH_ORDER", "the document "+d.Of+" placed no order")
	}
	body, _ := json.Marshal(map[string]string{"note": d.Reason}) // of text: it cannot fail
	return r.ordering(ctx, d, "cancel", "/api/orders/"+url.PathEscape(t.orderID)+"/cancel", body, &placed{})
}

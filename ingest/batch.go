package ingest

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"oms/internal/web"
)

const maxBatch = 100

// batchBody is POST /api/orders:batch. Each item is checked by itself, so that a bad one does not spoil the others.
type batchBody struct {
	Orders []jsontext.Value `json:"orders"`
}

func (b *batchBody) check(f *web.Faults) {
	if n := len(b.Orders); n < 1 || n > maxBatch {
		f.Add("/orders", web.CodeInvalid, "must be 1 to "+strconv.Itoa(maxBatch)+" orders, are "+strconv.Itoa(n), "")
	}
}

// itemBody is an order with its own key.
type itemBody struct {
	IdempotencyKey *string `json:"idempotency_key,omitzero"`
	orderBody
}

func (b *itemBody) check(f *web.Faults) {
	if b.IdempotencyKey != nil && !validKey(*b.IdempotencyKey) {
		f.Add("/idempotency_key", web.CodeInvalid, keyRule, *b.IdempotencyKey)
	}
	b.orderBody.check(f)
}

// itemAnswer is what one order of a batch hears: as POST /api/orders would have answered.
type itemAnswer struct {
	Status         int             `json:"status"`
	IdempotencyKey string          `json:"idempotency_key,omitempty"`
	OrderID        string          `json:"order_id,omitempty"`
	Location       string          `json:"location,omitempty"`
	Replayed       bool            `json:"replayed,omitempty"`
	Order          json.RawMessage `json:"order,omitempty"`
	Problem        *web.Problem    `json:"problem,omitempty"`
}

func (s *Server) placeOrders(c *fiber.Ctx) error {
	who, err := from(c, ScopeOrdersWrite)
	if err != nil {
		return err
	}
	if who.key != "" { // ignored, it would be a promise that a repetition breaks
		return web.BadHeader("Idempotency-Key", who.key, "a batch has none: each of its orders has its own idempotency_key")
	}
	raw, err := web.Body(c)
	if err != nil {
		return err
	}
	var batch batchBody
	// The outside only: card numbers and the like are for each item to find.
	if p := web.Decode(raw, &batch, "", nil, nil); p != nil {
		return p
	}
	var faults web.Faults
	if batch.check(&faults); len(faults) > 0 {
		return faults.Problem()
	}
	answers := make([]itemAnswer, len(batch.Orders))
	flights := make([]*flight, len(batch.Orders))
	for i, item := range batch.Orders {
		flights[i], answers[i] = s.startItem(who, item, "/orders/"+strconv.Itoa(i))
	}
	for i, f := range flights {
		if f == nil {
			continue
		}
		r, err := f.finish(who.prefer)
		if err != nil {
			r.problem = s.fault(err)
		}
		answers[i].settle(f.cmd, r)
	}
	out, err := json.Marshal(struct {
		Results []itemAnswer `json:"results"`
	}{answers})
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(out)
}

// fault is a failure of ours as one item's answer: the orders beside it may be in the log, and their clients must hear so.
func (s *Server) fault(err error) *web.Problem {
	p := web.ProblemOf(err)
	if p.Code == web.CodeInternal {
		s.cfg.Log.Error("an order of a batch failed", "error", err)
	}
	return p
}

// startItem sends one order; a nil flight means that the answer stands already.
func (s *Server) startItem(who caller, raw []byte, pointer string) (*flight, itemAnswer) {
	var item itemBody
	if p := parse(raw, &item, pointer); p != nil {
		return nil, itemAnswer{Status: p.Status, Problem: p}
	}
	who.key = unique("key_")
	if item.IdempotencyKey != nil {
		who.key = *item.IdempotencyKey
	}
	cmd, err := s.placing(who, &item.orderBody, pointer)
	if err != nil {
		p := s.fault(err)
		return nil, itemAnswer{Status: p.Status, IdempotencyKey: who.key, Problem: p}
	}
	return s.send(cmd, who.trace), itemAnswer{}
}

func (a *itemAnswer) settle(cmd *command, r reply) {
	a.IdempotencyKey = cmd.key
	if r.problem != nil {
		a.Status, a.Problem = r.problem.Status, r.problem
		return
	}
	a.Status, a.Replayed, a.OrderID, a.Location = r.status, r.replayed, cmd.pending.OrderID, cmd.pending.Location
	if r.status != http.StatusAccepted {
		a.Order = r.document.Body
	}
}

package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/web"
	"oms/schemas"
	"oms/topics"
)

// command is one command of the border with everything that its answer needs.
type command struct {
	message     schemas.Message // names commandID and fingerprint too
	id          string
	fingerprint []byte
	family      string // what the row is, in words
	created     int    // status of success: 201 or 200
	pending     pending
	key         string // Idempotency-Key that an unclear answer gives back
	show        func(ctx context.Context, version int64, decided bool) (web.Document, error)
}

// pending is the body of a 202: the command is in the log, and what became of it is found at the location.
type pending struct {
	OrderID        string `json:"order_id,omitzero"`
	ProductID      string `json:"product_id,omitzero"`
	CustomerID     string `json:"customer_id,omitzero"`
	Location       string `json:"location"`
	IdempotencyKey string `json:"idempotency_key,omitzero"`
}

// flight is a command that was given to Kafka.
type flight struct {
	s     *Server
	cmd   *command
	start time.Time
	acked chan error
	wait  *waiting
	err   error // it never left
}

// send registers the wait, then produces; so no outcome can come before somebody waits for it. Nothing of the flight refers to the request's buffers.
func (s *Server) send(cmd *command, trace string) *flight {
	f := &flight{s: s, cmd: cmd, start: time.Now(), acked: make(chan error, 1)}
	if !s.ours.Load() { // its ids may derive from a secret that is not the cluster's
		p := web.Unavailable("commands are not taken yet", time.Second)
		p.IdempotencyKey = cmd.key
		f.err = p
		return f
	}
	value, err := schemas.Encode(cmd.message)
	if err != nil {
		f.err = fmt.Errorf("ingest: %w", err)
		return f
	}
	var ok bool
	if f.wait, ok = s.waiters.join(cmd.id, cmd.fingerprint); !ok {
		f.err = refusal(&schemas.CommandRefused{Code: schemas.RefusalCodeKeyReused, Detail: "the Idempotency-Key is being used with another body right now"}, cmd)
		return f
	}
	now := f.start.Truncate(time.Millisecond)
	rec := &kgo.Record{Topic: topics.Of(cmd.message).Name, Key: []byte(cmd.message.Key()), Value: value, Timestamp: now}
	for name, v := range topics.HeadersOf(cmd.message, "ingest", now.UnixMilli(), topics.Headers{topics.HeaderTrace: []byte(trace)}) {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: name, Value: v})
	}
	s.producer.TryProduce(context.Background(), rec, func(_ *kgo.Record, err error) { f.acked <- err })
	return f
}

// reply is what the client hears of a command.
type reply struct {
	status   int // of success
	document web.Document
	pending  *pending
	replayed bool
	problem  *web.Problem
}

// finish waits for what becomes of the command, as long as the client wants to.
func (f *flight) finish(prefer web.Preference) (reply, error) {
	if f.err != nil {
		if p, ok := web.AsProblem(f.err); ok {
			return reply{problem: p}, nil
		}
		return reply{}, f.err
	}
	defer f.s.waiters.leave(f.cmd.id, f.wait)
	if !f.acknowledged() {
		p := web.Unavailable("the command is not acknowledged; it may have been accepted: repeat it with the same Idempotency-Key", time.Second)
		p.IdempotencyKey = f.cmd.key
		return reply{problem: p}, nil
	}
	if prefer.Async {
		return f.later(), nil
	}
	patience := f.s.cfg.Settings.OutcomeTimeout
	if prefer.Wait > 0 {
		patience = prefer.Wait
	}
	ctx, cancel := context.WithDeadline(context.Background(), f.start.Add(patience))
	defer cancel()
	select {
	case <-f.wait.done:
		return f.outcome(ctx, prefer.Wait > 0)
	case <-ctx.Done():
		return f.later(), nil
	}
}

// acknowledged waits until the command is safely in the log. An outcome proves it as well.
func (f *flight) acknowledged() bool {
	timer := time.NewTimer(time.Until(f.start.Add(f.s.cfg.Settings.AckTimeout)))
	defer timer.Stop()
	select {
	case err := <-f.acked:
		if err != nil {
			f.s.cfg.Log.Warn("a command was not acknowledged", "message", f.cmd.message.Kind().String(), "error", err)
		}
		return err == nil
	case <-f.wait.done:
		return true
	case <-timer.C:
		f.s.cfg.Log.Warn("a command was not acknowledged in time", "message", f.cmd.message.Kind().String())
		return false
	}
}

func (f *flight) later() reply {
	p := f.cmd.pending
	p.IdempotencyKey = f.cmd.key
	return reply{status: http.StatusAccepted, pending: &p}
}

// outcome turns what was said about the command into an answer. Once it is accepted, a read side that is late means 202, never a failure.
func (f *flight) outcome(ctx context.Context, decided bool) (reply, error) {
	r := reply{status: f.cmd.created}
	var version int64
	switch o := f.wait.outcome.(type) {
	case *schemas.CommandRefused:
		return reply{problem: refusal(o, f.cmd)}, nil
	case *schemas.CommandRepeated:
		version, r.replayed = o.Version, true
	case interface{ FactHead() *schemas.Fact }:
		version = o.FactHead().Version
	}
	var err error
	r.document, err = f.cmd.show(ctx, version, decided)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		f.s.cfg.Log.Warn("the outcome of a command cannot be shown", "message", f.cmd.message.Kind().String(), "error", err)
	}
	if !r.document.Found || r.document.Version < version {
		return f.later(), nil
	}
	return r, nil
}

// answer runs one command and sends its reply.
func (s *Server) answer(c *fiber.Ctx, who caller, cmd *command) error {
	r, err := s.send(cmd, who.trace).finish(who.prefer)
	if err != nil {
		return err
	}
	if cmd.key != "" {
		c.Set("Idempotency-Key", cmd.key)
	}
	if r.problem != nil {
		return r.problem
	}
	if r.status != http.StatusOK {
		c.Set(fiber.HeaderLocation, cmd.pending.Location)
	}
	if r.replayed {
		c.Set("Idempotent-Replayed", "true")
	}
	if r.pending == nil {
		return r.document.Send(c, r.status)
	}
	body, err := json.Marshal(r.pending)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(r.status).Send(body)
}

// refusals are the statuses of what a row refuses.
var refusals = map[schemas.RefusalCode]int{
	schemas.RefusalCodeKeyReused:           http.StatusUnprocessableEntity,
	schemas.RefusalCodeNotFound:            http.StatusNotFound,
	schemas.RefusalCodeVersionMismatch:     http.StatusPreconditionFailed,
	schemas.RefusalCodeIllegalTransition:   http.StatusConflict,
	schemas.RefusalCodeProductExists:       http.StatusConflict,
	schemas.RefusalCodeEmailTaken:          http.StatusConflict,
	schemas.RefusalCodeOnHandBelowReserved: http.StatusConflict,
	schemas.RefusalCodeQuantityOverflow:    http.StatusConflict,
	schemas.RefusalCodeDeadLettered:        http.StatusInternalServerError,
}

// refusal is the problem for a command that its row refused.
func refusal(r *schemas.CommandRefused, cmd *command) *web.Problem {
	status, known := refusals[r.Code]
	if !known {
		status = http.StatusConflict
	}
	detail := cmp.Or(r.Detail, "the "+cmd.family+" refuses it")
	p := web.NewProblem(status, string(r.Code), detail)
	p.Version = r.Version
	if len(r.Numbers) > 0 {
		p.Numbers = r.Numbers
	}
	if r.Pointer != "" {
		p.Errors = []web.Fault{{Pointer: r.Pointer, Code: string(r.Code), Rule: detail}}
	}
	switch r.Code {
	case schemas.RefusalCodeNotFound:
		return web.NotFound(cmd.family) // in the words of a GET
	case schemas.RefusalCodeVersionMismatch: // the client knows it as a header, not as a field of its body
		p.Detail, p.Errors = "If-Match names another version of the "+cmd.family+" than "+web.ETag(r.Version)+", which it has", nil
	case schemas.RefusalCodeIllegalTransition:
		p.LegalNext = append([]string{}, r.LegalNext...) // none is an answer too
	case schemas.RefusalCodeEmailTaken:
		p.Version = 0 // of another's login
	case schemas.RefusalCodeKeyReused:
		p.IdempotencyKey = cmd.key
	}
	return p
}

package sandbox

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/valyala/fasthttp"
)

// posts are the operations by path.
var posts = map[string]string{
	"/v1/authorizations": opAuthorize,
	"/v1/captures":       opCapture,
	"/v1/voids":          opVoid,
	"/v1/refunds":        opRefund,
	"/v1/cancellations":  opCancel,
}

func (s *Server) handle(c *fasthttp.RequestCtx) {
	if operation, ok := posts[string(c.Path())]; ok {
		if c.IsPost() {
			s.post(c, operation)
		} else {
			answer(c, nil, refuse(http.StatusMethodNotAllowed, "METHOD", "%q: want POST", c.Method()))
		}
		return
	}
	path := string(c.Path())
	switch id, found := strings.CutPrefix(path, "/v1/requests/"); {
	case found && c.IsGet():
		if s.behaviour.Load().Down {
			answer(c, nil, errDown)
			return
		}
		a, err := s.book.look(id)
		say(c, a, err)
	case path == "/v1/behaviour" && c.IsGet():
		answer(c, s.behaviour.Load(), nil)
	case path == "/v1/behaviour" && c.IsPut():
		var b Behaviour
		err := strict(c.PostBody(), &b)
		if err == nil {
			err = s.Behave(b)
		}
		if err != nil {
			err = refuse(http.StatusBadRequest, "BEHAVIOUR", "%v", err)
		}
		answer(c, b, err)
	default:
		answer(c, nil, refuse(http.StatusNotFound, "PATH", "%q %q: no such thing", c.Method(), path))
	}
}

var errDown = refuse(http.StatusServiceUnavailable, "DOWN", "out of service; nothing was done")

func (s *Server) post(c *fasthttp.RequestCtx, operation string) {
	key := string(c.Request.Header.Peek("Idempotency-Key"))
	var r Request
	if err := read(c, operation, key, &r); err != nil {
		answer(c, nil, err)
		return
	}
	f := s.behaviour.Load().fate(operation, key, r.Token)
	if f.delay > 0 {
		s.pause(f.delay)
	}
	if f.unavailable {
		answer(c, nil, errDown)
		return
	}
	var a Answer
	var replayed bool
	var err error
	switch operation {
	case opAuthorize:
		a, replayed, err = s.book.authorize(key, r, f.decline)
	case opCancel:
		a, replayed, err = s.book.cancel(key, r)
	default:
		a, replayed, err = s.book.follow(key, r, operation)
	}
	if f.silent && err == nil && a.Outcome != "CANCELLED" {
		s.pause(silence)
		c.Conn().Close()
		return
	}
	if f.wrong && err == nil {
		c.SetContentType("text/html")
		c.SetBodyString("<html><title>Scheduled maintenance</title></html>")
		return
	}
	if replayed {
		c.Response.Header.Set("Idempotent-Replayed", "true")
	}
	say(c, a, err)
	if f.twice {
		again := []byte(c.Response.String())
		c.Hijack(func(conn net.Conn) {
			s.pause(2 * time.Millisecond) // at once it would lie in the buffer that the client throws away with the first
			conn.Write(again)             // a client that has gone does not mind
			s.pause(50 * time.Millisecond)
		})
	}
}

// pause waits, but not past the end of the server.
func (s *Server) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.closing:
	}
}

// read takes a request from its body and says what is wrong with it.
func read(c *fasthttp.RequestCtx, operation, key string, r *Request) error {
	bad := func(format string, args ...any) error {
		return refuse(http.StatusBadRequest, "MALFORMED", format, args...)
	}
	if key == "" || len(key) > 255 || !utf8.ValidString(key) { // the ledger could not hold other bytes
		return bad("Idempotency-Key: %d bytes: want 1 to 255 of UTF-8", len(key))
	}
	if err := strict(c.PostBody(), r); err != nil {
		return bad("body: %v", err)
	}
	if r.OrderID == "" || r.PaymentID == "" {
		return bad("order_id %q, payment_id %q: both are needed", r.OrderID, r.PaymentID)
	}
	follows := operation == opCapture || operation == opVoid || operation == opRefund
	switch {
	case operation == opCancel:
		return nil
	case r.AmountMinor < 1:
		return bad("amount_minor: %d: want 1 or more", r.AmountMinor)
	case len(r.Currency) != 3:
		return bad("currency: %q: want three letters", r.Currency)
	case follows && (r.AuthorizationID == "" || r.AuthorizationID == key):
		return bad("authorization_id: %q: want the request id of the authorization", r.AuthorizationID)
	case !follows && r.AuthorizationID != "":
		return bad("authorization_id: %q: an authorization has none", r.AuthorizationID)
	}
	return nil
}

func strict(body []byte, into any) error {
	return json.Unmarshal(body, into, json.RejectUnknownMembers(true))
}

// say answers what was done.
func say(c *fasthttp.RequestCtx, a Answer, err error) {
	if err != nil {
		answer(c, nil, err)
		return
	}
	body, err := a.appendJSON(c.Response.SwapBody(nil)[:0]) // the memory of an earlier answer's
	if err != nil {
		c.Error(err.Error(), http.StatusInternalServerError)
		return
	}
	c.SetContentType("application/json")
	c.Response.SwapBody(body)
}

func answer(c *fasthttp.RequestCtx, body any, err error) {
	if err != nil {
		var r *Refusal
		if !errors.As(err, &r) {
			r = &Refusal{Status: http.StatusServiceUnavailable, Code: "LEDGER", Message: "nothing was done: " + err.Error()}
		}
		c.SetStatusCode(r.Status)
		body = r
	}
	c.SetContentType("application/json")
	if err := json.MarshalWrite(c, body); err != nil {
		c.Error(err.Error(), http.StatusInternalServerError)
	}
}

package payment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/valyala/fasthttp"

	"oms/internal/flatjson"
	"oms/schemas"
)

// Sandbox is the client of the provider of play money.
type Sandbox struct{ http *fasthttp.HostClient }

// NewSandbox speaks to the sandbox whose API begins at base, such as http://127.0.0.1:9090, over connections that dial makes; nil: over the network.
func NewSandbox(base string, dial Dial) (*Sandbox, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("sandbox: %q: want http://host:port", base)
	}
	if dial == nil {
		dial = func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", u.Host) }
	}
	return &Sandbox{&fasthttp.HostClient{
		Addr: u.Host, Name: "oms", MaxConns: 1024, MaxIdleConnDuration: 30 * time.Second, // less than the server's patience
		MaxIdemponentCallAttempts: 1, MaxResponseBodySize: 64 << 10, ReadBufferSize: 2 << 10, WriteBufferSize: 2 << 10,
		Dial: func(string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			c, err := dial(ctx)
			if err != nil {
				return nil, &unsent{err}
			}
			return c, nil
		},
	}}, nil
}

// unsent marks a failure from before the first byte was sent.
type unsent struct{ error }

// sandboxAnswer is the body of any of its answers.
type sandboxAnswer struct {
	RequestID   string `json:"request_id"`
	Outcome     string `json:"outcome"`
	AmountMinor int64  `json:"amount_minor"`
	ProviderRef string `json:"provider_ref"`
	Reason      string `json:"reason"`
	Code        string `json:"code"`    // of a refusal
	Message     string `json:"message"` // of a refusal
}

var sandboxPaths = map[schemas.PaymentOperation]string{
	schemas.PaymentOperationAuthorize: "/v1/authorizations",
	schemas.PaymentOperationCapture:   "/v1/captures",
	schemas.PaymentOperationVoid:      "/v1/voids",
	schemas.PaymentOperationRefund:    "/v1/refunds",
	schemas.PaymentOperationCancel:    "/v1/cancellations",
}

// Do asks once.
func (s *Sandbox) Do(ctx context.Context, r Request) (Answer, error) {
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	if err := s.write(req, r); err != nil {
		return Answer{}, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(10 * time.Second)
	}
	if ctx.Err() != nil || !time.Now().Before(deadline) {
		return Answer{}, fault(Transient, "not asked: the time was over")
	}
	if err := s.http.DoDeadline(req, res, deadline); err != nil {
		var before *unsent
		if errors.As(err, &before) || errors.Is(err, fasthttp.ErrNoFreeConns) {
			return Answer{}, fault(Transient, "sandbox: %w", err)
		}
		s.http.CloseIdleConnections() // they may be as dead as this one was, and each would cost a request
		return Answer{}, fault(Unknown, "sandbox: %w", err)
	}
	a, err := readSandbox(r, res.StatusCode(), res.Body())
	if err != nil && ClassOf(err) == Unknown {
		s.http.CloseIdleConnections() // an answer to something else came on one of them, and the next may be out of step too
	}
	return a, err
}

func (s *Sandbox) write(req *fasthttp.Request, r Request) error {
	req.Header.SetHost(s.http.Addr)
	if r.Operation == schemas.PaymentOperationReconcile {
		req.Header.SetMethod(http.MethodGet)
		req.Header.SetRequestURI("/v1/requests/" + url.PathEscape(r.RequestID))
		return nil
	}
	path, ok := sandboxPaths[r.Operation]
	if !ok {
		return fault(Permanent, "sandbox: operation %q is not known", r.Operation)
	}
	req.Header.SetMethod(http.MethodPost)
	req.Header.SetRequestURI(path)
	req.Header.SetContentType("application/json")
	req.Header.Set("Idempotency-Key", r.RequestID)
	o := flatjson.Begin(req.SwapBody(nil)[:0]) // the memory of an earlier request's
	o.Text("order_id", r.OrderID)
	o.Text("payment_id", r.PaymentID)
	o.SomeText("authorization_id", r.AuthorizationID)
	o.SomeText("method", string(r.Method))
	o.SomeText("token", r.Token)
	o.SomeText("capture", string(r.Capture))
	o.Number("amount_minor", r.AmountMinor)
	o.SomeText("currency", r.Currency)
	body, err := o.End()
	if err != nil {
		return fault(Permanent, "sandbox: %w", err)
	}
	req.SwapBody(body)
	return nil
}

// readSandbox sorts an answer. Its documentation promises that a refusal, 503 included, means that nothing was done.
func readSandbox(r Request, status int, body []byte) (Answer, error) {
	var a sandboxAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return Answer{}, fault(Unknown, "sandbox: status %d without a readable answer: %w", status, err)
	}
	switch status {
	case http.StatusOK:
		if a.RequestID != r.RequestID {
			return Answer{}, fault(Unknown, "sandbox: request_id: %q is answered, %q was asked", a.RequestID, r.RequestID)
		}
		return Answer{Outcome: schemas.PaymentOutcome(a.Outcome), AmountMinor: a.AmountMinor, ProviderRef: a.ProviderRef, Reason: a.Reason}, nil
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusUnauthorized, http.StatusForbidden:
		return Answer{}, fault(Transient, "sandbox: %d %s: %s", status, a.Code, a.Message)
	case http.StatusNotFound:
		if a.Code == "NO_REQUEST" {
			return Answer{Outcome: schemas.PaymentOutcomeNotFound}, nil
		}
		fallthrough
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return Answer{}, fault(Permanent, "sandbox: %s: %s", a.Code, a.Message)
	}
	return Answer{}, fault(Unknown, "sandbox: status %d %s", status, a.Code)
}

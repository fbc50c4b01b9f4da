package payment

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"oms/proof/sandbox"
	"oms/schemas"
)

// servers starts, for each provider of the register, a server that it can be tried against, and answers the ways to it.
var servers = map[string]func(t *testing.T) (url string, dials map[string]Dial){
	"sandbox": func(t *testing.T) (string, map[string]Dial) {
		s, err := sandbox.Start(context.Background(), sandbox.Config{Ledger: filepath.Join(t.TempDir(), "ledger.jsonl")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s.URL(), map[string]Dial{"network": nil, "memory": s.Dial}
	},
}

func ask(t *testing.T, p Provider, r Request) (Answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return Ask(ctx, p, r)
}

func request(operation schemas.PaymentOperation, id string, amount int64) Request {
	r := Request{ID: "ord_1.1.0", Operation: operation, OrderID: "ord_1", PaymentID: "pay_1.1", RequestID: id, Token: "tok_ok", Method: schemas.PaymentMethodCard,
		Capture: schemas.CapturePolicyLater, AmountMinor: amount, Currency: "EUR"}
	switch operation {
	case schemas.PaymentOperationCapture, schemas.PaymentOperationVoid, schemas.PaymentOperationRefund:
		r.AuthorizationID, r.Token, r.Method, r.Capture = "A1", "", "", ""
	case schemas.PaymentOperationReconcile:
		r.About = schemas.PaymentOperationAuthorize
	}
	return r
}

// Connections die with their server, and the client learns of it one by one unless it draws the conclusion: each of them would cost a request, and keep the breaker open.
func TestAProviderThatWasStartedAgainCostsOneRequest(t *testing.T) {
	config := sandbox.Config{Ledger: filepath.Join(t.TempDir(), "ledger.jsonl"), Behaviour: sandbox.Behaviour{SlowPercent: 100, SlowMS: 200}}
	serve := func() *sandbox.Server {
		t.Helper()
		s, err := sandbox.Start(context.Background(), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	server := serve()
	p, err := NewSandbox(server.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 20 { // at once, each over a connection of its own
		all.Go(func() {
			if _, err := ask(t, p, request(schemas.PaymentOperationAuthorize, fmt.Sprint("A", i), 500)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	config.Listen, config.Behaviour = server.Addr(), sandbox.Behaviour{}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	serve()
	failed := 0
	for i := range 20 {
		if _, err := ask(t, p, request(schemas.PaymentOperationReconcile, fmt.Sprint("A", i), 0)); err != nil {
			failed++
		}
	}
	if failed > 1 {
		t.Errorf("%d of 20 requests failed after the server was there again", failed)
	}
}

// step is one asking and what every provider must say to it.
type step struct {
	request Request
	outcome schemas.PaymentOutcome // "": refused as Permanent
}

// life is the battery: each case is a life of one payment, asked of a new server.
var life = map[string][]step{
	"hold, take, give back": {
		{request(schemas.PaymentOperationAuthorize, "A1", 500), schemas.PaymentOutcomeAuthorized},
		{request(schemas.PaymentOperationCapture, "C1", 500), schemas.PaymentOutcomeCaptured},
		{request(schemas.PaymentOperationRefund, "R1", 500), schemas.PaymentOutcomeRefunded},
		{request(schemas.PaymentOperationReconcile, "A1", 0), schemas.PaymentOutcomeAuthorized},
	},
	"hold, let go": {
		{request(schemas.PaymentOperationAuthorize, "A1", 500), schemas.PaymentOutcomeAuthorized},
		{request(schemas.PaymentOperationVoid, "V1", 500), schemas.PaymentOutcomeVoided},
		{request(schemas.PaymentOperationCapture, "C1", 500), ""},
	},
	"more than is held": {
		{request(schemas.PaymentOperationAuthorize, "A1", 500), schemas.PaymentOutcomeAuthorized},
		{request(schemas.PaymentOperationCapture, "C1", 501), ""},
		{request(schemas.PaymentOperationRefund, "R1", 1), ""},
	},
	"a key again": {
		{request(schemas.PaymentOperationAuthorize, "A1", 500), schemas.PaymentOutcomeAuthorized},
		{request(schemas.PaymentOperationAuthorize, "A1", 500), schemas.PaymentOutcomeAuthorized},
		{request(schemas.PaymentOperationAuthorize, "A1", 501), ""},
	},
	"nothing to reconcile": {
		{request(schemas.PaymentOperationReconcile, "A1", 0), schemas.PaymentOutcomeNotFound},
	},
	"cancelled before it came": {
		{request(schemas.PaymentOperationCancel, "A1", 0), schemas.PaymentOutcomeCancelled},
		{request(schemas.PaymentOperationAuthorize, "A1", 500), schemas.PaymentOutcomeCancelled},
		{request(schemas.PaymentOperationReconcile, "A1", 0), schemas.PaymentOutcomeCancelled},
	},
	"cancelled when held": {
		{request(schemas.PaymentOperationAuthorize, "A1", 500), schemas.PaymentOutcomeAuthorized},
		{request(schemas.PaymentOperationCancel, "A1", 0), schemas.PaymentOutcomeVoided},
		{request(schemas.PaymentOperationCancel, "A1", 0), schemas.PaymentOutcomeVoided},
	},
}

func TestEveryRegisteredProviderKeepsThePort(t *testing.T) {
	for name, open := range Register {
		start := servers[name]
		if start == nil {
			t.Errorf("%s has no server to be tried against", name)
			continue
		}
		for title, steps := range life {
			t.Run(name+"/"+title, func(t *testing.T) {
				url, dials := start(t)
				for way, dial := range dials {
					p, err := open(url, dial)
					if err != nil {
						t.Fatal(err)
					}
					t.Run(way, func(t *testing.T) { live(t, p, steps, way) })
				}
			})
		}
		t.Run(name+"/nobody there", func(t *testing.T) {
			p, err := open("http://"+closedPort(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ask(t, p, request(schemas.PaymentOperationAuthorize, "A1", 500)); err == nil || ClassOf(err) != Transient {
				t.Errorf("a refused connection is %v, want Transient", err)
			}
		})
		t.Run(name+"/no answer", func(t *testing.T) {
			p, err := open("http://"+deafPort(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ask(t, p, request(schemas.PaymentOperationAuthorize, "A1", 500)); err == nil || ClassOf(err) != Unknown {
				t.Errorf("an unanswered request is %v, want Unknown", err)
			}
		})
	}
}

// live goes through the steps of a life of its own, told from others at the same server by its name.
func live(t *testing.T, p Provider, steps []step, name string) {
	t.Helper()
	first := map[string]Answer{}
	for i, s := range steps {
		r := s.request
		r.RequestID += name
		if r.AuthorizationID != "" {
			r.AuthorizationID += name
		}
		a, err := ask(t, p, r)
		switch {
		case s.outcome == "" && ClassOf(err) == Permanent && err != nil:
			continue
		case err != nil || a.Outcome != s.outcome:
			t.Fatalf("step %d, %s %s: %+v, %v; want %q", i, r.Operation, r.RequestID, a, err, s.outcome)
		case r.AmountMinor > 0 && a.Outcome != schemas.PaymentOutcomeCancelled && a.AmountMinor != r.AmountMinor:
			t.Errorf("step %d: %d, asked for %d", i, a.AmountMinor, r.AmountMinor)
		}
		key := string(r.Operation) + r.RequestID
		if was, again := first[key]; again && was != a {
			t.Errorf("step %d: the same asking is answered %+v, then %+v", i, was, a)
		}
		first[key] = a
	}
}

func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// deafPort takes a connection, reads, and hangs up.
func deafPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 1))
			c.Close()
		}
	}()
	return l.Addr().String()
}

// speaks answers every request with one status and body.
func speaks(t *testing.T, status int, body string) *Sandbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fasthttp.Server{CloseOnShutdown: true, Handler: func(c *fasthttp.RequestCtx) {
		c.SetStatusCode(status)
		c.SetBodyString(body)
	}}
	go s.Serve(l)
	t.Cleanup(func() { s.Shutdown() })
	p, err := NewSandbox("http://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.http.CloseIdleConnections)
	return p
}

func TestAnswersOfTheSandboxAreSorted(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   Class
	}{
		{503, `{"code":"DOWN"}`, Transient},
		{429, `{}`, Transient},
		{401, `{}`, Transient},
		{400, `{"code":"MALFORMED"}`, Permanent},
		{422, `{"code":"KEY_REUSED"}`, Permanent},
		{404, `{"code":"NO_AUTHORIZATION"}`, Permanent},
		{500, `{}`, Unknown},
		{502, `<html>`, Unknown},
		{503, `<html>`, Unknown},
		{200, `{`, Unknown},
		{200, `{"request_id":"another","outcome":"AUTHORIZED"}`, Unknown},
		{200, `{"request_id":"A1","outcome":"REFUNDED"}`, Unknown},
		{200, `{"request_id":"A1","outcome":"HAPPY"}`, Unknown},
		{200, `{"request_id":"A1","outcome":"AUTHORIZED","amount_minor":501}`, Unknown},
		{200, `{"request_id":"A1","outcome":"AUTHORIZED","amount_minor":-1}`, Unknown},
		{200, `{"request_id":"A1","outcome":"AUTHORIZED","amount_minor":0}`, Unknown},
		{200, `{"request_id":"A1","outcome":"CAPTURED"}`, Unknown},
	} {
		if a, err := ask(t, speaks(t, c.status, c.body), request(schemas.PaymentOperationAuthorize, "A1", 500)); err == nil || ClassOf(err) != c.want {
			t.Errorf("%d %s: %+v, %v of class %d; want class %d", c.status, c.body, a, err, ClassOf(err), c.want)
		}
	}
}

func TestARequestWithoutAnIdentityIsNone(t *testing.T) {
	good := &schemas.VoidPayment{Said: schemas.Said{ID: "i"}, OrderID: "o", PaymentID: "p", RequestID: "r"}
	if _, err := RequestOf(good); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]schemas.Message{
		"no request":    &schemas.PaymentReply{},
		"bytes":         schemas.Decode([]byte("garbage")),
		"no id":         &schemas.VoidPayment{OrderID: "o", PaymentID: "p", RequestID: "r"},
		"no request_id": &schemas.CancelPayment{Said: schemas.Said{ID: "i"}, OrderID: "o", PaymentID: "p"},
	} {
		if r, err := RequestOf(m); err == nil {
			t.Errorf("%s: taken as %+v", name, r)
		}
	}
}

func TestAnAddressThatIsNoneIsRefused(t *testing.T) {
	for _, bad := range []string{"", "127.0.0.1:80", "https://x", "http://", "http://x/api", "http://%"} {
		if _, err := NewSandbox(bad, nil); err == nil || !strings.Contains(err.Error(), "want http://host:port") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAReconciliationThatFindsNothingHeldIsNoAnswer(t *testing.T) {
	p := speaks(t, 200, `{"request_id":"A1","outcome":"AUTHORIZED","amount_minor":0}`)
	if a, err := ask(t, p, request(schemas.PaymentOperationReconcile, "A1", 0)); err == nil || ClassOf(err) != Unknown {
		t.Errorf("%+v, %v of class %d; want Unknown", a, err, ClassOf(err))
	}
}

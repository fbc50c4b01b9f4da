// Package web is what every HTTP room stands on: limits, problems, principals, strict JSON, preferences, versions and cursors.
package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"
	"github.com/valyala/fasthttp"
)

// BodyLimit is the largest request body, in bytes.
const BodyLimit = 1 << 20

const (
	headerLimit = 16 << 10
	readTimeout = 15 * time.Second // for a whole request to arrive
	idleTimeout = 75 * time.Second // for the next one on a connection
)

// Config of an app.
type Config struct {
	Authenticator Authenticator
	Public        []string // paths that need no principal: health, documents
	Log           *slog.Logger
}

// New makes an app without routes. Every answer that is no success, whoever makes it, is a problem.
//
// There is no write timeout: it would end event streams. A client that does not read holds one connection and nothing else.
func New(cfg Config) *fiber.App {
	app := fiber.New(fiber.Config{
		DisableStartupMessage:        true,
		BodyLimit:                    BodyLimit,
		ReadBufferSize:               headerLimit,
		ReadTimeout:                  readTimeout,
		IdleTimeout:                  idleTimeout,
		CaseSensitive:                true,
		StrictRouting:                true,
		DisablePreParseMultipartForm: true,
		ErrorHandler: func(c *fiber.Ctx, err error) error {
			p := ProblemOf(err)
			if p.Code == CodeInternal {
				cfg.Log.Error("request failed", "route", c.Route().Path, "trace_id", TraceID(c), "error", err)
			}
			return p.send(c)
		},
	})
	app.Use(around(cfg.Log), authenticate(cfg))
	tameMethods(app)
	return app
}

// tameMethods has a method that Fiber does not know answered as one that no path takes (405, Allow), where Fiber would send a bare 400 of its own.
func tameMethods(app *fiber.App) {
	known := app.Config().RequestMethods
	serve := app.Server().Handler
	app.Server().Handler = func(c *fasthttp.RequestCtx) {
		if !slices.Contains(known, string(c.Method())) {
			c.Request.Header.SetMethod(fiber.MethodTrace)
		}
		serve(c)
	}
}

// around gives the request its trace, catches panics, and writes the access log. That names the route, never the path: paths hold what people typed.
func around(log *slog.Logger) fiber.Handler {
	return func(c *fiber.Ctx) (err error) {
		start := time.Now()
		c.Locals(traceKey{}, traceparent(c.Get("traceparent")))
		defer func() {
			if r := recover(); r != nil {
				log.Error("request panicked", "route", c.Route().Path, "trace_id", TraceID(c), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
				err = NewProblem(http.StatusInternalServerError, CodeInternal, "the server failed; its log has more under the trace id")
			}
			if log.Enabled(context.Background(), slog.LevelDebug) {
				status := c.Response().StatusCode()
				if err != nil {
					status = ProblemOf(err).Status
				}
				log.Debug("request", "method", utils.CopyString(c.Method()), "route", c.Route().Path, "status", status, "ms", time.Since(start).Milliseconds(), "trace_id", TraceID(c))
			}
		}()
		return c.Next()
	}
}

type traceKey struct{}

// traceparent keeps a caller's W3C trace context when it is well-formed, and begins a trace otherwise.
func traceparent(given string) string {
	if wellFormedTrace(given) {
		return utils.CopyString(given)
	}
	var b [24]byte
	rand.Read(b[:])
	out := make([]byte, 0, 55)
	out = append(out, "00-"...)
	out = hex.AppendEncode(out, b[:16])
	out = append(out, '-')
	out = hex.AppendEncode(out, b[16:])
	return string(append(out, "-01"...))
}

// wellFormedTrace: 00-<32 hex>-<16 hex>-<2 hex>, lower case, neither id all zero.
func wellFormedTrace(s string) bool {
	if len(s) != 55 || s[:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return false
	}
	zero := func(hexed string) bool {
		for _, c := range []byte(hexed) {
			if c != '0' {
				return false
			}
		}
		return true
	}
	for i, c := range []byte(s) {
		if i != 2 && i != 35 && i != 52 && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return !zero(s[3:35]) && !zero(s[36:52])
}

// Trace is the W3C trace context of the request, to go on with; TraceID the id in it.
func Trace(c *fiber.Ctx) string {
	trace, _ := c.Locals(traceKey{}).(string)
	return trace
}

// TraceID names the request in logs and problems.
func TraceID(c *fiber.Ctx) string {
	if trace := Trace(c); len(trace) > 35 {
		return trace[3:35]
	}
	return ""
}

// Param is a parameter of the path, unescaped. It may outlive the request: Fiber's own strings are views into buffers that the next request overwrites.
func Param(c *fiber.Ctx, name string) (string, error) {
	raw := utils.CopyString(c.Params(name))
	s, err := url.PathUnescape(raw)
	if err != nil {
		return "", BadParameter(name, raw, "must be percent-encoded UTF-8")
	}
	return s, nil
}

// Header is a request header that may outlive the request.
func Header(c *fiber.Ctx, name string) string { return utils.CopyString(c.Get(name)) }

// Body is the JSON body of the request, valid until the handler returns. A packed body is refused: unpacked, it would be past the limit's control.
func Body(c *fiber.Ctx) ([]byte, error) {
	if e := c.Get(fiber.HeaderContentEncoding); e != "" && e != "identity" {
		return nil, NewProblem(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding must be identity")
	}
	body := c.Request().Body()
	// A body without this type is what a foreign web page can send without asking first, so it is needed even where nobody would miss it.
	if len(body) > 0 && !isJSON(c.Get(fiber.HeaderContentType)) {
		return nil, NewProblem(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "Content-Type must be application/json")
	}
	return body, nil
}

// Listen serves the app until the context ends, then waits at most grace for requests under way.
func Listen(ctx context.Context, app *fiber.App, addr string, grace time.Duration, bound func(address string)) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	if bound != nil {
		bound(ln.Addr().String())
	}
	done := make(chan error, 1)
	go func() { done <- app.Listener(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	err = app.ShutdownWithTimeout(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // what is left are streams and idle connections; they end with the process
	}
	return err
}

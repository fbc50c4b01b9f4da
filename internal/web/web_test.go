package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
)

func app(t *testing.T, log io.Writer) *fiber.App {
	t.Helper()
	if log == nil {
		log = io.Discard
	}
	a := New(Config{Authenticator: None{"default"}, Public: []string{"/public"}, Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	a.Get("/who/:name", func(c *fiber.Ctx) error {
		name, err := Param(c, "name")
		if err != nil {
			return err
		}
		return c.SendString(Who(c).Subject + " " + name + " " + Trace(c))
	})
	a.Get("/public", func(c *fiber.Ctx) error { return c.SendString("[" + Who(c).Subject + "]") })
	a.Get("/panic", func(*fiber.Ctx) error { panic("secret detail") })
	a.Post("/echo", func(c *fiber.Ctx) error {
		b, err := Body(c)
		if err != nil {
			return err
		}
		return c.Send(b)
	})
	return a
}

// local is a request of the same machine.
func local(path string) *http.Request {
	req := httptest.NewRequest(http.MethodGet, path, nil)
	req.Host = "localhost:8080"
	return req
}

func ask(t *testing.T, a *fiber.App, method, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	req := local(path)
	req.Method = method
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := a.Test(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestEveryFailureIsAProblem(t *testing.T) {
	var log bytes.Buffer
	a := app(t, &log)
	for _, tt := range []struct {
		method, path string
		status       int
		code         string
		headers      []string
	}{
		{"GET", "/nowhere", 404, "NOT_FOUND", nil}, {"PUT", "/echo", 405, "METHOD_NOT_ALLOWED", nil}, {"QUERY", "/echo", 405, "METHOD_NOT_ALLOWED", nil}, {"GET", "/panic", 500, "INTERNAL", nil},
		{"GET", "/who/x", 403, "FORBIDDEN", []string{"Host", "evil.example"}},
	} {
		resp, body := ask(t, a, tt.method, tt.path, tt.headers...)
		var p Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatalf("%s %s: %s: %v", tt.method, tt.path, body, err)
		}
		if resp.StatusCode != tt.status || p.Status != tt.status || p.Code != tt.code || p.Title == "" || p.Detail == "" || len(p.TraceID) != 32 || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, resp.StatusCode, body)
		}
		if strings.Contains(body, "secret detail") {
			t.Errorf("the answer tells of the inside: %s", body)
		}
	}
	if resp, _ := ask(t, a, "PUT", "/echo"); !strings.Contains(resp.Header.Get("Allow"), "POST") {
		t.Errorf("Allow is %q", resp.Header.Get("Allow"))
	}
	if !strings.Contains(log.String(), "secret detail") || strings.Contains(log.String(), "/who/x") {
		t.Errorf("the log lacks the panic, or has paths: %s", log.String())
	}
}

// What Fiber's test door cannot show: sizes that the server refuses while reading.
func TestWhatIsTooLargeIsRefusedOnTheWire(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	bound, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- Listen(ctx, app(t, nil), "127.0.0.1:0", time.Second, func(address string) { bound <- address })
	}()
	address := <-bound
	for name, tt := range map[string]struct {
		request string
		status  int
	}{
		"a body at the limit":     {post(BodyLimit, ""), 200},
		"a body beyond the limit": {post(BodyLimit+1, ""), 413},
		"headers beyond theirs":   {post(2, "X-Long: "+strings.Repeat("x", headerLimit)+"\r\n"), 431},
		"no HTTP":                 {"hello\r\n\r\n", 400},
		"a bad escape":            {"GET /who/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		go io.WriteString(conn, tt.request) // the server may hang up before it has read all
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := "application/problem+json"; resp.StatusCode != tt.status || tt.status >= 400 && resp.Header.Get("Content-Type") != want {
			t.Errorf("%s: %d %v, want %d", name, resp.StatusCode, resp.Header, tt.status)
		}
		conn.Close()
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func post(n int, header string) string {
	return fmt.Sprintf("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", header, n, strings.Repeat(" ", n))
}

func TestPrincipals(t *testing.T) {
	a := app(t, nil)
	if _, body := ask(t, a, "GET", "/who/a%2Fb%20c", "Host", "127.0.0.1:1"); !strings.HasPrefix(body, "staff a/b c ") {
		t.Errorf("%q", body)
	}
	if _, body := ask(t, a, "GET", "/public", "Host", "lb.example"); body != "[]" {
		t.Errorf("%q", body)
	}
	p := Principal{Scopes: []string{"a"}}
	if p.Require("a") != nil || p.Require("b") == nil || !(Principal{Scopes: []string{Every}}).Has("b") {
		t.Error("scopes are not looked at")
	}
}

func TestWithoutAuthenticationOnlyLoopbackIsListenedOn(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1:80": true, "localhost:80": true, "[::1]:80": true, "127.9.9.9:0": true, ":80": false, "0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false, "shop.example:80": false, "localhost.example:80": false} {
		if err := CheckListen(addr, None{}); (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if err := CheckListen("0.0.0.0:80", guard{}); err != nil {
		t.Error(err)
	}
}

type guard struct{ None }

func (guard) Guards() bool { return true }

func TestTracesGoOnOrBegin(t *testing.T) {
	a := app(t, nil)
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for given, keeps := range map[string]bool{good: true, "": false, strings.ToUpper(good): false, good[:54]: false, "00-" + strings.Repeat("0", 32) + good[35:]: false} {
		_, body := ask(t, a, "GET", "/who/x", "traceparent", given)
		trace := strings.Fields(body)[2]
		if !wellFormedTrace(trace) || (trace == good) != keeps {
			t.Errorf("%q goes on as %q", given, trace)
		}
	}
}

func TestPreferences(t *testing.T) {
	for header, want := range map[string]Preference{
		"": {}, "respond-async": {Async: true}, "wait=5": {Wait: 5 * time.Second}, `foo; bar, WAIT="7"`: {Wait: 7 * time.Second}, "wait=3, wait=9": {Wait: 3 * time.Second},
		"wait=3600": {Wait: MaxWait}, "respond-async, wait=10": {Async: true}, "wait=-1": {}, "wait=x": {}, "wait": {}, ",,": {},
	} {
		if got := ParsePrefer(header); got != want {
			t.Errorf("%q: %+v, want %+v", header, got, want)
		}
	}
}

func TestACursorIsForItsListOnly(t *testing.T) {
	s := NewCursors([]byte("key"))
	c := s.Encode("orders of a", []byte("place"))
	if got, err := s.Decode("orders of a", c); err != nil || string(got) != "place" {
		t.Errorf("%q, %v", got, err)
	}
	for name, try := range map[string]func() ([]byte, error){
		"another list": func() ([]byte, error) { return s.Decode("orders of b", c) },
		"another key":  func() ([]byte, error) { return NewCursors([]byte("other")).Decode("orders of a", c) },
		"a bent one":   func() ([]byte, error) { return s.Decode("orders of a", c[:len(c)-1]+"A") },
		"a short one":  func() ([]byte, error) { return s.Decode("orders of a", "AAAA") },
		"no base64":    func() ([]byte, error) { return s.Decode("orders of a", "!") },
	} {
		if got, err := try(); err == nil {
			t.Errorf("%s was taken for %q", name, got)
		}
	}
}

func TestDecodeSaysWhatIsWrongInTermsOfJSON(t *testing.T) {
	type inner struct {
		N int64 `json:"n"`
	}
	type outer struct {
		A []inner           `json:"a"`
		S string            `json:"s"`
		B bool              `json:"b"`
		M map[string]string `json:"m"`
	}
	for body, want := range map[string]string{
		`{"a":[{"n":1},{"n":"x"}]}`: "/p/a/1/n a whole number", `{"a":{}}`: "/p/a an array", `{"s":5}`: "/p/s a string", `{"b":"x"}`: "/p/b true or false",
		`{"m":{"k":1}}`: "/p/m/k a string", `{"a/b":1}`: "/p/a~1b is no field", `{"m":{"k":"1","k":"2"}}`: "/p/m/k must be given once", `{"s":"a"`: "/p must be well-formed",
	} {
		p := Decode([]byte(body), new(outer), "/p", nil, nil)
		pointer, rule, _ := strings.Cut(want, " ")
		if p == nil || !strings.HasPrefix(p.Errors[0].Pointer, pointer) || !strings.Contains(p.Errors[0].Rule, rule) || strings.Contains(p.Errors[0].Rule, "Go ") {
			t.Errorf("%s: %+v, want %s", body, p, want)
		}
	}
	var got outer
	if p := Decode([]byte(` {"a":[{"n":-9223372036854775808}],"s":"\u00e9 null","m":{"k":"v"}} `), &got, "", nil, nil); p != nil || got.S != "é null" || got.M["k"] != "v" {
		t.Errorf("%+v %v", got, p)
	}
}

func FuzzDecodeNeverPanicsAndAlwaysPoints(f *testing.F) {
	for _, seed := range []string{`{"s":"null"}`, `{"a":[1,null]}`, `{"s":"\u0031"}`, `[[[[`, `{"":""}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var into struct {
			S string  `json:"s"`
			A []int64 `json:"a"`
		}
		p := Decode(body, &into, "", func([]byte) bool { return true }, func(string) (string, string) { return "", "" })
		if p != nil && (len(p.Errors) == 0 || p.Errors[0].Rule == "" || p.Status < 400) {
			t.Fatalf("%q: %+v", body, p)
		}
		if p == nil && !json.Valid(body) {
			t.Fatalf("%q was taken", body)
		}
	})
}

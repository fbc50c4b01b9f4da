package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/gofiber/fiber/v2"
	"github.com/parquet-go/parquet-go"

	"oms/ingest"
	"oms/internal/clickhouse"
	"oms/internal/web"
	"oms/views/clickhouse/reports"
)

// as is an authenticator that takes everybody for one principal.
type as struct{ web.Principal }

func (as) Guards() bool                                     { return true }
func (a as) Authenticate(*fiber.Ctx) (web.Principal, error) { return a.Principal, nil }

var staffOf = func(tenant string) as {
	return as{web.Principal{Tenant: tenant, Subject: "s", Staff: true, Scopes: []string{ScopeReports}}}
}

// serve a desk to a principal; the answer is its URL.
func serve(t testing.TB, who web.Authenticator, change func(*Config)) string {
	t.Helper()
	_, reader := shop(t)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	cfg := Config{Conn: func() (driver.Conn, error) { return reader, nil }, Now: func() time.Time { return now }, Log: log}
	if change != nil {
		change(&cfg)
	}
	app := web.New(web.Config{Authenticator: who, Log: log})
	New(cfg).Routes(app)
	ctx, stop := context.WithCancel(context.Background())
	bound, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- web.Listen(ctx, app, "127.0.0.1:0", time.Second, func(a string) { bound <- a })
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return "http://" + <-bound
}

type heard struct {
	*http.Response
	body    []byte
	problem web.Problem
}

// get asks and holds the answer to the description of the endpoints.
func get(t testing.TB, address string, headers ...string) heard {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	h := heard{Response: res}
	if h.body, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode >= 400 {
		if json.Unmarshal(h.body, &h.problem); res.Header.Get("Content-Type") != "application/problem+json" || h.problem.Code == "" || !bytes.Contains(docs(t), []byte(`id="`+h.problem.Code+`"`)) {
			t.Errorf("%s: %d %s %s is no problem that /docs explains", address, res.StatusCode, res.Header.Get("Content-Type"), h.body)
		}
	}
	conforms(t, req, res, h.body)
	return h
}

var described = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(ingest.OpenAPI)
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

func conforms(t testing.TB, req *http.Request, res *http.Response, body []byte) {
	t.Helper()
	router, err := described()
	if err != nil {
		t.Fatal(err)
	}
	bare, _ := http.NewRequestWithContext(req.Context(), req.Method, "http://127.0.0.1"+req.URL.RequestURI(), nil)
	route, params, err := router.FindRoute(bare)
	if err != nil {
		if strings.HasPrefix(req.URL.Path, "/api/reports") {
			t.Errorf("%s is not described: %v", req.URL, err)
		}
		return
	}
	err = openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: bare, Route: route, PathParams: params},
		Status:                 res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)), Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: !strings.Contains(res.Header.Get("Content-Type"), "json")},
	})
	if err != nil {
		t.Errorf("%s: %d %.300s is not as described: %v", req.URL, res.StatusCode, body, err)
	}
}

const span = "from=2026-05-01&to=2026-06-01"

// spanOf is the span as the report takes it.
func spanOf(r reports.Report) string {
	for _, p := range r.Params {
		if p.Name == "from" {
			return span
		}
	}
	return ""
}

func TestTheListHasEveryReportAndHowFreshItIs(t *testing.T) {
	at := serve(t, staffOf("default"), func(c *Config) { c.Behind = func() (int64, bool) { return 7, true } })
	h := get(t, at+"/api/reports")
	var all catalogue
	if err := json.Unmarshal(h.body, &all); err != nil || h.StatusCode != 200 {
		t.Fatal(h.StatusCode, err)
	}
	if len(all.Reports) != len(reports.All()) || all.Analytics != "on" || all.NewestAt == nil || all.NewestAt.Before(now.AddDate(0, 0, -1)) || *all.Behind != 7 {
		t.Errorf("%s", h.body)
	}
	for _, r := range all.Reports {
		if r.Title == "" || r.Question == "" || r.Chart.Kind == "" || r.Group == "More" {
			t.Errorf("%+v", r)
		}
	}
	if h := get(t, at+"/api/reports?x=1"); h.StatusCode != 400 {
		t.Errorf("%d", h.StatusCode)
	}
}

func TestEveryReportComesInEveryFormat(t *testing.T) {
	at := serve(t, staffOf("default"), nil)
	for _, r := range reports.All() {
		address := at + "/api/reports/" + r.Name + "?" + spanOf(r)
		var doc struct {
			Columns []Column
			Rows    []map[string]any
		}
		h := get(t, address)
		if err := json.Unmarshal(h.body, &doc); err != nil || h.StatusCode != 200 || len(doc.Columns) == 0 || len(doc.Rows) == 0 {
			t.Errorf("%s: %d %.200s %v: the shop of the tests has nothing for it", r.Name, h.StatusCode, h.body, err)
			continue
		}
		c := get(t, address, "Accept", "text/csv")
		if lines := bytes.Count(c.body, []byte("\r\n")); c.StatusCode != 200 || lines < len(doc.Rows)+1 || c.Header.Get("Content-Disposition") == "" || !strings.HasPrefix(string(c.body), doc.Columns[0].Name) {
			t.Errorf("%s: %d, %d lines for %d rows", r.Name, c.StatusCode, lines, len(doc.Rows))
		}
		p := get(t, address, "Accept", "application/vnd.apache.parquet, */*;q=0.1")
		if f, err := parquet.OpenFile(bytes.NewReader(p.body), int64(len(p.body))); err != nil || f.NumRows() != int64(len(doc.Rows)) {
			t.Errorf("%s: %v", r.Name, err)
		}
		s := get(t, address+"&format=svg&theme=dark&width=320")
		if r.Chart.Kind == "none" {
			if s.StatusCode != 406 {
				t.Errorf("%s has no chart: %d", r.Name, s.StatusCode)
			}
		} else if s.StatusCode != 200 || !bytes.HasPrefix(s.body, []byte(`<svg xmlns="http://www.w3.org/2000/svg"`)) || !bytes.Contains(s.body, []byte("#151b26")) && !bytes.Contains(s.body, []byte("rgb(21,27,38)")) {
			t.Errorf("%s: %d %.300s", r.Name, s.StatusCode, s.body)
		}
	}
}

func TestWhatCannotBeAskedIsRefusedWithItsName(t *testing.T) {
	at := serve(t, staffOf("default"), nil)
	for path, want := range map[string]string{
		"/api/reports/nothing":                             "404 NOT_FOUND ",
		"/api/reports/sales.sql":                           "404 NOT_FOUND ",
		"/api/reports/%2e%2e%2fsales":                      "404 NOT_FOUND ",
		"/api/reports/sales?form=1":                        "400 BAD_PARAMETER ",
		"/api/reports/sales?tenant=other":                  "400 BAD_PARAMETER ",
		"/api/reports/sales?from=2026-05-01&from=x":        "400 BAD_PARAMETER ",
		"/api/reports/sales?from=yesterday":                "400 BAD_PARAMETER /from",
		"/api/reports/sales?from=2026-06-02&to=2026-06-01": "400 BAD_PARAMETER /from",
		"/api/reports/sales?granularity=second":            "400 BAD_PARAMETER /granularity",
		"/api/reports/sales?format=xml":                    "400 BAD_PARAMETER ",
		"/api/reports/sales?format=":                       "400 BAD_PARAMETER ",
		"/api/reports/sales?theme=pink":                    "400 BAD_PARAMETER ",
		"/api/reports/sales?width=9":                       "400 BAD_PARAMETER ",
		"/api/reports/sales?rows=0":                        "400 BAD_PARAMETER ",
	} {
		h := get(t, at+path)
		pointer := ""
		if len(h.problem.Errors) > 0 {
			pointer = h.problem.Errors[0].Pointer
		}
		if got := fmt.Sprintf("%d %s %s", h.StatusCode, h.problem.Code, pointer); got != want {
			t.Errorf("%s: %s, want %s: %s", path, got, want, h.body)
		}
	}
	if h := get(t, at+"/api/reports/sales", "Accept", "text/html"); h.StatusCode != 406 || h.problem.Code != codeNotAcceptable {
		t.Errorf("%d %s", h.StatusCode, h.body)
	}
}

func TestNoReportTakesAParameterOfOurs(t *testing.T) {
	for _, r := range reports.All() {
		for _, p := range r.Params {
			if slices.Contains(ownParameters, p.Name) {
				t.Errorf("%s takes %s", r.Name, p.Name)
			}
		}
	}
}

func TestReportsAreForTheStaff(t *testing.T) {
	for name, who := range map[string]web.Principal{"a customer": {Tenant: "default", Subject: "cus_1", Scopes: []string{web.Every}}, "staff without the scope": {Tenant: "default", Staff: true, Scopes: []string{"orders:write"}}} {
		at := serve(t, as{who}, nil)
		for _, path := range []string{"/api/reports", "/api/reports/sales"} {
			if h := get(t, at+path); h.StatusCode != 403 {
				t.Errorf("%s: %s: %d", name, path, h.StatusCode)
			}
		}
	}
}

// custom is a report of a test.
func custom(name, sql string, params ...reports.Param) func(*Config) {
	return func(c *Config) {
		c.Reports = []reports.Report{{Name: name, Title: name, Question: "?", Chart: reports.Chart{Kind: "none"}, SQL: sql, Params: params}}
	}
}

const endless = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1 AND {tenant:String} != ''"

func TestAReportHasLimits(t *testing.T) {
	conn, _ := shop(t)
	for name, tt := range map[string]struct {
		sql    string
		limits Limits
		status int
		code   string
	}{
		"time":          {endless, Limits{Time: time.Second}, 504, "TIMEOUT"},
		"memory":        {"SELECT uniqExact(number) FROM numbers(100000000) WHERE {tenant:String} != ''", Limits{Memory: 20 << 20}, 422, "TOO_LARGE"},
		"rows":          {"SELECT number FROM numbers(2000) WHERE {tenant:String} != ''", Limits{Rows: 1000}, 422, "TOO_LARGE"},
		"no such table": {"SELECT {tenant:String} FROM nowhere", Limits{}, 503, "UNAVAILABLE"},
		"writing":       {"INSERT INTO products (tenant) VALUES ({tenant:String})", Limits{}, 500, "INTERNAL"},
		"changing":      {"ALTER TABLE products DELETE WHERE tenant = {tenant:String}", Limits{}, 500, "INTERNAL"},
		"a defect":      {"SELECT nonsense({tenant:String})", Limits{}, 500, "INTERNAL"},
	} {
		for user, at := range map[string]string{
			"reader": serve(t, staffOf("default"), func(c *Config) { custom("r", tt.sql)(c); c.Limits = tt.limits }),
			"full": serve(t, staffOf("default"), func(c *Config) {
				custom("r", tt.sql)(c)
				c.Limits = tt.limits
				c.Conn = func() (driver.Conn, error) { return conn, nil }
			}),
		} {
			if name == "memory" && user == "reader" {
				continue // it has a limit of its own
			}
			if h := get(t, at+"/api/reports/r"); h.StatusCode != tt.status || h.problem.Code != tt.code || tt.status == 503 && h.Header.Get("Retry-After") == "" {
				t.Errorf("%s, %s: %d %s", name, user, h.StatusCode, h.body)
			}
		}
	}
}

func TestWithoutClickHouseTheClientHearsWhy(t *testing.T) {
	away, err := clickhouse.Open("http://127.0.0.1:1/oms")
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	for want, conn := range map[string]func() (driver.Conn, error){
		"off":  func() (driver.Conn, error) { return nil, fmt.Errorf("%w: no library", ErrOff) },
		"away": func() (driver.Conn, error) { return away, nil },
		"late": func() (driver.Conn, error) { return nil, errors.New("it starts") },
	} {
		at := serve(t, staffOf("default"), func(c *Config) { c.Conn = conn })
		h := get(t, at+"/api/reports/sales")
		if h.StatusCode != 503 || h.Header.Get("Retry-After") == "" || (want == "off") != strings.Contains(h.problem.Detail, "analytics is off") {
			t.Errorf("%s: %d %s", want, h.StatusCode, h.body)
		}
		state := want
		if state == "late" {
			state = "away"
		}
		if h := get(t, at+"/api/reports"); h.StatusCode != 200 || !bytes.Contains(h.body, []byte(`"analytics":"`+state+`"`)) {
			t.Errorf("%s: %d %.100s", want, h.StatusCode, h.body)
		}
	}
}

// A large answer is streamed: it has no length, and breaks off when it fails.
func TestALargeAnswerIsStreamedOrBrokenOff(t *testing.T) {
	at := serve(t, staffOf("default"), custom("r", "SELECT number, {tenant:String} AS tenant FROM numbers(300000)"))
	h := get(t, at+"/api/reports/r?format=csv")
	if h.StatusCode != 200 || h.ContentLength >= 0 || bytes.Count(h.body, []byte("\r\n")) != 300_001 {
		t.Errorf("%d, length %d, %d bytes", h.StatusCode, h.ContentLength, len(h.body))
	}
	at = serve(t, staffOf("default"), custom("r", "SELECT throwIf(number = 900000) AS n, {tenant:String} AS tenant FROM numbers(1000000) SETTINGS max_block_size = 1000"))
	res, err := http.Get(at + "/api/reports/r?format=csv")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if n, err := io.Copy(io.Discard, res.Body); err == nil || n == 0 {
		t.Errorf("%d bytes and the end looks like one: %v", n, err)
	}
}

// running tells how many statements with the mark are at work.
func running(t testing.TB, mark string) (n uint64) {
	conn, _ := shop(t)
	if err := conn.QueryRow(t.Context(), "SELECT count() FROM system.processes WHERE position(query, '"+mark[:4]+"' || '"+mark[4:]+"') > 0").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestAClientThatGoesEndsTheStatement(t *testing.T) {
	const mark = "goesaway"
	for name, sql := range map[string]string{
		"before the first row": "SELECT '" + mark + "', count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1 AND {tenant:String} != ''",
		"in the middle":        "SELECT '" + mark + "', number, {tenant:String} FROM numbers(1000000000000)",
	} {
		at := serve(t, staffOf("default"), func(c *Config) { custom("r", sql)(c); c.Limits = Limits{Time: time.Minute, Rows: 1 << 50} })
		u, _ := url.Parse(at)
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET /api/reports/r?format=csv HTTP/1.1\r\nHost: localhost\r\n\r\n")
		eventually(t, name+": the statement runs", func() bool { return running(t, mark) > 0 })
		c.Close()
		eventually(t, name+": the statement has ended", func() bool { return running(t, mark) == 0 })
	}
}

func TestReportsThatFindNoPlaceAreAskedToComeAgain(t *testing.T) {
	const mark = "takesall"
	at := serve(t, staffOf("default"), func(c *Config) {
		custom("r", "SELECT '"+mark+"', count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1 AND {tenant:String} != ''")(c)
		c.AtOnce, c.Limits = 1, Limits{Time: time.Minute}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, at+"/api/reports/r", nil)
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	eventually(t, "the first runs", func() bool { return running(t, mark) > 0 })
	if h := get(t, at+"/api/reports/r"); h.StatusCode != 503 || !strings.Contains(h.problem.Detail, "other reports") {
		t.Errorf("%d %s", h.StatusCode, h.body)
	}
	cancel()
	<-gone
	eventually(t, "it has ended", func() bool { return running(t, mark) == 0 })
}

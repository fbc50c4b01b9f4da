package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// described is the document of the endpoints, checked.
var described = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(OpenAPI)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// conforms checks an answer of the server against the document; every answer of every test comes by here.
func conforms(t *testing.T, method, path string, h heard) {
	t.Helper()
	router, err := described()
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(method, path, nil)
	route, params, err := router.FindRoute(req)
	if err != nil {
		return // a path that is none
	}
	if route.Operation.Responses.Value(h.Status[:3]) == nil {
		t.Errorf("%s %s: status %d is not declared", method, route.Path, h.StatusCode)
		return
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, Route: route, PathParams: params},
		Status:                 h.StatusCode, Header: h.Header, Options: &openapi3filter.Options{IncludeResponseStatus: true},
		Body: readCloser{bytes.NewReader(h.body)},
	})
	if err != nil {
		t.Errorf("%s %s: %d %s: %v", method, route.Path, h.StatusCode, h.body, err)
	}
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

func TestEveryExampleOfACommandIsTaken(t *testing.T) {
	router, err := described()
	if err != nil {
		t.Fatal(err)
	}
	doc, _ := openapi3.NewLoader().LoadFromData(OpenAPI)
	w := newWorld(t, staff)
	ran := 0
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody == nil {
				continue
			}
			example, err := json.Marshal(op.RequestBody.Value.Content["application/json"].Schema.Value.Example)
			if err != nil || len(example) < 3 {
				t.Fatalf("%s %s: example %s: %v", method, path, example, err)
			}
			path := regexp.MustCompile(`\{[a-zA-Z]+\}`).ReplaceAllString(path, "example-1")
			req := httptest.NewRequest(method, path, bytes.NewReader(example))
			req.Header.Set("Content-Type", "application/json")
			route, params, err := router.FindRoute(req)
			if err != nil {
				t.Fatal(err)
			}
			if err := openapi3filter.ValidateRequest(context.Background(), &openapi3filter.RequestValidationInput{Request: req, Route: route, PathParams: params}); err != nil {
				t.Errorf("%s %s: the example breaks the document: %v", method, path, err)
			}
			if h := w.call(t, method, path, string(example)); h.StatusCode >= 300 {
				t.Errorf("%s %s: the example is refused: %d %s", method, path, h.StatusCode, h.body)
			}
			ran++
		}
	}
	if ran != len(w.produced) || ran == 0 {
		t.Errorf("%d examples became %d records", ran, len(w.produced))
	}
}

// Examples of answers are what clients are written against, so they hold to their own schemas.
func TestEveryExampleHoldsToItsSchema(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range doc.Components.Schemas {
		if s.Value.Example == nil {
			continue
		}
		if err := s.Value.VisitJSON(s.Value.Example, openapi3.EnableJSONSchema2020()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryRouteIsDescribed(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	params := regexp.MustCompile(`\{[a-zA-Z]+\}|:[a-zA-Z]+`)
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			known[method+" "+strings.ReplaceAll(params.ReplaceAllString(strings.ReplaceAll(path, ":batch", "~batch"), "{}"), "~", ":")] = true
		}
	}
	w := newWorld(t, staff)
	var missing []string
	for _, r := range w.app.GetRoutes(true) {
		path := strings.ReplaceAll(params.ReplaceAllString(strings.ReplaceAll(r.Path, `\:`, "~"), "{}"), "~", ":")
		about := path == "/" || path == "/openapi.json" || path == "/docs" || r.Method == http.MethodHead
		if !about && !known[r.Method+" "+path] {
			missing = append(missing, r.Method+" "+r.Path)
		}
	}
	if sort.Strings(missing); len(missing) > 0 {
		t.Errorf("not in openapi.json: %v", missing)
	}
}

func TestTheDocumentsAreServed(t *testing.T) {
	w := newWorld(t, staff)
	for path, want := range map[string]string{"/openapi.json": `"openapi": "3.1.0"`, "/docs": "<!doctype html>"} {
		if h := w.call(t, "GET", path, ""); h.StatusCode != 200 || !bytes.Contains(h.body, []byte(want)) {
			t.Errorf("%s: %d", path, h.StatusCode)
		}
	}
	if h := w.call(t, "GET", "/", ""); h.StatusCode != 302 || h.Header.Get("Location") != "/docs" {
		t.Errorf("the root leads to %d %s", h.StatusCode, h.Header.Get("Location"))
	}
}

// A problem's type is a link to the page of the codes.
func TestEveryCodeIsExplained(t *testing.T) {
	w := newWorld(t, staff)
	page := string(docsPage)
	for code := range refusals {
		if !strings.Contains(page, `id="`+string(code)+`"`) {
			t.Errorf("/docs has no %s", code)
		}
	}
	for _, body := range []string{goodOrder[:9], field("a", "1"), with("EUR", "EUX"), with("2}", "0}"), with("tok_1", "4111111111111111")} {
		if h := w.call(t, "POST", "/api/orders", body); !strings.Contains(page, `id="`+h.problem.Code+`"`) || h.problem.Type != "/docs#"+h.problem.Code {
			t.Errorf("/docs has no %s", h.problem.Code)
		}
	}
}

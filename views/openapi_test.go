package views

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"oms/ingest"
)

// A problem's type is a link to the page of the codes.
func TestTheCodeOfTheViewsIsExplained(t *testing.T) {
	page, err := os.ReadFile("../ingest/docs.html")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, []byte(`id="`+codeNotReached+`"`)) {
		t.Errorf("/docs has no %s", codeNotReached)
	}
}

var described = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(ingest.OpenAPI)
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// conforms checks an answer against the description of the endpoints; every answer that a test gets comes by here.
func conforms(t testing.TB, req *http.Request, res *http.Response, body []byte) {
	t.Helper()
	router, err := described()
	if err != nil {
		t.Fatal(err)
	}
	bare, err := http.NewRequestWithContext(req.Context(), req.Method, "http://127.0.0.1"+req.URL.RequestURI(), nil)
	if err != nil {
		t.Fatal(err)
	}
	route, params, err := router.FindRoute(bare)
	if err != nil {
		return // not described: what only schema registry clients ask
	}
	err = openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: bare, Route: route, PathParams: params},
		Status:                 res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		t.Errorf("%s: %d %s is not as described: %v", req.URL, res.StatusCode, body, err)
	}
}

package httpd

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"

	"oms/internal/clickhouse/chdb"
)

// exceptionf is an exception in ClickHouse's form.
func exceptionf(code int, name, format string, args ...any) error {
	return &chdb.Error{Text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), name)}
}

var codeOf = regexp.MustCompile(`^Code: *(\d+)`)

// textOf is what the client is told of an error, and its code.
func textOf(err error) (text, code string) {
	if _, ok := errors.AsType[*chdb.Error](err); !ok {
		err = exceptionf(1000, "POCO_EXCEPTION", "%v", err)
	}
	text = err.Error()
	if m := codeOf.FindStringSubmatch(text); m != nil {
		return text, m[1]
	}
	return text, "1000"
}

// statuses are the HTTP statuses of exception codes, as ClickHouse has them; of all others 500.
var statuses = map[int][]string{
	http.StatusForbidden:          {"192", "193", "194", "497", "516"},
	http.StatusNotFound:           {"46", "47", "60", "81"},
	http.StatusBadRequest:         {"6", "26", "27", "33", "36", "38", "41", "42", "43", "48", "53", "62", "70", "72", "115", "386", "456", "457"},
	http.StatusRequestTimeout:     {"159"},
	http.StatusServiceUnavailable: {"202", "236", "252"},
}

// fail answers an exception before the first byte of a result.
func fail(w http.ResponseWriter, err error) {
	text, code := textOf(err)
	status := http.StatusInternalServerError
	for s, codes := range statuses {
		if slices.Contains(codes, code) {
			status = s
		}
	}
	h := w.Header()
	h.Del("Content-Encoding")
	h.Del("Content-Length")
	h.Set("X-ClickHouse-Exception-Code", code)
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

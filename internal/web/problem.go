package web

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"
)

// Problem is the body of every answer that is no success (RFC 9457, application/problem+json). It is also the error that handlers return.
type Problem struct {
	Type    string  `json:"type"`            // URI reference of the description of Code, on this server
	Title   string  `json:"title"`           // Code in words
	Status  int     `json:"status"`          // HTTP status
	Code    string  `json:"code"`            // stable name, for programs
	Detail  string  `json:"detail"`          // what happened to this request
	Errors  []Fault `json:"errors,omitzero"` // what is wrong with its body
	TraceID string  `json:"trace_id,omitzero"`

	LegalNext      []string         `json:"legal_next,omitzero"`      // statuses that the thing may move to
	Numbers        map[string]int64 `json:"numbers,omitzero"`         // quantities behind a refusal
	Version        int64            `json:"version,omitzero"`         // version of the thing that refused
	IdempotencyKey string           `json:"idempotency_key,omitzero"` // repeat the request with it

	RetryAfter time.Duration `json:"-"` // when > 0, the Retry-After header, in whole seconds
}

// Fault is one thing wrong with a body.
type Fault struct {
	Pointer string `json:"pointer"`        // JSON pointer (RFC 6901); empty: the whole body
	Code    string `json:"code"`           // stable name
	Rule    string `json:"rule"`           // what would have been right, in words
	Value   string `json:"value,omitzero"` // what was there, cut short; never of a secret
}

// Codes of problems that any room may answer.
const (
	CodeMalformedJSON = "MALFORMED_JSON" // 400
	CodeDuplicateName = "DUPLICATE_NAME" // 400
	CodeBadHeader     = "BAD_HEADER"     // 400
	CodeBadParameter  = "BAD_PARAMETER"  // 400
	CodeUnauthorized  = "UNAUTHENTICATED"
	CodeForbidden     = "FORBIDDEN"
	CodeNotFound      = "NOT_FOUND"
	CodeUnknownName   = "UNKNOWN_NAME" // 422, and all below but the last three
	CodeWrongType     = "WRONG_TYPE"
	CodeRequired      = "REQUIRED"
	CodeInvalid       = "INVALID"
	CodeTooLarge      = "TOO_LARGE"
	CodeUnavailable   = "UNAVAILABLE" // 503
	CodeInternal      = "INTERNAL"    // 500
)

// NewProblem of a status and a code.
func NewProblem(status int, code, detail string) *Problem {
	return &Problem{Type: "/docs#" + code, Title: words(code), Status: status, Code: code, Detail: detail}
}

// words is "NOT_FOUND" as "Not found".
func words(code string) string {
	if code == "" {
		return ""
	}
	return code[:1] + strings.ToLower(strings.ReplaceAll(code[1:], "_", " "))
}

func (p *Problem) Error() string { return strconv.Itoa(p.Status) + " " + p.Code + ": " + p.Detail }

// NotFound is also the answer about a thing that is there but not the caller's.
func NotFound(what string) *Problem {
	return NewProblem(http.StatusNotFound, CodeNotFound, "there is no such "+what)
}

// Unavailable asks the client to come again.
func Unavailable(detail string, after time.Duration) *Problem {
	p := NewProblem(http.StatusServiceUnavailable, CodeUnavailable, detail)
	p.RetryAfter = after
	return p
}

// BadHeader names a header, its value and the rule it broke.
func BadHeader(name, value, rule string) *Problem {
	return NewProblem(http.StatusBadRequest, CodeBadHeader, "header "+name+" is "+strconv.Quote(short(value))+": "+rule)
}

// BadParameter names a parameter of the path or query, its value and the rule it broke.
func BadParameter(name, value, rule string) *Problem {
	return NewProblem(http.StatusBadRequest, CodeBadParameter, "parameter "+name+" is "+strconv.Quote(short(value))+": "+rule)
}

// Faults gathers everything wrong with one body, so that a client mends it in one go.
type Faults []Fault

// maxFaults bounds an answer; what comes after it is no news.
const maxFaults = 20

// Add notes that the value at the pointer breaks the rule.
func (f *Faults) Add(pointer, code, rule, value string) {
	if len(*f) < maxFaults {
		*f = append(*f, Fault{Pointer: pointer, Code: code, Rule: rule, Value: short(value)})
	}
}

// Problem of the faults, under the code of the first one; nil without any.
func (f Faults) Problem() *Problem {
	if len(f) == 0 {
		return nil
	}
	status := http.StatusUnprocessableEntity
	if f[0].Code == CodeMalformedJSON || f[0].Code == CodeDuplicateName {
		status = http.StatusBadRequest
	}
	p := NewProblem(status, f[0].Code, cmp.Or(f[0].Pointer, "the body")+": "+f[0].Rule)
	p.Errors = f
	return p
}

// short cuts a value for an answer, at a character's start.
func short(s string) string {
	const most = 80
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// ProblemOf sorts any error that reached the top; what nobody foresaw says nothing about itself to the outside.
func ProblemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var fe *fiber.Error
	if !errors.As(err, &fe) {
		return NewProblem(http.StatusInternalServerError, CodeInternal, "the server failed; its log has more under the trace id")
	}
	switch fe.Code {
	case http.StatusNotFound:
		return NewProblem(fe.Code, CodeNotFound, "there is no such path")
	case http.StatusMethodNotAllowed:
		return NewProblem(fe.Code, "METHOD_NOT_ALLOWED", "the path does not take this method; the Allow header has those it takes")
	case http.StatusRequestEntityTooLarge:
		return NewProblem(fe.Code, CodeTooLarge, "the body is larger than "+strconv.Itoa(BodyLimit)+" bytes")
	case http.StatusRequestHeaderFieldsTooLarge:
		return NewProblem(fe.Code, CodeTooLarge, "the headers are larger than "+strconv.Itoa(headerLimit)+" bytes")
	case http.StatusRequestTimeout:
		return NewProblem(fe.Code, "TIMEOUT", "the request did not arrive within "+readTimeout.String())
	case http.StatusBadRequest:
		return NewProblem(fe.Code, "BAD_REQUEST", "this is no HTTP request that the server understands")
	}
	return NewProblem(fe.Code, strings.ToUpper(strings.ReplaceAll(http.StatusText(fe.Code), " ", "_")), fe.Message)
}

// send writes the problem as the answer.
func (p *Problem) send(c *fiber.Ctx) error {
	answer := *p // a problem may be a shared value
	answer.TraceID = TraceID(c)
	body, err := json.Marshal(&answer, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return err
	}
	if p.RetryAfter > 0 {
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	if p.Version > 0 {
		c.Set(fiber.HeaderETag, ETag(p.Version))
	}
	if p.Status == http.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	}
	c.Set(fiber.HeaderContentType, "application/problem+json")
	return c.Status(p.Status).Send(body)
}

package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// Document is a thing as the read side shows it.
type Document struct {
	Body    json.RawMessage
	Version int64 // of the row that it shows
	Found   bool
}

// ETag is the entity tag of a version.
func ETag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// Send answers with the document and its version as ETag.
func (d Document) Send(c *fiber.Ctx, status int) error {
	c.Set(fiber.HeaderETag, ETag(d.Version))
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(status).Send(d.Body)
}

// IfMatch is the version that the request wants to change; nil without the header, or when any will do.
func IfMatch(c *fiber.Ctx) (*int64, error) {
	given := Header(c, fiber.HeaderIfMatch)
	if given == "" || given == "*" {
		return nil, nil
	}
	v, err := strconv.ParseInt(strings.Trim(given, `"`), 10, 64)
	if err != nil || v < 0 || ETag(v) != given && strconv.FormatInt(v, 10) != given { // without quotes too: some clients drop them
		return nil, BadHeader(fiber.HeaderIfMatch, given, `must be * or one ETag that this server gave, such as "3"`)
	}
	return &v, nil
}

// NoneMatch tells whether the client already has the version (If-None-Match): answer 304.
func NoneMatch(c *fiber.Ctx, version int64) bool {
	given := c.Get(fiber.HeaderIfNoneMatch)
	if given == "" {
		return false
	}
	tags := strings.Split(given, ",")
	return slices.ContainsFunc(tags, func(tag string) bool {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		return tag == "*" || tag == ETag(version)
	})
}

// OnlyQuery refuses parameters that the path does not take: a misspelt filter would answer everything. Given twice, one of them would be ignored.
func OnlyQuery(c *fiber.Ctx, names ...string) error {
	var bad error
	seen := map[string]bool{}
	c.Context().QueryArgs().VisitAll(func(n, value []byte) {
		name := string(n)
		switch {
		case !slices.Contains(names, name):
			bad = BadParameter(strconv.Quote(short(name)), string(value), "this path takes only "+strings.Join(names, ", "))
		case seen[name]:
			bad = BadParameter(name, string(value), "must be given once")
		}
		seen[name] = true
	})
	return bad
}

// Limit is the page size asked for by ?limit=; def without one.
func Limit(c *fiber.Ctx, def, most int) (int, error) {
	given := c.Query("limit")
	if given == "" {
		return def, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > most {
		return 0, BadParameter("limit", given, "must be a whole number from 1 to "+strconv.Itoa(most))
	}
	return n, nil
}

// AsProblem is the problem in err, if there is one.
func AsProblem(err error) (*Problem, bool) {
	var p *Problem
	ok := errors.As(err, &p)
	return p, ok
}

// NotModified answers 304.
func NotModified(c *fiber.Ctx, version int64) error {
	c.Set(fiber.HeaderETag, ETag(version))
	return c.SendStatus(http.StatusNotModified)
}

package web

import (
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
)

// Preference is how long the client wants to wait for an outcome (RFC 7240).
type Preference struct {
	Async bool          // answer as soon as the request is safe
	Wait  time.Duration // > 0: wait that long for the decision
}

// MaxWait bounds Prefer: wait=N.
const MaxWait = 30 * time.Second

// Prefer reads the Prefer header and says in Preference-Applied what is honoured. Unknown and malformed preferences are ignored, as the standard wants;
// respond-async goes before wait.
func Prefer(c *fiber.Ctx) Preference {
	p := ParsePrefer(c.Get("Prefer"))
	switch {
	case p.Async:
		c.Set("Preference-Applied", "respond-async")
	case p.Wait > 0:
		c.Set("Preference-Applied", "wait="+strconv.Itoa(int(p.Wait/time.Second)))
	}
	return p
}

// ParsePrefer reads one header value. The first of several equal preferences counts.
func ParsePrefer(header string) (p Preference) {
	for part := range strings.SplitSeq(header, ",") {
		token, _, _ := strings.Cut(part, ";")
		name, value, _ := strings.Cut(token, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "respond-async":
			p.Async = true
		case "wait":
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err == nil && p.Wait == 0 {
				p.Wait = min(time.Duration(n)*time.Second, MaxWait)
			}
		}
	}
	if p.Async {
		p.Wait = 0
	}
	return p
}

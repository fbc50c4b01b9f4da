package web

import (
	"bytes"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
)

// ScopeProfile is for what shows the inside of the process and costs it processor time.
const ScopeProfile = "operations:profile"

const (
	profileSeconds = 30 // as go tool pprof expects it
	// ProfileMost is the longest profile of the processor, in seconds: it goes on when its client is gone.
	ProfileMost = 300
)

// Profile serves the profiles of Go's runtime as /debug/pprof/NAME: profile (of the processor, for so many seconds), heap, allocs, goroutine and what else the runtime has. In
// that of the processor the label "part" tells for which part of the process a sample was spent; what a timer starts has none.
func Profile(r fiber.Router) {
	r.Get("/debug/pprof/:name", func(c *fiber.Ctx) error {
		if err := Who(c).Require(ScopeProfile); err != nil {
			return err
		}
		name, err := Param(c, "name")
		if err != nil {
			return err
		}
		var b bytes.Buffer
		switch known := pprof.Lookup(name); {
		case name == "profile":
			err = profileProcessor(c, &b)
		case known == nil:
			err = NotFound("profile")
		default:
			err = known.WriteTo(&b, 0)
		}
		if err != nil {
			return err
		}
		c.Set(fiber.HeaderContentType, fiber.MIMEOctetStream)
		return c.Send(b.Bytes())
	})
}

func profileProcessor(c *fiber.Ctx, b *bytes.Buffer) error {
	seconds, given := profileSeconds, c.Query("seconds")
	if given != "" {
		var err error
		if seconds, err = strconv.Atoi(given); err != nil || seconds < 1 || seconds > ProfileMost {
			return BadParameter("seconds", given, "want 1 to "+strconv.Itoa(ProfileMost))
		}
	}
	if err := pprof.StartCPUProfile(b); err != nil {
		return Unavailable("the processor is being profiled already", profileSeconds*time.Second)
	}
	defer pprof.StopCPUProfile()
	select {
	case <-time.After(time.Duration(seconds) * time.Second):
	case <-c.Context().Done(): // the server stops
	}
	return nil
}

package desk

import (
	"context"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v2"
)

// watched is the connection of a client. The HTTP server looks at it only when it writes, which a statement that counts for seconds does not let it do.
type watched struct{ raw syscall.RawConn }

func connOf(c *fiber.Ctx) watched {
	if s, ok := c.Context().Conn().(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			return watched{raw}
		}
	}
	return watched{}
}

// lookEvery is how soon it is seen that a client has gone.
const lookEvery = 100 * time.Millisecond

// watch calls gone once when the other end has hung up; stop ends that.
func (w watched) watch(ctx context.Context, gone func()) (stop func()) {
	if w.raw == nil {
		return func() {}
	}
	ended := make(chan struct{})
	go func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if hungUp(w.raw) {
					gone()
					return
				}
			case <-ctx.Done():
				return
			case <-ended:
				return
			}
		}
	}()
	return func() { close(ended) }
}

package views

import (
	"bufio"
	"encoding/json"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"

	"oms/internal/web"
)

const (
	pingEvery   = 15 * time.Second
	writeWithin = 10 * time.Second // a client that does not read for so long is gone
)

// streamEvents sends what happened to an order, and then what happens, as server-sent events. It begins behind Last-Event-ID, otherwise at the order's beginning, and
// ends when the client goes or the server stops; the client comes back with the last id by itself.
func (v *Views) streamEvents(c *fiber.Ctx) error {
	row, err := v.own(c)
	if err != nil {
		return err
	}
	after := place{}
	if given := web.Header(c, "Last-Event-ID"); given != "" {
		var ok bool
		if after, ok = parsePlace(given); !ok {
			return web.BadHeader("Last-Event-ID", given, `must be an id that this stream sent, such as "3.0"`)
		}
	}
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set(fiber.HeaderCacheControl, "no-cache")
	c.Set("X-Accel-Buffering", "no") // a proxy must pass each event on
	conn, id := c.Context().Conn(), row.OrderID
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		v.metrics.streams.Inc()
		defer v.metrics.streams.Dec()
		defer conn.SetWriteDeadline(time.Time{})
		v.stream(&eventWriter{w, conn}, id, after)
	})
	return nil
}

// stream writes events until the client or the server goes. It looks each time for all facts behind the last one that it sent, so words that it missed are no loss.
func (v *Views) stream(w *eventWriter, id string, after place) {
	word, off := v.watch.on(orderFamily, id)
	defer off()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	if w.comment("events of an order") != nil {
		return
	}
	for {
		facts, err := v.factsAfter(id, after)
		if err != nil {
			v.log.Error("views: a stream ends", "order", id, "error", err)
			return
		}
		for _, f := range facts {
			if w.event(f) != nil {
				return
			}
			after = f.place
		}
		select {
		case <-word:
		case <-v.stop:
			return
		case <-ping.C:
			if w.comment("ping") != nil {
				return
			}
		}
	}
}

// eventWriter writes server-sent events, each at once.
type eventWriter struct {
	*bufio.Writer
	conn net.Conn
}

func (w *eventWriter) event(f storedFact) error {
	kind, body := f.body()
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return w.send("id: " + f.id() + "\nevent: " + kind + "\ndata: " + string(data) + "\n\n")
}

func (w *eventWriter) comment(text string) error { return w.send(": " + text + "\n\n") }

func (w *eventWriter) send(text string) error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	if _, err := w.WriteString(text); err != nil {
		return err
	}
	return w.Flush()
}

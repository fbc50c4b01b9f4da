package kafka

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxRequest is the largest request taken, in bytes: Kafka's socket.request.max.bytes.
const maxRequest = 100 << 20

// fetchPace is the least time between two fetches of a connection. Small transactions follow one another faster than that, and what a fetch costs both sides, and each
// transaction and commit that begins with it, is more than to see some records a moment later: see DESIGN.md. A fetch that has waited for records longer than that is
// followed at once.
const fetchPace = 1500 * time.Microsecond

// guarded lets through what begins like a request of Kafka's protocol, and ends the connection at anything else. The broker
// itself trusts the first bytes: a request type that it does not know ends its process, and a length is allocated at once.
// Fetches it lets through at their pace.
type guarded struct {
	net.Conn
	head    []byte // checked and not yet read
	left    int    // bytes of the request after head
	buf     [requestHead]byte
	fetched time.Time // when it let the last fetch through
}

// requestHead is length (4), type (2), version (2) and correlation id (4).
const requestHead = 12

func (g *guarded) Read(p []byte) (int, error) {
	if len(g.head) == 0 && g.left == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	if len(g.head) > 0 {
		n := copy(p, g.head)
		g.head = g.head[n:]
		return n, nil
	}
	n, err := g.Conn.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

func (g *guarded) next() error {
	if _, err := io.ReadFull(g.Conn, g.buf[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(g.buf[:])
	key, version := int16(binary.BigEndian.Uint16(g.buf[4:])), int16(binary.BigEndian.Uint16(g.buf[6:]))
	if size < requestHead-4 || size > maxRequest {
		return fmt.Errorf("a request of %d bytes; %d to %d are taken", size, requestHead-4, maxRequest)
	}
	// A client that asks for versions may itself be newer than we are: the broker answers that.
	if req := kmsg.RequestForKey(key); req == nil || version < 0 || version > req.MaxVersion() && key != kmsg.ApiVersions.Int16() {
		return fmt.Errorf("a request of type %d, version %d, which is unknown", key, version)
	}
	if key == kmsg.Fetch.Int16() {
		time.Sleep(fetchPace - time.Since(g.fetched)) // the pace itself; only this connection's reader waits, and a close is seen at the next read
		g.fetched = time.Now()
	}
	g.head, g.left = g.buf[:], int(size)-(requestHead-4)
	return nil
}

package stream_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
	"oms/internal/stream"
)

// endTxn is the API key of EndTxn in Kafka's protocol.
const endTxn = 26

// loss makes connections lose the end of a transaction: the answer, after the broker has carried it out, or the request.
type loss struct {
	request bool
	after   int32        // so many ends pass before one is lost
	seen    atomic.Int32 // ends that commit
	lost    atomic.Bool
}

func (l *loss) settings(s kafka.Settings) kafka.Settings {
	dial := s.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	s.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &lossy{Conn: c, loss: l}, nil
	}
	return s
}

type lossy struct {
	net.Conn
	loss *loss
	hit  atomic.Bool
}

var errLost = errors.New("the connection broke")

func (c *lossy) Write(b []byte) (int, error) {
	if len(b) >= 8 && binary.BigEndian.Uint16(b[4:]) == endTxn && commits(b) && c.loss.seen.Add(1) == c.loss.after+1 {
		c.hit.Store(true)
		c.loss.lost.Store(true)
		if c.loss.request {
			c.Close()
			return 0, errLost
		}
	}
	return c.Conn.Write(b)
}

// commits reads the flag of an EndTxn request, the last byte before the tags that end its flexible versions (3 and up).
func commits(b []byte) bool {
	if version := binary.BigEndian.Uint16(b[6:]); version >= 3 {
		return b[len(b)-2] == 1
	}
	return b[len(b)-1] == 1
}

// Read waits for the answer, so that the broker is done, and withholds it.
func (c *lossy) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.hit.Load() {
		c.Close()
		return 0, errLost
	}
	return n, err
}

func TestACommitWhoseOutcomeIsNotHeardIsNeitherRepeatedNorLost(t *testing.T) {
	for name, request := range map[string]bool{"answer lost": false, "request lost": true} {
		t.Run(name, func(t *testing.T) {
			kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
				for _, after := range []int32{0, 2} {
					r, dir := newRig(t, b), stateDir(t)
					r.send(300, 10)
					l := &loss{request: request, after: after}
					i := r.start(dir, count(r), func(c *stream.Config) { c.Kafka = l.settings(c.Kafka) })
					r.awaitPassed(i)
					r.send(100, 10)
					r.awaitPassed(i)
					i.halt()
					if !l.lost.Load() {
						t.Fatal("nothing was lost")
					}
					r.verify()
					r.verifyStore(dir)
				}
			})
		})
	}
}

// Package pipe connects what runs in one process: connections in memory, and a listener that takes them beside those of the network.
package pipe

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// holds is how many bytes a direction of a connection in memory holds before a write waits for the reader: as many as Linux's pipes.
const holds = 64 << 10

// New answers the two ends of a connection in memory. Unlike net.Pipe it holds what was written, so that a small write does not wait for its reader: between client and broker
// that was two switches of goroutines a message. (fasthttp's does so too, but a deadline that is set does not end a read that is under way, and that is how clients are closed.)
func New() (near, far net.Conn) {
	there, back := newDirection(), newDirection()
	return &end{in: back, out: there}, &end{in: there, out: back}
}

// end of a connection in memory.
type end struct{ in, out *direction }

func (e *end) Read(p []byte) (int, error)  { return e.in.read(p) }
func (e *end) Write(p []byte) (int, error) { return e.out.write(p) }

// Close lets either end read what was written to it, and then says that nothing follows.
func (e *end) Close() error {
	e.in.close()
	e.out.close()
	return nil
}

func (e *end) LocalAddr() net.Addr  { return memory{} }
func (e *end) RemoteAddr() net.Addr { return memory{} }

func (e *end) SetDeadline(t time.Time) error {
	e.in.reading.set(t)
	e.out.writing.set(t)
	return nil
}

func (e *end) SetReadDeadline(t time.Time) error {
	e.in.reading.set(t)
	return nil
}

func (e *end) SetWriteDeadline(t time.Time) error {
	e.out.writing.set(t)
	return nil
}

// memory is the address of both ends.
type memory struct{}

func (memory) Network() string { return "memory" }
func (memory) String() string  { return "memory" }

// direction is what one end writes and the other reads.
type direction struct {
	mu               sync.Mutex
	moved            sync.Cond // something below has changed
	held             bytes.Buffer
	closed           bool
	reading, writing deadline
}

func newDirection() *direction {
	d := &direction{}
	d.moved.L = &d.mu
	d.reading.of, d.writing.of = d, d
	return d
}

func (d *direction) read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.reading.over:
			return 0, os.ErrDeadlineExceeded
		case d.held.Len() > 0:
			if d.held.Len() == holds { // a write may wait
				d.moved.Broadcast()
			}
			return d.held.Read(p)
		case d.closed:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		}
		d.moved.Wait()
	}
}

func (d *direction) write(p []byte) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.closed:
			return n, io.ErrClosedPipe
		case d.writing.over:
			return n, os.ErrDeadlineExceeded
		}
		if some := min(len(p)-n, holds-d.held.Len()); some > 0 {
			d.held.Write(p[n : n+some])
			n += some
			d.moved.Broadcast()
		}
		if n == len(p) {
			return n, nil
		}
		d.moved.Wait()
	}
}

func (d *direction) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.moved.Broadcast()
}

// deadline of the reads or the writes of a direction. Clients set one for every message, so the timer is left alone where it comes early enough: it is then set again for the rest.
type deadline struct {
	of    *direction
	at    time.Time   // zero: none is set
	timer *time.Timer // nil: there was none yet
	alarm time.Time   // when the timer comes; zero: it is not set
	over  bool
}

func (l *deadline) set(t time.Time) {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	l.at, l.over = t, false
	if !t.IsZero() {
		l.check(time.Now())
	}
}

// check ends what waits when the deadline is over; otherwise the timer will come. The direction is locked.
func (l *deadline) check(now time.Time) {
	rest := l.at.Sub(now)
	switch {
	case rest <= 0:
		l.over = true
		l.of.moved.Broadcast()
	case l.timer == nil:
		l.timer, l.alarm = time.AfterFunc(rest, l.ring), l.at
	case l.alarm.IsZero() || l.at.Before(l.alarm):
		l.timer.Reset(rest)
		l.alarm = l.at
	}
}

func (l *deadline) ring() {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	l.alarm = time.Time{}
	if !l.at.IsZero() {
		l.check(time.Now())
	}
}

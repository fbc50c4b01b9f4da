package kafka

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeHolds is how many bytes a direction of a connection in memory holds before a write waits for the reader: as many as Linux's pipes.
const pipeHolds = 64 << 10

// pipe answers the two ends of a connection in memory. Unlike net.Pipe it holds what was written, so that a small write does not wait for its reader: between client and broker
// that was two switches of goroutines a message. (fasthttp's does so too, but a deadline that is set does not end a read that is under way, and that is how clients are closed.)
func pipe() (near, far net.Conn) {
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
			if d.held.Len() == pipeHolds { // a write may wait
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
		if some := min(len(p)-n, pipeHolds-d.held.Len()); some > 0 {
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

// deadline of the reads or the writes of a direction.
type deadline struct {
	of    *direction
	timer *time.Timer // nil: none is set
	over  bool
}

func (l *deadline) set(t time.Time) {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	l.timer, l.over = nil, false
	if t.IsZero() {
		return
	}
	rest := time.Until(t)
	if l.over = rest <= 0; l.over {
		l.of.moved.Broadcast()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(rest, func() {
		l.of.mu.Lock()
		defer l.of.mu.Unlock()
		if l.timer == timer { // it was not replaced while this waited for the lock
			l.over = true
			l.of.moved.Broadcast()
		}
	})
	l.timer = timer
}

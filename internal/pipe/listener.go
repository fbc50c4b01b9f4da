package pipe

import (
	"context"
	"net"
	"sync"
)

// Listener takes connections from its own process, through memory, and once it is open those of the network.
type Listener struct {
	net.Listener // of the network
	conns        chan net.Conn
	closed       chan struct{}
	once         sync.Once
	accepting    sync.RWMutex
}

// Listen makes a listener of one of the network, which waits, in the kernel's queue, until Open.
func Listen(network net.Listener) *Listener {
	return &Listener{Listener: network, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Open lets the network in.
func (l *Listener) Open() {
	go func() {
		for {
			c, err := l.Listener.Accept()
			if err != nil {
				return
			}
			select {
			case l.conns <- c:
			case <-l.closed:
				c.Close()
				return
			}
		}
	}()
}

// Accept answers the next connection, from the process or from the network.
func (l *Listener) Accept() (net.Conn, error) {
	l.accepting.RLock()
	defer l.accepting.RUnlock()
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Dial connects from this process.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	near, far := New()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close ends when no Accept is under way any more, as that of the network does. It may be called again.
func (l *Listener) Close() (err error) {
	l.once.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
		l.accepting.Lock()
		l.accepting.Unlock() //lint:ignore SA2001 it waits for who accepts
	})
	return err
}

package kafka

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// gate is the embedded broker's listener. Its own process comes in through memory from the first moment; the network waits,
// in the kernel's queue, until the gate opens, so that nobody sees transactions that are not settled yet.
type gate struct {
	net.Listener
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// listen takes the port. An empty address is a free port of 127.0.0.1. The broker asks nobody who he is, hence loopback only.
func listen(ctx context.Context, address string) (*gate, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w", address, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("listen address %q: the embedded broker has no authentication, its host must be a loopback address", address)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &gate{Listener: l, conns: make(chan net.Conn), closed: make(chan struct{})}, nil
}

// take hands the gate to the broker as its only listener.
func (g *gate) take(_, _ string) (net.Listener, error) { return g, nil }

// open lets the network in.
func (g *gate) open() {
	go func() {
		for {
			c, err := g.Listener.Accept()
			if err != nil {
				return
			}
			select {
			case g.conns <- &guarded{Conn: c}:
			case <-g.closed:
				c.Close()
				return
			}
		}
	}()
}

// Accept answers the next connection, from the process or from the network.
func (g *gate) Accept() (net.Conn, error) {
	select {
	case c := <-g.conns:
		return c, nil
	case <-g.closed:
		return nil, net.ErrClosed
	}
}

// dial connects from this process.
func (g *gate) dial(ctx context.Context) (net.Conn, error) {
	near, far := pipe()
	select {
	case g.conns <- &guarded{Conn: far}:
		return near, nil
	case <-g.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close may be called again.
func (g *gate) Close() (err error) {
	g.once.Do(func() {
		close(g.closed)
		err = g.Listener.Close()
	})
	return err
}

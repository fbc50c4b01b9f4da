package kafka

import (
	"context"
	"fmt"
	"net"

	"oms/internal/pipe"
)

// gate is the embedded broker's listener. Its own process comes in through memory from the first moment; the network waits until the gate opens, so that nobody sees transactions
// that are not settled yet.
type gate struct{ *pipe.Listener }

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
	return &gate{pipe.Listen(l)}, nil
}

// take hands the gate to the broker as its only listener.
func (g *gate) take(_, _ string) (net.Listener, error) { return g, nil }

// Accept answers the next connection, guarded.
func (g *gate) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guarded{Conn: c}, nil
}

package pipe

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

func TestAConnectionInMemoryIsAConnection(t *testing.T) {
	nettest.TestConn(t, func() (near, far net.Conn, stop func(), err error) {
		near, far = New()
		return near, far, func() { near.Close(); far.Close() }, nil
	})
}

// The timer of a deadline is not moved for each that is set: what counts is the last one.
func TestTheLastDeadlineCounts(t *testing.T) {
	near, far := New()
	defer near.Close()
	read := func(deadlines ...time.Duration) (took time.Duration, err error) {
		began := time.Now()
		for _, d := range deadlines {
			at := time.Time{}
			if d != 0 {
				at = began.Add(d)
			}
			near.SetReadDeadline(at)
		}
		_, err = near.Read(make([]byte, 1))
		return time.Since(began), err
	}
	const soon, later, distant = 10 * time.Millisecond, 40 * time.Millisecond, time.Hour
	for name, c := range map[string]struct {
		deadlines []time.Duration
		atLeast   time.Duration
	}{
		"later": {[]time.Duration{soon, later}, later}, "earlier": {[]time.Duration{distant, later, soon}, soon}, "again": {[]time.Duration{soon, 0, later}, later}, "past": {[]time.Duration{distant, -soon}, 0},
	} {
		if took, err := read(c.deadlines...); !errors.Is(err, os.ErrDeadlineExceeded) || took < c.atLeast {
			t.Errorf("%s: the read ended after %v: %v", name, took, err)
		}
	}
	time.AfterFunc(later, func() { far.Write([]byte{1}) })
	if took, err := read(soon, 0); err != nil || took < later {
		t.Errorf("without a deadline the read ended after %v: %v", took, err)
	}
}

func TestAListenerTakesFromMemoryAndOnceOpenFromTheNetwork(t *testing.T) {
	network, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listen(network)
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	outside, err := net.Dial("tcp", network.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	inside, err := l.Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if first := <-accepted; first.RemoteAddr() != inside.RemoteAddr() {
		t.Errorf("%v was accepted before the network was let in", first.RemoteAddr())
	}
	l.Open()
	if second := <-accepted; second.RemoteAddr().String() != outside.LocalAddr().String() {
		t.Errorf("%v was accepted, want %v", second.RemoteAddr(), outside.LocalAddr())
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if _, ok := <-accepted; ok {
		t.Error("a connection was accepted after the end")
	}
	if _, err := l.Dial(context.Background()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dialled after the end: %v", err)
	}
}

package httpd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A client that stops reading is given up, and sees that the answer is not whole; one that reads slowly gets it all.
func TestAClientThatStopsReadingIsGivenUp(t *testing.T) {
	const size = 16 << 20 // more than all buffers between the two ends take
	ended := make(chan error, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := patient{w, 300 * time.Millisecond}
		var err error
		for n := 0; n < size && err == nil; n += 1 << 16 {
			_, err = p.Write(make([]byte, 1<<16))
		}
		ended <- err
	}))
	defer s.Close()
	ask := func() net.Conn {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		return c
	}
	take := func(c net.Conn, pause time.Duration) (n int64, err error) {
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			var k int64
			k, err = io.CopyN(io.Discard, res.Body, 1<<20)
			n += k
			time.Sleep(pause)
		}
		return n, err
	}
	stalled := ask()
	if err := <-ended; err == nil {
		t.Error("everything was written to a client that does not read")
	}
	if n, err := take(stalled, 0); err == io.EOF || n == 0 {
		t.Errorf("%d bytes and the end looks like one: %v", n, err)
	}
	if n, err := take(ask(), 50*time.Millisecond); err != io.EOF || n != size {
		t.Errorf("a slow client got %d bytes of %d: %v", n, size, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("a slow client was given up: %v", err)
	}
}

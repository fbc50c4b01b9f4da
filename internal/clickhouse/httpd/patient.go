package httpd

import (
	"net/http"
	"time"
)

// stall is how long a client may take for a piece of what is sent to it. One that stops reading would hold a session for ever.
const (
	stall = time.Minute
	piece = 256 << 10
)

// patient is an answer of which each piece has to be taken in time; after one that was not the connection is of no use.
type patient struct {
	http.ResponseWriter
	wait time.Duration
}

func (p patient) Write(b []byte) (n int, err error) {
	for first := true; err == nil && (first || n < len(b)); first = false {
		if err = p.renew(); err == nil {
			var k int
			k, err = p.ResponseWriter.Write(b[n:min(n+piece, len(b))])
			n += k
		}
	}
	return n, err
}

// renew lets the next piece take its time from now on.
func (p patient) renew() error {
	return http.NewResponseController(p.ResponseWriter).SetWriteDeadline(time.Now().Add(p.wait))
}

// Unwrap is for http.ResponseController.
func (p patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

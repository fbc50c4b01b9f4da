package httpd

import (
	"net/http"
	"time"
)

// stall is how long a client may take what is sent to it at a time. One that stops reading would hold a session for ever.
const stall = time.Minute

// patient is an answer each write of which has to end in time; after one that did not the connection is of no use.
type patient struct {
	http.ResponseWriter
	wait time.Duration
}

func (p patient) Write(b []byte) (int, error) {
	if err := http.NewResponseController(p.ResponseWriter).SetWriteDeadline(time.Now().Add(p.wait)); err != nil {
		return 0, err
	}
	return p.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (p patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

package workload

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"sync"
)

// Told is one answer as a client got it: a line of the file that the auditor compares with the topics. Lines of one key come in the order of the answers.
type Told struct {
	Key      string `json:"key"`                 // idempotency key of the request
	Asked    string `json:"asked"`               // "place", "open", "stock", "adjust", "cancel" or "get"
	Request  string `json:"request,omitempty"`   // digest of the request's body
	HTTP     int    `json:"http,omitempty"`      // status code; 0: nothing was sent
	OrderID  string `json:"order_id,omitempty"`  // as answered
	PlacedAt string `json:"placed_at,omitempty"` // as answered
	Lines    string `json:"lines,omitempty"`     // digest of number, product and quantity of each line, as answered
	Status   string `json:"status,omitempty"`    // of the order
	Version  int64  `json:"version,omitempty"`   // of the row
	Replayed bool   `json:"replayed,omitempty"`  // the server met the key before
	Code     string `json:"code,omitempty"`      // of a problem
	Outcome  string `json:"outcome,omitempty"`   // on the last line of a document: what became of it
}

// Digest names bytes shortly.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// Record writes what clients were told. It may be used by many; a nil *Record writes nothing.
type Record struct {
	mu  sync.Mutex
	out *bufio.Writer
	err error
}

// NewRecord writes to w.
func NewRecord(w io.Writer) *Record { return &Record{out: bufio.NewWriterSize(w, 1<<16)} }

// Add writes one answer. Errors are kept for Flush.
func (r *Record) Add(t Told) {
	if r == nil {
		return
	}
	line, err := json.Marshal(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		_, err = r.out.Write(append(line, '\n'))
	}
	if r.err == nil {
		r.err = err
	}
}

// Flush answers the first error of all that was added.
func (r *Record) Flush() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.out.Flush(); r.err == nil {
		r.err = err
	}
	return r.err
}

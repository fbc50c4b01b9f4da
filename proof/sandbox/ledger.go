package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/go-json-experiment/json"

	"oms/internal/flatjson"
)

// Entry is one line of the ledger file: something that the provider did. The file is only ever appended to, one write an entry, before the answer.
type Entry struct {
	Seq             int64  `json:"seq"`                        // from 1, without gaps
	At              string `json:"at"`                         // RFC 3339, UTC
	RequestID       string `json:"request_id"`                 // idempotency key of the request that did it
	OrderID         string `json:"order_id"`                   //
	PaymentID       string `json:"payment_id"`                 //
	Operation       string `json:"operation"`                  // AUTHORIZE, CAPTURE, VOID, REFUND; DECLINE and CANCEL move no money
	AmountMinor     int64  `json:"amount_minor"`               // what was moved; 0: nothing
	Currency        string `json:"currency"`                   // ISO 4217
	AuthorizationID string `json:"authorization_id,omitempty"` // request_id of the authorization that it is about; equal to request_id: a cancellation by key
	ProviderRef     string `json:"provider_ref"`               // the provider's own number
	Reason          string `json:"reason,omitempty"`           // of a DECLINE
	Fingerprint     string `json:"fingerprint"`                // of the request's body
}

func (e *Entry) appendJSON(b []byte) ([]byte, error) {
	o := flatjson.Begin(b)
	o.Number("seq", e.Seq)
	o.Text("at", e.At)
	o.Text("request_id", e.RequestID)
	o.Text("order_id", e.OrderID)
	o.Text("payment_id", e.PaymentID)
	o.Text("operation", e.Operation)
	o.Number("amount_minor", e.AmountMinor)
	o.Text("currency", e.Currency)
	o.SomeText("authorization_id", e.AuthorizationID)
	o.Text("provider_ref", e.ProviderRef)
	o.SomeText("reason", e.Reason)
	o.Text("fingerprint", e.Fingerprint)
	return o.End()
}

// Operations. An authorization that takes the money at once is a CAPTURE without authorization_id.
const (
	opAuthorize = "AUTHORIZE"
	opCapture   = "CAPTURE"
	opVoid      = "VOID"
	opRefund    = "REFUND"
	opCancel    = "CANCEL"
	opDecline   = "DECLINE"
)

// byKey tells whether the entry came of a cancellation.
func (e *Entry) byKey() bool { return e.RequestID == e.AuthorizationID }

// ledger is the file and where in it each request is: a provider of a million payments must not hold them all in memory.
type ledger struct {
	file *os.File
	size int64 // up to here the file holds whole lines
	seq  int64
	line []byte // of the entry that was written last

	// Offsets of entries by the hash of their request id. Ids of the same hash lie at the following numbers; the entry itself tells whose it is. Cancellations lie apart: they
	// are few, and every authorization asks for one.
	requests, cancellations map[uint64]int64
	hash                    func(requestID string) uint64
}

// slot names what a key can stand for once: a request, or the cancellation of it.
type slot struct {
	requestID string
	cancelled bool
}

func (e *Entry) slot() slot { return slot{e.RequestID, e.byKey()} }

// places are where the slot's entry is noted.
func (l *ledger) places(s slot) map[uint64]int64 {
	if s.cancelled {
		return l.cancellations
	}
	return l.requests
}

// openLedger takes the file for this process.
func openLedger(path string) (*ledger, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	seed := maphash.MakeSeed()
	l := &ledger{file: f, requests: map[uint64]int64{}, cancellations: map[uint64]int64{}, hash: func(requestID string) uint64 { return maphash.String(seed, requestID) }}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is in use by another process", path), f.Close())
	}
	return l, nil
}

// read goes through the file from its start and hands each entry to take. A last line without an end was never answered for, and is cut off.
func (l *ledger) read(take func(Entry) error) error {
	r := bufio.NewReaderSize(l.file, 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return l.file.Truncate(l.size)
		}
		if err != nil {
			return err
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("line %d: %w", l.seq+1, err)
		}
		if e.Seq != l.seq+1 || e.RequestID == "" {
			return fmt.Errorf("line %d: seq %d of request %q: want seq %d and a request", l.seq+1, e.Seq, e.RequestID, l.seq+1)
		}
		l.note(e.slot())
		l.size += int64(len(line))
		l.seq++
		if err := take(e); err != nil {
			return fmt.Errorf("line %d: %w", l.seq, err)
		}
	}
}

// note: the slot's entry begins where the file ended.
func (l *ledger) note(s slot) {
	h, places := l.hash(s.requestID), l.places(s)
	for _, taken := places[h]; taken; _, taken = places[h] {
		h++
	}
	places[h] = l.size
}

// append writes the entry, numbered. When it answers an error nothing was done.
func (l *ledger) append(e *Entry) error {
	e.Seq = l.seq + 1
	e.ProviderRef = "sb_" + strconv.FormatInt(e.Seq, 10)
	line, err := e.appendJSON(l.line[:0])
	if err != nil {
		return err
	}
	l.line = append(line, '\n')
	if _, err := l.file.WriteAt(l.line, l.size); err != nil {
		return errors.Join(err, l.file.Truncate(l.size)) // what the disk took of it must not stand before the next line
	}
	l.note(e.slot())
	l.size += int64(len(l.line))
	l.seq++
	return nil
}

// find reads the slot's entry; ok is false when there is none.
func (l *ledger) find(s slot) (e Entry, ok bool, err error) {
	places := l.places(s)
	for h := l.hash(s.requestID); ; h++ {
		at, taken := places[h]
		if !taken {
			return Entry{}, false, nil
		}
		if e, err = l.at(at); err != nil || e.slot() == s {
			return e, err == nil, err
		}
	}
}

func (l *ledger) at(offset int64) (e Entry, err error) {
	for size := int64(1 << 10); ; size *= 4 {
		chunk := make([]byte, min(size, l.size-offset))
		if _, err := l.file.ReadAt(chunk, offset); err != nil {
			return e, fmt.Errorf("ledger at %d: %w", offset, err)
		}
		if end := bytes.IndexByte(chunk, '\n'); end >= 0 {
			return e, json.Unmarshal(chunk[:end], &e)
		}
		if int64(len(chunk)) == l.size-offset {
			return e, fmt.Errorf("ledger at %d: no end of line", offset)
		}
	}
}

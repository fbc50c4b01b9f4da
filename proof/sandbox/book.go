package sandbox

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"sync"
	"time"

	"oms/internal/flatjson"
)

// Request is the body of a POST.
type Request struct {
	OrderID         string `json:"order_id"`
	PaymentID       string `json:"payment_id"`
	AuthorizationID string `json:"authorization_id"` // of captures, voids and refunds: request id of the authorization
	Method          string `json:"method"`           // of authorizations
	Token           string `json:"token"`            // of authorizations
	Capture         string `json:"capture"`          // of authorizations; AT_PLACING: take the money at once
	AmountMinor     int64  `json:"amount_minor"`
	Currency        string `json:"currency"`
}

// Answer is the body of an answer that is no refusal.
type Answer struct {
	RequestID   string `json:"request_id"`
	Outcome     string `json:"outcome"` // AUTHORIZED, CAPTURED, DECLINED, VOIDED, REFUNDED, CANCELLED
	AmountMinor int64  `json:"amount_minor"`
	Currency    string `json:"currency"`
	ProviderRef string `json:"provider_ref"`
	Reason      string `json:"reason,omitempty"`
}

func (a *Answer) appendJSON(b []byte) ([]byte, error) {
	o := flatjson.Begin(b)
	o.Text("request_id", a.RequestID)
	o.Text("outcome", a.Outcome)
	o.Number("amount_minor", a.AmountMinor)
	o.Text("currency", a.Currency)
	o.Text("provider_ref", a.ProviderRef)
	o.SomeText("reason", a.Reason)
	return o.End()
}

// Refusal is the body of any other answer. Nothing was done.
type Refusal struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (r *Refusal) Error() string { return r.Message }

func refuse(status int, code, format string, args ...any) error {
	return &Refusal{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// balance is what stands of an authorization.
//
//	captured + voided ≤ authorized, refunded ≤ captured
type balance struct {
	authorized, captured, voided, refunded int64
	currency                               string
	cancelled                              bool // by key; nothing can follow
}

func (b *balance) held() int64 {
	if b.cancelled {
		return 0
	}
	return b.authorized - b.captured - b.voided
}

func (b *balance) apply(e Entry) {
	switch e.Operation {
	case opCapture:
		b.captured += e.AmountMinor
	case opVoid:
		b.voided += e.AmountMinor
	case opRefund:
		b.refunded += e.AmountMinor
	}
	b.cancelled = b.cancelled || e.byKey()
}

// book is the provider's memory, rebuilt from its ledger.
type book struct {
	mu       sync.Mutex
	ledger   *ledger
	balances map[string]*balance // of authorizations that something followed, by request id
	now      func() time.Time
}

func openBook(path string) (*book, error) {
	l, err := openLedger(path)
	if err != nil {
		return nil, err
	}
	b := &book{ledger: l, balances: map[string]*balance{}, now: time.Now}
	if err := l.read(b.remember); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), l.file.Close())
	}
	return b, nil
}

// remember books an entry of an earlier life.
func (b *book) remember(e Entry) error {
	if e.AuthorizationID == "" {
		return nil
	}
	of, err := b.balance(e.AuthorizationID)
	if err == nil {
		of.apply(e)
		b.balances[e.AuthorizationID] = of
	}
	return err
}

func (b *book) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger.file.Close()
}

// balance of an authorization; one that was declined or never came has nothing.
func (b *book) balance(authorizationID string) (*balance, error) {
	if of := b.balances[authorizationID]; of != nil {
		return of, nil
	}
	e, _, err := b.ledger.find(slot{requestID: authorizationID})
	if err != nil {
		return nil, err
	}
	of := &balance{currency: e.Currency}
	if e.AuthorizationID == "" && e.Operation != opDecline {
		of.authorized = e.AmountMinor
		of.apply(e)
	}
	return of, nil
}

// write does an effect. On an error nothing was done.
func (b *book) write(e Entry) (Entry, error) {
	e.At = b.now().UTC().Format("2006-01-02T15:04:05.000Z")
	var of *balance
	if e.AuthorizationID != "" {
		var err error
		if of, err = b.balance(e.AuthorizationID); err != nil {
			return e, err
		}
	}
	if err := b.ledger.append(&e); err != nil {
		return e, err
	}
	if of != nil {
		of.apply(e)
		b.balances[e.AuthorizationID] = of
	}
	return e, nil
}

// authorize holds or takes money, unless the key was cancelled before.
func (b *book) authorize(key string, r Request, decline bool) (a Answer, replayed bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := r.entry(key, opAuthorize)
	if old, ok, err := b.ledger.find(e.slot()); ok || err != nil {
		return b.again(old, e, err)
	}
	if _, cancelled, err := b.ledger.find(slot{key, true}); cancelled || err != nil {
		return Answer{RequestID: key, Outcome: "CANCELLED", Currency: r.Currency}, false, err
	}
	switch {
	case decline:
		e.Operation, e.AmountMinor, e.Reason = opDecline, 0, "card_declined"
	case r.Capture == "AT_PLACING":
		e.Operation = opCapture
	}
	if e, err = b.write(e); err != nil {
		return Answer{}, false, err
	}
	return e.answer(), false, nil
}

// follow captures, voids or refunds, within what stands of the authorization.
func (b *book) follow(key string, r Request, operation string) (a Answer, replayed bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := r.entry(key, operation)
	if old, ok, err := b.ledger.find(slot{requestID: key}); ok || err != nil {
		return b.again(old, e, err)
	}
	of, err := b.balance(r.AuthorizationID)
	if err != nil {
		return a, false, err
	}
	limit := of.held()
	if operation == opRefund {
		limit = of.captured - of.refunded
	}
	switch {
	case of.authorized == 0:
		err = refuse(http.StatusNotFound, "NO_AUTHORIZATION", "authorization_id: %q: no such authorization", r.AuthorizationID)
	case of.currency != r.Currency:
		err = refuse(http.StatusConflict, "CURRENCY_MISMATCH", "currency: %q: the authorization is in %s", r.Currency, of.currency)
	case r.AmountMinor > limit:
		err = refuse(http.StatusConflict, "OVER_LIMIT", "amount_minor: %d: of the authorization %d can be had by %s", r.AmountMinor, limit, operation)
	}
	if err != nil {
		return a, false, err
	}
	if e, err = b.write(e); err != nil {
		return a, false, err
	}
	return e.answer(), false, nil
}

// cancel forbids a request by its key, for ever, and undoes what it did. The answer tells what is undone of it in all, so it is the same each time.
func (b *book) cancel(key string, r Request) (a Answer, replayed bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, replayed, err := b.ledger.find(slot{key, true})
	if err != nil {
		return a, false, err
	}
	of, err := b.balance(key)
	if err != nil {
		return a, false, err
	}
	if !replayed {
		e = Entry{RequestID: key, AuthorizationID: key, OrderID: r.OrderID, PaymentID: r.PaymentID, Operation: opCancel, Currency: of.currency}
		if taken := of.captured - of.refunded; taken > 0 {
			e.Operation, e.AmountMinor = opRefund, taken
		} else if held := of.held(); held > 0 {
			e.Operation, e.AmountMinor = opVoid, held
		}
		if e, err = b.write(e); err != nil {
			return a, false, err
		}
		of = b.balances[key]
	}
	a = Answer{RequestID: key, Outcome: "CANCELLED", Currency: of.currency, ProviderRef: e.ProviderRef}
	switch {
	case of.captured > 0:
		a.Outcome, a.AmountMinor = "REFUNDED", of.refunded
	case of.voided > 0:
		a.Outcome, a.AmountMinor = "VOIDED", of.voided
	}
	return a, replayed, nil
}

// look tells what became of a request.
func (b *book) look(key string) (Answer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, cancelled, err := b.ledger.find(slot{key, true})
	if err != nil {
		return Answer{}, err
	}
	if cancelled {
		return Answer{RequestID: key, Outcome: "CANCELLED", Currency: c.Currency, ProviderRef: c.ProviderRef}, nil
	}
	e, ok, err := b.ledger.find(slot{requestID: key})
	if err == nil && !ok {
		err = refuse(http.StatusNotFound, "NO_REQUEST", "%q: no such request", key)
	}
	return e.answer(), err
}

// again answers a key that was used before.
func (b *book) again(old, e Entry, err error) (Answer, bool, error) {
	if err != nil {
		return Answer{}, false, err
	}
	if old.Fingerprint != e.Fingerprint {
		return Answer{}, false, refuse(http.StatusUnprocessableEntity, "KEY_REUSED", "Idempotency-Key: %q was used for another request", e.RequestID)
	}
	return old.answer(), true, nil
}

func (r Request) entry(key, operation string) Entry {
	return Entry{RequestID: key, OrderID: r.OrderID, PaymentID: r.PaymentID, Operation: operation, AmountMinor: r.AmountMinor, Currency: r.Currency,
		AuthorizationID: r.AuthorizationID, Fingerprint: r.fingerprint(operation)}
}

func (r Request) fingerprint(operation string) string {
	h := fnv.New64a()
	for _, s := range []string{operation, r.OrderID, r.PaymentID, r.AuthorizationID, r.Method, r.Token, r.Capture, strconv.FormatInt(r.AmountMinor, 10), r.Currency} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return strconv.FormatUint(h.Sum64(), 16)
}

var outcomes = map[string]string{opAuthorize: "AUTHORIZED", opCapture: "CAPTURED", opVoid: "VOIDED", opRefund: "REFUNDED", opDecline: "DECLINED", opCancel: "CANCELLED"}

func (e Entry) answer() Answer {
	return Answer{RequestID: e.RequestID, Outcome: outcomes[e.Operation], AmountMinor: e.AmountMinor, Currency: e.Currency, ProviderRef: e.ProviderRef, Reason: e.Reason}
}

package sandbox

import (
	"fmt"
	"hash/fnv"
	"time"
)

// Behaviour says how good a day the provider has. The shares are of requests, by a function of the request id alone, so a run can be repeated: a request that is
// declined, slow or left without an answer once is so every time.
type Behaviour struct {
	DeclinePercent            int  `json:"decline_percent"`              // authorizations that are declined
	SlowPercent               int  `json:"slow_percent"`                 // requests that take SlowMS longer
	SlowMS                    int  `json:"slow_ms"`                      // how much longer; also what the token "tok_slow" gets, a second when 0
	TimeoutAfterChargePercent int  `json:"timeout_after_charge_percent"` // authorizations that are done and never answered; only GET /v1/requests tells
	WrongPercent              int  `json:"wrong_percent"`                // requests that are done and answered with a page for people
	DuplicatePercent          int  `json:"duplicate_percent"`            // answers that come twice on their connection; whoever uses it next hears the second
	Down                      bool `json:"down"`                         // everything is answered 503 and nothing is done
}

// Tokens with a fate of their own, as the test cards of real providers. Any other token meets the shares.
const (
	TokenDecline            = "tok_decline"
	TokenSlow               = "tok_slow"
	TokenTimeoutAfterCharge = "tok_timeout_after_charge"
	TokenUnavailable        = "tok_unavailable"
)

func (b Behaviour) check() error {
	for _, p := range []struct {
		name  string
		value int
	}{{"decline_percent", b.DeclinePercent}, {"slow_percent", b.SlowPercent}, {"timeout_after_charge_percent", b.TimeoutAfterChargePercent}, {"wrong_percent", b.WrongPercent}, {"duplicate_percent", b.DuplicatePercent}} {
		if p.value < 0 || p.value > 100 {
			return fmt.Errorf("%s: %d: want 0 to 100", p.name, p.value)
		}
	}
	if b.SlowMS < 0 || b.SlowMS > 60_000 {
		return fmt.Errorf("slow_ms: %d: want 0 to 60000", b.SlowMS)
	}
	return nil
}

// fate is what awaits one request.
type fate struct {
	delay       time.Duration
	decline     bool
	silent      bool // done, never answered
	wrong       bool // done, and answered with what nobody can read
	twice       bool
	unavailable bool
}

func (b Behaviour) fate(operation, requestID, token string) fate {
	f := fate{unavailable: b.Down, wrong: falls(requestID, "wrong", b.WrongPercent), twice: falls(requestID, "twice", b.DuplicatePercent)}
	if falls(requestID, "slow", b.SlowPercent) {
		f.delay = time.Duration(b.SlowMS) * time.Millisecond
	}
	if operation != opAuthorize {
		return f
	}
	switch token {
	case TokenDecline:
		f.decline = true
	case TokenSlow:
		if f.delay = time.Duration(b.SlowMS) * time.Millisecond; f.delay == 0 {
			f.delay = time.Second
		}
	case TokenTimeoutAfterCharge:
		f.silent = true
	case TokenUnavailable:
		f.unavailable = true
	default:
		f.decline = falls(requestID, "decline", b.DeclinePercent)
		f.silent = falls(requestID, "timeout", b.TimeoutAfterChargePercent)
	}
	return f
}

// falls throws one die of a request. Each question has its own die, so that the slow ones are not the declined ones.
func falls(requestID, question string, percent int) bool {
	if percent == 0 {
		return false
	}
	h := fnv.New64a()
	h.Write([]byte(question))
	h.Write([]byte(requestID))
	x := h.Sum64() // its low bits barely mix
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x%100 < uint64(percent)
}

package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// shop speaks to a sandbox of its own.
type shop struct {
	*testing.T
	*Server
	ledger string
}

func open(t *testing.T, b Behaviour) *shop {
	t.Helper()
	s := &shop{T: t, ledger: filepath.Join(t.TempDir(), "ledger.jsonl")}
	s.start(b)
	t.Cleanup(func() { s.Server.Close() })
	return s
}

func (s *shop) start(b Behaviour) {
	s.Helper()
	var err error
	if s.Server, err = Start(context.Background(), Config{Ledger: s.ledger, Behaviour: b}); err != nil {
		s.Fatal(err)
	}
}

// again ends the server, lets change spoil the file, and starts it anew.
func (s *shop) again(change func(file []byte) []byte) {
	s.Helper()
	if err := s.Server.Close(); err != nil {
		s.Fatal(err)
	}
	file, err := os.ReadFile(s.ledger)
	if err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(s.ledger, change(file), 0o644); err != nil {
		s.Fatal(err)
	}
	s.start(Behaviour{})
}

func same(file []byte) []byte { return file }

type said struct {
	Answer
	Refusal
	status   int
	replayed bool
}

func (s *shop) do(method, path, key, body string) said {
	s.Helper()
	r, err := http.NewRequest(method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	a := said{status: res.StatusCode, replayed: res.Header.Get("Idempotent-Replayed") == "true"}
	if err := json.Unmarshal(b, &a); err != nil {
		s.Fatalf("%s %s: %v in %q", method, path, err, b)
	}
	return a
}

func (s *shop) authorize(key, token, capture string, amount int64) said {
	s.Helper()
	b, _ := json.Marshal(Request{OrderID: "ord_1", PaymentID: "pay_1", Token: token, Capture: capture, AmountMinor: amount, Currency: "EUR"})
	return s.do("POST", "/v1/authorizations", key, string(b))
}

func (s *shop) follow(what, key, authorization string, amount int64) said {
	s.Helper()
	b, _ := json.Marshal(Request{OrderID: "ord_1", PaymentID: "pay_1", AuthorizationID: authorization, AmountMinor: amount, Currency: "EUR"})
	return s.do("POST", "/v1/"+what, key, string(b))
}

func (s *shop) cancel(key string) said {
	s.Helper()
	return s.do("POST", "/v1/cancellations", key, `{"order_id":"ord_1","payment_id":"pay_1"}`)
}

func (s *shop) want(a said, outcome string, amount int64) {
	s.Helper()
	if a.status != 200 || a.Outcome != outcome || a.AmountMinor != amount {
		s.Errorf("got %d %s %d (%s), want 200 %s %d", a.status, a.Outcome, a.AmountMinor, a.Message, outcome, amount)
	}
}

func (s *shop) refused(a said, status int, code string) {
	s.Helper()
	if a.status != status || a.Code != code {
		s.Errorf("got %d %q (%s), want %d %q", a.status, a.Code, a.Message, status, code)
	}
}

// effects are the operations in the ledger file, in order.
func (s *shop) effects() (all []string) {
	s.Helper()
	file, err := os.ReadFile(s.ledger)
	if err != nil {
		s.Fatal(err)
	}
	for line := range bytes.Lines(file) {
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			s.Fatal(err)
		}
		all = append(all, e.Operation)
	}
	return all
}

func (s *shop) wantEffects(want ...string) {
	s.Helper()
	if got := s.effects(); strings.Join(got, " ") != strings.Join(want, " ") {
		s.Errorf("the ledger has %v, want %v", got, want)
	}
}

func TestAnAnsweredEffectIsInTheLedgerAndARepeatedKeyMovesNoMoney(t *testing.T) {
	s := open(t, Behaviour{})
	first := s.authorize("r1", "tok", "LATER", 500)
	s.want(first, "AUTHORIZED", 500)
	s.wantEffects("AUTHORIZE")
	second := s.authorize("r1", "tok", "LATER", 500)
	if second.Answer != first.Answer || !second.replayed || first.replayed {
		t.Errorf("the second answer is %+v, want %+v and marked as a replay", second, first)
	}
	s.refused(s.authorize("r1", "tok", "LATER", 501), 422, "KEY_REUSED")
	s.refused(s.follow("voids", "r1", "r0", 500), 422, "KEY_REUSED")
	s.wantEffects("AUTHORIZE")
}

func TestKeysAndBalancesSurviveARestartWithATornTail(t *testing.T) {
	s := open(t, Behaviour{})
	first := s.authorize("r1", "tok", "LATER", 500)
	s.want(s.follow("captures", "c1", "r1", 300), "CAPTURED", 300)
	s.want(s.follow("refunds", "f1", "r1", 100), "REFUNDED", 100)
	s.want(s.cancel("r9"), "CANCELLED", 0)
	s.again(func(file []byte) []byte { return append(file, `{"seq":5,"request_id":"r2","operation":"CAPT`...) })
	if again := s.authorize("r1", "tok", "LATER", 500); again.Answer != first.Answer {
		t.Errorf("after the restart the answer is %+v, want %+v", again.Answer, first.Answer)
	}
	s.refused(s.authorize("r1", "tok", "LATER", 5), 422, "KEY_REUSED")
	s.refused(s.follow("refunds", "f2", "r1", 201), 409, "OVER_LIMIT")
	s.want(s.follow("refunds", "f3", "r1", 200), "REFUNDED", 200)
	s.refused(s.follow("captures", "c2", "r1", 201), 409, "OVER_LIMIT")
	s.want(s.follow("voids", "v1", "r1", 200), "VOIDED", 200)
	s.want(s.authorize("r9", "tok", "AT_PLACING", 500), "CANCELLED", 0)
	s.wantEffects("AUTHORIZE", "CAPTURE", "REFUND", "CANCEL", "REFUND", "VOID")
}

func TestALedgerThatWasTamperedWithIsRefused(t *testing.T) {
	s := open(t, Behaviour{})
	s.authorize("r1", "tok", "LATER", 500)
	s.authorize("r2", "tok", "LATER", 500)
	if err := s.Server.Close(); err != nil {
		t.Fatal(err)
	}
	file, _ := os.ReadFile(s.ledger)
	_, second, _ := bytes.Cut(file, []byte("\n"))
	if err := os.WriteFile(s.ledger, second, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(context.Background(), Config{Ledger: s.ledger}); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a ledger without its first line: %v", err)
	}
}

func TestOneLedgerHasOneKeeper(t *testing.T) {
	s := open(t, Behaviour{})
	if other, err := Start(context.Background(), Config{Ledger: s.ledger}); err == nil {
		other.Close()
		t.Error("two sandboxes write one ledger")
	}
}

func TestASandboxEndsRightAfterItsStart(t *testing.T) {
	for range 50 {
		s := open(t, Behaviour{})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMoreThanStandsCannotBeTakenOrGivenBack(t *testing.T) {
	s := open(t, Behaviour{})
	s.refused(s.follow("captures", "c0", "r1", 1), 404, "NO_AUTHORIZATION")
	s.authorize("r1", "tok", "LATER", 500)
	s.refused(s.follow("refunds", "f1", "r1", 1), 409, "OVER_LIMIT")
	s.refused(s.follow("captures", "c1", "r1", 501), 409, "OVER_LIMIT")
	s.want(s.follow("voids", "v1", "r1", 500), "VOIDED", 500)
	s.refused(s.follow("captures", "c2", "r1", 1), 409, "OVER_LIMIT")
	s.want(s.authorize("r2", "tok", "AT_PLACING", 500), "CAPTURED", 500)
	s.refused(s.follow("voids", "v2", "r2", 500), 409, "OVER_LIMIT")
	s.want(s.follow("refunds", "f2", "r2", 500), "REFUNDED", 500)
	s.refused(s.follow("refunds", "f3", "r2", 1), 409, "OVER_LIMIT")
	s.wantEffects("AUTHORIZE", "VOID", "CAPTURE", "REFUND")
}

func TestACancelledKeyIsForbiddenForEverAndItsEffectUndone(t *testing.T) {
	for name, c := range map[string]struct {
		before  func(*shop)
		outcome string
		amount  int64
		effects []string
	}{
		"never arrived": {func(*shop) {}, "CANCELLED", 0, []string{"CANCEL"}},
		"held":          {func(s *shop) { s.authorize("r1", "tok", "LATER", 500) }, "VOIDED", 500, []string{"AUTHORIZE", "VOID"}},
		"taken":         {func(s *shop) { s.authorize("r1", "tok", "AT_PLACING", 500) }, "REFUNDED", 500, []string{"CAPTURE", "REFUND"}},
		"declined":      {func(s *shop) { s.authorize("r1", TokenDecline, "LATER", 500) }, "CANCELLED", 0, []string{"DECLINE", "CANCEL"}},
		"let go before": {func(s *shop) {
			s.authorize("r1", "tok", "LATER", 500)
			s.follow("voids", "v1", "r1", 500)
		}, "VOIDED", 500, []string{"AUTHORIZE", "VOID", "CANCEL"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Behaviour{})
			c.before(s)
			s.want(s.cancel("r1"), c.outcome, c.amount)
			s.again(same)
			s.want(s.cancel("r1"), c.outcome, c.amount)
			s.wantEffects(c.effects...)
			if len(c.effects) == 1 {
				s.want(s.authorize("r1", "tok", "LATER", 500), "CANCELLED", 0)
			}
			s.want(s.do("GET", "/v1/requests/r1", "", ""), "CANCELLED", 0)
			s.refused(s.follow("captures", "c9", "r1", 1), map[bool]int{true: 404, false: 409}[c.amount == 0], map[bool]string{true: "NO_AUTHORIZATION", false: "OVER_LIMIT"}[c.amount == 0])
			s.wantEffects(c.effects...)
		})
	}
}

func TestTheVerdictIsAFunctionOfTheRequestID(t *testing.T) {
	first, second := open(t, Behaviour{DeclinePercent: 30}), open(t, Behaviour{DeclinePercent: 30})
	declined := 0
	for i := range 300 {
		key := "r" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + string(rune('a'+i/26))
		a, b := first.authorize(key, "tok", "LATER", 500), second.authorize(key, "tok", "LATER", 500)
		if a.Outcome != b.Outcome {
			t.Fatalf("%s is %s here and %s there", key, a.Outcome, b.Outcome)
		}
		if a.Outcome == "DECLINED" {
			declined++
		}
	}
	if declined < 60 || declined > 120 {
		t.Errorf("%d of 300 were declined, want about 90", declined)
	}
}

func TestADeclineStaysADeclineWhenTheProviderChangesItsMind(t *testing.T) {
	s := open(t, Behaviour{DeclinePercent: 100})
	s.want(s.authorize("r1", "tok", "LATER", 500), "DECLINED", 0)
	if b := s.do("PUT", "/v1/behaviour", "", `{"decline_percent":0}`); b.status != 200 {
		t.Fatalf("behaviour: %+v", b)
	}
	s.want(s.authorize("r1", "tok", "LATER", 500), "DECLINED", 0)
	s.want(s.authorize("r2", "tok", "LATER", 500), "AUTHORIZED", 500)
}

func TestTimeoutAfterChargeIsDoneNeverAnsweredAndFound(t *testing.T) {
	s := open(t, Behaviour{})
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		body := `{"order_id":"ord_1","payment_id":"pay_1","token":"` + TokenTimeoutAfterCharge + `","capture":"AT_PLACING","amount_minor":500,"currency":"EUR"}`
		r, _ := http.NewRequestWithContext(ctx, "POST", s.URL()+"/v1/authorizations", strings.NewReader(body))
		r.Header.Set("Idempotency-Key", "r1")
		if res, err := http.DefaultClient.Do(r); err == nil {
			t.Fatalf("answered %s", res.Status)
		}
		cancel()
	}
	s.want(s.do("GET", "/v1/requests/r1", "", ""), "CAPTURED", 500)
	s.refused(s.do("GET", "/v1/requests/r2", "", ""), 404, "NO_REQUEST")
	s.wantEffects("CAPTURE")
}

func TestAWrongAnswerIsNoAnswerAndWhatWasAskedIsDone(t *testing.T) {
	s := open(t, Behaviour{WrongPercent: 100})
	r, _ := http.NewRequest("POST", s.URL()+"/v1/authorizations", strings.NewReader(`{"order_id":"ord_1","payment_id":"pay_1","token":"tok","amount_minor":500,"currency":"EUR"}`))
	r.Header.Set("Idempotency-Key", "r1")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 || !strings.HasPrefix(string(b), "<html>") {
		t.Errorf("%d %s, %v", res.StatusCode, b, err)
	}
	s.want(s.do("GET", "/v1/requests/r1", "", ""), "AUTHORIZED", 500)
	s.wantEffects("AUTHORIZE")
}

func TestNothingIsDoneWhenUnavailableOrMalformed(t *testing.T) {
	s := open(t, Behaviour{})
	s.refused(s.authorize("r1", TokenUnavailable, "LATER", 500), 503, "DOWN")
	for _, body := range []string{``, `{`, `{"order_id":"o","payment_id":"p","amount_minor":1.5,"currency":"EUR"}`, `{"order_id":"o","payment_id":"p","amount_minor":-1,"currency":"EUR"}`,
		`{"order_id":"o","payment_id":"p","amount_minor":1,"currency":"EURO"}`, `{"payment_id":"p","amount_minor":1,"currency":"EUR"}`, `{"colour":"red"}`, `{}{}`} {
		s.refused(s.do("POST", "/v1/authorizations", "r1", body), 400, "MALFORMED")
	}
	s.refused(s.authorize("", "tok", "LATER", 500), 400, "MALFORMED")
	s.refused(s.authorize("r\xff", "tok", "LATER", 500), 400, "MALFORMED") // the ledger would keep it as another key, and the next one would charge again
	s.refused(s.do("GET", "/v1/voids", "", ""), 405, "METHOD")
	s.refused(s.do("GET", "/v2", "", ""), 404, "PATH")
	for _, body := range []string{`{"decline_percent":101}`, `{"slow_ms":-1}`, `{"declines":1}`} {
		s.refused(s.do("PUT", "/v1/behaviour", "", body), 400, "BEHAVIOUR")
	}
	s.wantEffects()
}

func TestEntriesOfOneHashAreToldApart(t *testing.T) {
	l, err := openLedger(filepath.Join(t.TempDir(), "ledger.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.file.Close()
	l.hash = func(string) uint64 { return 7 }
	long := strings.Repeat("long ", 1000)
	for _, id := range []string{"a", "b", "c"} {
		if err := l.append(&Entry{RequestID: id, Operation: opAuthorize, OrderID: id + long}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"a", "b", "c"} {
		if e, ok, err := l.find(slot{requestID: id}); err != nil || !ok || e.OrderID != id+long {
			t.Errorf("%s: found %v %q, %v", id, ok, e.RequestID, err)
		}
	}
	if _, ok, err := l.find(slot{requestID: "d"}); ok || err != nil {
		t.Errorf("d was found: %v", err)
	}
}

// A field that the structs have and their JSON lacks would be forgotten in the ledger.
func TestEveryFieldIsWritten(t *testing.T) {
	full := func(to any) {
		v := reflect.ValueOf(to).Elem()
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() == reflect.String {
				f.SetString(fmt.Sprintf("%q <%d>", v.Type().Field(i).Name, i))
			} else {
				f.SetInt(int64(i + 1))
			}
		}
	}
	same := func(written []byte, err error, by any) {
		t.Helper()
		var got, want map[string]any
		b, _ := json.Marshal(by)
		if err := errors.Join(err, json.Unmarshal(written, &got), json.Unmarshal(b, &want)); err != nil || !maps.Equal(got, want) {
			t.Errorf("%s is written, want %s: %v", written, b, err)
		}
	}
	for _, fill := range []func(any){func(any) {}, full} {
		var e Entry
		fill(&e)
		written, err := e.appendJSON(nil)
		same(written, err, e)
		var a Answer
		fill(&a)
		written, err = a.appendJSON(nil)
		same(written, err, a)
	}
}

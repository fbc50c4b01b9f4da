package chaos

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// stuck is a run whose one order is never decided, on a process that says what it is told to.
func stuck(t *testing.T, answer http.HandlerFunc) *run {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	r := newRun(t.Context(), Config{Progress: t.Output()}, work{decides: confirmed})
	r.shop = &shop{members: []*member{{name: "oms", address: strings.TrimPrefix(server.URL, "http://")}}}
	r.patient, r.healing, r.look = 20*time.Millisecond, 200*time.Millisecond, 5*time.Millisecond
	r.watch.place("a")
	return r
}

func TestWhatSaysThatItIsReadyAndDecidesNothingIsAViolation(t *testing.T) {
	r := stuck(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"ready","waiting_for":[]}`)
	})
	r.recovery(t.Context(), Step{Faults: []Fault{{Kind: Kill, Target: "oms"}}}, r.watch.since())
	if v := r.report.Violations; len(v) != 1 || !strings.Contains(v[0], "1 orders of before are not decided") || !strings.Contains(v[0], "all say that they are ready") {
		t.Errorf("%q", v)
	}
}

func TestWhatSaysWhyItIsNotReadyMayTakeLongerButNotForEver(t *testing.T) {
	var asked atomic.Int64
	no := func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"status":"starting","waiting_for":["group orders"]}`)
	}
	r := stuck(t, no)
	began := time.Now()
	r.recovery(t.Context(), Step{}, r.watch.since())
	if v := r.report.Violations; len(v) != 1 || !strings.Contains(v[0], "oms waits for group orders") || time.Since(began) < r.healing || asked.Load() < 2 {
		t.Errorf("%q after %v, asked %d times", v, time.Since(began), asked.Load())
	}

	r = stuck(t, no) // and in time it is none
	x := r.watch.since()
	r.watch.place("b")
	r.watch.end("a", "CONFIRMED")
	r.watch.end("b", "CONFIRMED")
	r.recovery(t.Context(), Step{}, x)
	if len(r.report.Violations) > 0 || r.report.All.Faults != 1 {
		t.Errorf("%q, %+v", r.report.Violations, r.report.All)
	}
}

func TestAnEndWithoutAWordIsACrash(t *testing.T) {
	for _, c := range []struct {
		said, err string
		crash     bool
	}{
		{"{\"level\":\"INFO\"}\noms: the store is damaged\n", "exit status 1", false},
		{"{\"level\":\"INFO\"}\n", "exit status 1", true},
		{"{\"level\":\"INFO\"}\npanic: runtime error\n\ngoroutine 1\n", "exit status 2", true},
		{"oms: good bye\n", "exit status 0", true},
		{"", "signal: killed", true},
	} {
		m := &member{name: "oms", log: &words{to: io.Discard}}
		for part := range strings.SplitAfterSeq(c.said, "l") { // a process writes as it likes
			_, _ = m.log.Write([]byte(part))
		}
		m.ended(errors.New(c.err))
		if len(m.ends) != 1 || len(m.crashes) > 0 != c.crash {
			t.Errorf("%q and %q: %q, crashes %q", c.said, c.err, m.ends, m.crashes)
		}
	}
}

// A process that cannot start is tried again, until the time is over.
func TestAStartThatFailsIsTriedAgain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	m := &member{name: "oms", binary: binary, args: []string{"up", "--http", "nowhere"}, log: &words{to: io.Discard}}
	if err := m.up(ctx); err == nil || len(m.ends) < 2 || !strings.Contains(m.ends[0], "oms: configuration") {
		t.Errorf("%v, %q", err, m.ends)
	}
}

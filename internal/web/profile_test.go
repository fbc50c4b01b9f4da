package web

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/gofiber/fiber/v2"
)

// as lets everybody in with these scopes.
type as []string

func (a as) Authenticate(*fiber.Ctx) (Principal, error) {
	return Principal{Subject: "one", Scopes: a}, nil
}

func (as) Guards() bool { return true }

func TestProfilesAreForWhoHasTheScope(t *testing.T) {
	for _, who := range []as{nil, {"orders:read"}, {ScopeProfile}, {Every}} {
		a := New(Config{Authenticator: who, Log: slog.New(slog.DiscardHandler)})
		Profile(a)
		allowed := Principal{Scopes: who}.Has(ScopeProfile)
		for path, want := range map[string]int{
			"/debug/pprof/heap": 200, "/debug/pprof/goroutine?debug=2": 200, "/debug/pprof/profile?seconds=0": 400, "/debug/pprof/profile?seconds=301": 400, "/debug/pprof/profile?seconds=x": 400,
			"/debug/pprof/cmdline": 404, "/debug/pprof/trace?seconds=9": 404,
		} {
			if !allowed {
				want = 403
			}
			if resp, body := ask(t, a, "GET", path); resp.StatusCode != want {
				t.Errorf("%v: GET %s: %d, want %d: %.200s", who, path, resp.StatusCode, want, body)
			}
		}
		for _, path := range []string{"/debug/pprof", "/debug/pprof/", "/debug/pprof/heap/", "/debug/pprof//heap", "/debug/pprof//evil.example/", "/debug/pprofheap", "/DEBUG/pprof/heap"} {
			if resp, body := ask(t, a, "GET", path); resp.StatusCode != 404 {
				t.Errorf("%v: GET %s: %d, want 404: %.200s", who, path, resp.StatusCode, body)
			}
		}
	}
}

func TestAProfileOfTheProcessorCanBeReadOnceAtATime(t *testing.T) {
	a := New(Config{Authenticator: None{"default"}, Log: slog.New(slog.DiscardHandler)})
	Profile(a)
	got := make(chan string, 2)
	for range 2 {
		go func() {
			resp, err := a.Test(local("/debug/pprof/profile?seconds=1"), -1)
			got <- fmt.Sprint(resp.StatusCode, err)
		}()
	}
	one, other := <-got, <-got
	if one+other != "200 <nil>503 <nil>" && one+other != "503 <nil>200 <nil>" {
		t.Errorf("two at once: %s, %s", one, other)
	}
}

package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// Principal is who asks: every handler runs as one.
type Principal struct {
	Tenant  string   // the shop
	Subject string   // who in it
	Staff   bool     // may see and change what belongs to others of the tenant
	Scopes  []string // what it may do
}

// Every is the scope that holds all others.
const Every = "*"

// Has tells whether the principal holds the scope.
func (p Principal) Has(scope string) bool {
	return slices.Contains(p.Scopes, scope) || slices.Contains(p.Scopes, Every)
}

// Require answers a 403 problem without the scope.
func (p Principal) Require(scope string) error {
	if p.Has(scope) {
		return nil
	}
	return NewProblem(http.StatusForbidden, CodeForbidden, "this needs the scope "+scope)
}

// Authenticator finds out who asks.
type Authenticator interface {
	// Authenticate answers the principal of a request, or a *Problem.
	Authenticate(c *fiber.Ctx) (Principal, error)
	// Guards tells whether a stranger is kept out; without it only the same machine may be let in.
	Guards() bool
}

// None takes everybody for the staff of one tenant. It is for loopback listeners only.
type None struct{ Tenant string }

// Guards nothing.
func (None) Guards() bool { return false }

// Authenticate refuses only a request whose Host is no loopback name: a web page that has its own name point at this machine.
func (n None) Authenticate(c *fiber.Ctx) (Principal, error) {
	if host := c.Hostname(); !loopback(host) {
		return Principal{}, NewProblem(http.StatusForbidden, CodeForbidden, fmt.Sprintf("without authentication only loopback names are served, and Host is %q", short(host)))
	}
	return Principal{Tenant: n.Tenant, Subject: "staff", Staff: true, Scopes: []string{Every}}, nil
}

// CheckListen refuses to serve strangers without authentication.
func CheckListen(addr string, a Authenticator) error {
	if a.Guards() || loopback(addr) {
		return nil
	}
	return fmt.Errorf("http address %s is not a loopback address, and there is no authentication: listen on 127.0.0.1 or [::1], or configure authentication", addr)
}

// loopback tells whether a host, with or without a port, is this machine.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

type principalKey struct{}

func authenticate(cfg Config) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if slices.Contains(cfg.Public, c.Path()) {
			return c.Next()
		}
		p, err := cfg.Authenticator.Authenticate(c)
		if err != nil {
			return err
		}
		c.Locals(principalKey{}, p)
		return c.Next()
	}
}

// Who is the principal of the request; the zero Principal, which may do nothing, on a public path.
func Who(c *fiber.Ctx) Principal {
	p, _ := c.Locals(principalKey{}).(Principal)
	return p
}

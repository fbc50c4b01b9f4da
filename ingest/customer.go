package ingest

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"github.com/gofiber/fiber/v2"
	"golang.org/x/text/unicode/norm"

	"oms/internal/web"
	"oms/schemas"
)

// customerBody is POST /api/customers.
type customerBody struct {
	Email    string  `json:"email"`
	Name     string  `json:"name"`
	Phone    string  `json:"phone,omitzero"`
	Password *string `json:"password,omitzero"`
	Address  address `json:"address,omitzero"`
}

// profile is what of a customer is sealed, as JSON.
type profile struct {
	Email   string  `json:"email"`
	Name    string  `json:"name"`
	Phone   string  `json:"phone,omitzero"`
	Address address `json:"address,omitzero"`
}

// passwordParams cost 19 MiB and two passes: the least that OWASP's password storage cheat sheet asks of argon2id.
var passwordParams = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

const (
	maxEmailBytes   = 254 // RFC 5321, a path without its brackets
	minPassword     = 8
	maxPasswordByte = 1024
	maxHashingWait  = 5 * time.Second
)

func (b *customerBody) check(f *web.Faults) {
	if !validEmail(b.Email) {
		f.Add("/email", web.CodeInvalid, "must be an e-mail address: something before and a host name behind one @, no spaces, at most 254 bytes", "")
	}
	if b.Name == "" {
		f.Add("/name", web.CodeRequired, "must be given", "")
	}
	checkText(f, "/name", b.Name, maxTextRunes)
	checkText(f, "/phone", b.Phone, maxIDRunes)
	if b.Password != nil && (utf8.RuneCountInString(*b.Password) < minPassword || len(*b.Password) > maxPasswordByte) {
		f.Add("/password", web.CodeInvalid, "must have at least 8 characters and at most 1024 bytes", "")
	}
	if b.Address != nil {
		b.Address.check(f, "/address")
	}
}

// validEmail is a plain look: only a mail that arrives proves an address.
func validEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || len(s) > maxEmailBytes {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// normalEmail is the form in which an address is claimed once: composed characters, no space around, lower case. RFC 5321 lets hosts tell mailboxes apart by
// letter case; none worth a shop's mail does, and two customers who differ by it alone are one person.
func normalEmail(s string) string { return strings.ToLower(norm.NFC.String(strings.TrimSpace(s))) }

func (s *Server) registerCustomer(c *fiber.Ctx) error {
	who, err := from(c, "") // anybody may register
	if err != nil {
		return err
	}
	var b customerBody
	if err := read(c, &b); err != nil {
		return err
	}
	hash, err := s.hashPassword(b.Password)
	if err != nil {
		return err
	}
	b.Password = nil // not part of the fingerprint: a digest of it, however keyed, is one more thing to guess against
	fingerprint, err := s.fingerprint(who.place, &b)
	if err != nil {
		return err
	}
	m := &schemas.RegisterCustomer{
		Command: schemas.Command{Tenant: who.Tenant, Principal: who.Subject},
		LoginID: s.derived("lgn_", who.Tenant, normalEmail(b.Email)), Fingerprint: fingerprint, PasswordHash: hash,
	}
	m.CommandID = s.commandID(who, m.LoginID)
	// The id derives from the address too, so that one key sent with two addresses never makes two registrations of one id.
	m.CustomerID = unique("cus_")
	if who.key != "" {
		m.CustomerID = s.derived("cus_", who.Tenant, who.Subject, who.key, m.LoginID)
	}
	if m.Profile, err = s.seal(SubjectOf(who.Tenant, m.CustomerID), profile{b.Email, b.Name, b.Phone, b.Address}); err != nil {
		return err
	}
	return s.answer(c, who, &command{
		message: m, id: m.CommandID, fingerprint: fingerprint, family: "customer", created: http.StatusCreated, key: who.key,
		pending: pending{CustomerID: m.CustomerID, Location: "/api/customers/" + url.PathEscape(m.CustomerID)},
		show: func(ctx context.Context, version int64, _ bool) (web.Document, error) {
			return s.cfg.Views.Customer(ctx, who.Tenant, m.CustomerID, version)
		},
	})
}

// hashPassword takes its turn: as many at once as there are cores.
func (s *Server) hashPassword(password *string) ([]byte, error) {
	if password == nil {
		return nil, nil
	}
	wait := time.NewTimer(maxHashingWait)
	defer wait.Stop()
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-wait.C:
		return nil, web.Unavailable("too many registrations at once", time.Second)
	}
	hash, err := argon2id.CreateHash(*password, passwordParams)
	return []byte(hash), err
}

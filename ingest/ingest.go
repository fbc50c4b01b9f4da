// Package ingest takes commands from the world over HTTP: it checks what the form alone shows, seals personal data, writes the command to its inbox, and waits for
// what becomes of it. It decides nothing that only a row knows.
package ingest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/web"
)

// Scopes that the commands need.
const (
	ScopeOrdersWrite    = "orders:write"
	ScopeOrdersStatus   = "orders:status"
	ScopeOrdersPrice    = "orders:price" // quoted prices
	ScopeCatalogWrite   = "catalog:write"
	ScopeInventoryWrite = "inventory:write"
)

// Views is what ingest asks of the read side. Each waits until the row has minVersion, or the context ends; then it answers the document as it is, with the context's error.
type Views interface {
	// Order with decided waits also until the order has left the states on the way to a decision.
	Order(ctx context.Context, tenant, orderID string, minVersion int64, decided bool) (web.Document, error)
	Product(ctx context.Context, tenant, productID string, minVersion int64) (web.Document, error)
	Inventory(ctx context.Context, tenant, productID string, minVersion int64) (web.Document, error)
	Customer(ctx context.Context, tenant, customerID string, minVersion int64) (web.Document, error)
}

// Sealer hides personal data of a subject; see SubjectOf.
type Sealer interface {
	Seal(subject string, plaintext []byte) ([]byte, error)
}

// Settings are stamped on the commands, so that machines read none; zero values take the defaults named here.
type Settings struct {
	DecisionTimeout time.Duration     // an order not decided by then expires; 5 minutes
	CancelTimeout   time.Duration     // how long the undoing of a cancelled order may take before it is asked for again; 5 minutes
	MaxTotalMinor   int64             // largest total of an order; 0: no limit
	Provider        string            // payment provider of methods without a route; "sandbox"
	Routes          map[string]string // provider by payment method
	PaymentTries    int32             // authorizations that may be declined before the order is rejected; 1
	PaymentTimeout  time.Duration     // how long a provider's answer is waited for; 10 seconds

	AckTimeout     time.Duration // how long Kafka may take to acknowledge before the client hears 503; 5 seconds
	OutcomeTimeout time.Duration // how long an outcome is waited for before the client hears 202; 5 seconds
}

func (s Settings) withDefaults() Settings {
	for _, d := range []struct {
		at  *time.Duration
		def time.Duration
	}{{&s.DecisionTimeout, 5 * time.Minute}, {&s.CancelTimeout, 5 * time.Minute}, {&s.PaymentTimeout, 10 * time.Second}, {&s.AckTimeout, 5 * time.Second}, {&s.OutcomeTimeout, 5 * time.Second}} {
		if *d.at <= 0 {
			*d.at = d.def
		}
	}
	if s.Provider == "" {
		s.Provider = "sandbox"
	}
	if s.PaymentTries <= 0 {
		s.PaymentTries = 1
	}
	return s
}

// Config of a server.
type Config struct {
	Kafka    kafka.Settings
	Views    Views
	Seal     Sealer
	Secret   []byte // ≥ 32 bytes, the same in every instance and for ever: order ids, fingerprints and login ids derive from it
	Settings Settings
	Log      *slog.Logger
}

// Server serves the commands.
type Server struct {
	cfg      Config
	producer producer
	waiters  *waiters
	follower *follower
	hashing  chan struct{} // held while a password is hashed: that costs a core and 19 MiB
	ours     atomic.Bool   // the secret is the cluster's; until that is known no command is sent
	closed   func()
}

// producer is the part of a Kafka client that is used, so that a test can take Kafka away.
type producer interface {
	TryProduce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error))
}

// New makes a server; it takes commands once Run has reached Kafka.
func New(cfg Config) (*Server, error) {
	if len(cfg.Secret) < 32 {
		return nil, fmt.Errorf("ingest: the secret has %d bytes, at least 32 are needed", len(cfg.Secret))
	}
	if cfg.Views == nil || cfg.Seal == nil || cfg.Log == nil {
		return nil, errors.New("ingest: Views, Seal and Log must be set")
	}
	cfg.Settings = cfg.Settings.withDefaults()
	// A record that is not acknowledged within the delivery timeout is given up where that is certain; its client was told 503 long before.
	client, err := cfg.Kafka.NewProducer(kgo.RecordDeliveryTimeout(2*cfg.Settings.AckTimeout), kgo.MaxBufferedRecords(50_000))
	if err != nil {
		return nil, err
	}
	s := newServer(cfg, client)
	s.closed = client.Close
	s.follower.warm = func(ctx context.Context) error {
		_, _, err := client.ProducerID(ctx)
		return err
	}
	return s, nil
}

func newServer(cfg Config, p producer) *Server {
	w := newWaiters()
	return &Server{
		cfg: cfg, producer: p, waiters: w, closed: func() {},
		follower: &follower{kafka: cfg.Kafka, waiters: w, log: cfg.Log},
		hashing:  make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
}

// Run agrees with the cluster on the secret, then follows outcomes until the context ends, then closes the connections to Kafka.
func (s *Server) Run(ctx context.Context) error {
	defer s.closed()
	if err := s.agree(ctx); err != nil {
		return err
	}
	return s.follower.run(ctx)
}

// Ready tells whether commands can be taken and their outcomes be seen.
func (s *Server) Ready() bool { return s.follower.ready.Load() }

// Routes registers the commands and the documents about all endpoints.
func (s *Server) Routes(r fiber.Router) {
	r.Post("/api/orders", s.placeOrder)
	r.Post(`/api/orders\:batch`, s.placeOrders) // Fiber takes a bare colon for a parameter
	r.Patch("/api/orders/:id/status", s.changeStatus)
	r.Post("/api/orders/:id/cancel", s.cancelOrder)
	r.Post("/api/products", s.addProduct)
	r.Put("/api/inventory/:id", s.setStock)
	r.Post("/api/inventory/:id/adjust", s.adjustStock)
	r.Post("/api/customers", s.registerCustomer)
	r.Get("/openapi.json", openAPI)
	r.Get("/docs", docs)
	r.Get("/", func(c *fiber.Ctx) error { return c.Redirect("/docs") })
}

// SubjectOf names whose key seals a piece of personal data: a customer's id, or the id of a guest's order.
func SubjectOf(tenant, id string) string { return tenant + "/" + id }

// digest is an HMAC under the server's secret; parts are told apart by their lengths.
func (s *Server) digest(use string, parts ...string) []byte {
	h := hmac.New(sha256.New, s.cfg.Secret)
	for _, part := range append([]string{use}, parts...) {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return h.Sum(nil)
}

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// derived is an id of 24 letters and digits that equal parts always give again.
func (s *Server) derived(prefix string, parts ...string) string {
	return cardless(func() string {
		id := prefix + base32Lower.EncodeToString(s.digest(prefix, parts...)[:15])
		parts = append(parts, "again")
		return id
	})
}

// unique is an id that was never given, ordered by time.
func unique(prefix string) string {
	return cardless(func() string { return prefix + uuid.Must(uuid.NewV7()).String() })
}

// cardless is the first id that cannot be taken for a card number: what the system gives out, it must take back in any field.
func cardless(next func() string) string {
	for {
		if id := next(); !hasCard(id) {
			return id
		}
	}
}

// caller is what a handler knows of who sent the request.
type caller struct {
	web.Principal
	key    string // Idempotency-Key as given; empty: none
	place  string // method and path, so that one key may serve at two places
	trace  string
	prefer web.Preference
}

const keyRule = "must be 1 to 255 printable ASCII characters, once"

// from reads the caller of a request, who must hold the scope.
func from(c *fiber.Ctx, scope string) (caller, error) {
	who := caller{Principal: web.Who(c), key: web.Header(c, "Idempotency-Key"), trace: web.Trace(c)}
	if scope != "" {
		if err := who.Require(scope); err != nil {
			return who, err
		}
	}
	// An empty one is a client that lost its key, and of two one would be ignored: both would order twice some day.
	if n := len(c.Request().Header.PeekAll("Idempotency-Key")); n > 1 || n == 1 && !validKey(who.key) {
		return who, web.BadHeader("Idempotency-Key", who.key, keyRule)
	}
	who.place = strings.Clone(c.Method() + " " + c.Path())
	who.prefer = web.Prefer(c)
	return who, nil
}

func validKey(key string) bool {
	for _, b := range []byte(key) {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return len(key) >= 1 && len(key) <= 255
}

// commandID is the identity of a command to a row: the same for a repetition under the same key, otherwise new. A key that reaches two rows is two commands:
// neither row can know of the other, and who waits for one must not hear of the other.
func (s *Server) commandID(who caller, row string) string {
	if who.key == "" {
		return unique("cmd_")
	}
	return s.derived("cmd_", who.Tenant, who.Subject, who.place, who.key, row)
}

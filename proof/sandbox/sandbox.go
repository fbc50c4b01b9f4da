// Package sandbox is the outside world with play money: a payment provider as a real HTTP server, with its own memory in an append-only ledger file that
// survives kill -9 and that an auditor can lay beside the payment facts.
//
//	POST /v1/authorizations | captures | voids | refunds    Idempotency-Key: request id; the same key again: the same answer, another body: 422
//	POST /v1/cancellations                                  Idempotency-Key: request id to forbid, also when that request arrives later; undoes what it did
//	GET  /v1/requests/{request_id}                          what became of it, 404: it never arrived
//	GET, PUT /v1/behaviour                                  Behaviour
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"oms/internal/pipe"
)

// Config says where the sandbox listens and what it remembers.
type Config struct {
	Listen    string    // host:port; port 0 or an empty string: a free loopback port
	Ledger    string    // path of the ledger file; created when missing
	Behaviour Behaviour // at the start; the zero value does all that is asked of it
	Log       *slog.Logger
}

// silence is how long a request that gets no answer holds its connection: longer than any client of ours waits.
const silence = 15 * time.Second

// Server is a sandbox that serves.
type Server struct {
	book      *book
	behaviour atomic.Pointer[Behaviour]
	http      *fasthttp.Server
	listener  *pipe.Listener
	log       *slog.Logger
	served    chan error    // what Serve ended with
	closing   chan struct{} // wakes who is silent
	once      sync.Once
}

// Start opens the ledger and listens; ctx bounds the start alone. The server runs until Close.
func Start(ctx context.Context, c Config) (*Server, error) {
	s := &Server{log: c.Log, served: make(chan error, 1), closing: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.Behave(c.Behaviour); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	var err error
	if s.book, err = openBook(c.Ledger); err != nil {
		return nil, fmt.Errorf("sandbox: ledger: %w", err)
	}
	network, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sandbox: %w", err), s.book.close())
	}
	s.listener = pipe.Listen(network)
	s.listener.Open()
	s.http = &fasthttp.Server{
		Handler: s.handle, Name: "oms-sandbox", MaxRequestBodySize: 16 << 10, ReadBufferSize: 4 << 10, WriteBufferSize: 2 << 10,
		IdleTimeout: time.Minute, NoDefaultDate: true, CloseOnShutdown: true, Logger: quiet{s.log},
	}
	door := &door{Listener: s.listener, open: make(chan struct{})}
	go func() { s.served <- s.http.Serve(door) }()
	<-door.open
	return s, nil
}

// door tells when the HTTP server has come to it: one that is shut down before does not notice, and would serve for ever.
type door struct {
	net.Listener
	once sync.Once
	open chan struct{}
}

func (d *door) Accept() (net.Conn, error) {
	d.once.Do(func() { close(d.open) })
	return d.Listener.Accept()
}

// quiet passes on what the HTTP server has to say, which is about single connections.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, args ...any) {
	q.log.Debug("sandbox: " + fmt.Sprintf(format, args...))
}

// Addr is the host:port that it listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URL is where a client begins.
func (s *Server) URL() string { return "http://" + s.Addr() }

// Dial connects from this process, through memory.
func (s *Server) Dial(ctx context.Context) (net.Conn, error) { return s.listener.Dial(ctx) }

// Behave changes how requests are answered from now on.
func (s *Server) Behave(b Behaviour) error {
	if err := b.check(); err != nil {
		return err
	}
	s.behaviour.Store(&b)
	return nil
}

// Close answers what is under way and ends the server.
func (s *Server) Close() (err error) {
	s.once.Do(func() {
		close(s.closing)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		err = s.http.ShutdownWithContext(ctx)
		err = errors.Join(err, <-s.served, s.book.close())
	})
	return err
}

// Package clickhouse is a ClickHouse to write to and to read from: a client for a server that is somewhere, and an embedded engine for where there is none.
//
// The engine is a child process of the same binary, which loads libchdb.so and speaks ClickHouse's HTTP protocol on a loopback address. A crash of the
// engine is a crash of the child: Engine starts it again at the same address, and clients that try again go on.
package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Config of an embedded engine.
type Config struct {
	Library    string   // path of libchdb.so, as FindLibrary gives it
	Dir        string   // directory of its data; made when it is not there
	Listen     string   // loopback address, "127.0.0.1:0" for any free port; empty: that
	Executable string   // the binary that is the child; empty: this one
	Args       []string // what makes that binary call Serve, such as a hidden command
	Memory     int64    // bytes that the engine may use altogether; 0: 2 GiB
	Database   string   // made at the start, and that of requests that name none; empty: oms
	Again      bool     // a start has failed before: what the child says of its failure is known, and goes to the log for debugging
	Log        *slog.Logger
}

const (
	stopWithin = 5 * time.Second // a stop by its own will; then it is killed
	minBackoff = 200 * time.Millisecond
	maxBackoff = 10 * time.Second
	steady     = time.Second // a child that served for longer is not in a series of failures
)

// Engine is a running embedded ClickHouse.
type Engine struct {
	conf     Config
	password string
	lock     *os.File
	listener *net.TCPListener

	up       atomic.Bool
	pid      atomic.Int64
	restarts atomic.Int64
	known    atomic.Bool            // the log has why there is no child; it is not said at each try
	why      atomic.Pointer[string] // there is no child, for clients

	stop      chan struct{} // closed by Close
	ended     chan struct{} // closed when the child has gone for good
	closeOnce sync.Once
	closeErr  error
}

// Start starts the engine and waits until it answers; the context bounds that wait, not the engine's life. One Dir has one engine: the error of a second
// start names it. An engine that does not come up the first time is an error; one that ends later is started again.
func Start(ctx context.Context, c Config) (*Engine, error) {
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	e := &Engine{conf: c, password: newPassword(), stop: make(chan struct{}), ended: make(chan struct{})}
	e.known.Store(c.Again)
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	if e.lock, err = lockFile(filepath.Join(c.Dir, "owner.lock")); err != nil {
		if errors.Is(err, errLocked) {
			err = fmt.Errorf("clickhouse: another process runs the engine of %s", c.Dir)
		}
		return nil, err
	}
	if err := writeEngineConfig(c); err != nil {
		return nil, errors.Join(err, e.lock.Close())
	}
	// The parent listens and the child inherits the socket: the address stays while the child changes, nobody else can take it meanwhile and be told the
	// password, and a client that comes while a new child starts waits in the queue instead of being refused.
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("clickhouse: %w", err), e.lock.Close())
	}
	e.listener = l.(*net.TCPListener)
	first := make(chan error, 1)
	go e.supervise(first)
	select {
	case err = <-first:
	case <-ctx.Done():
		err = fmt.Errorf("clickhouse: the engine of %s is not ready: %w", c.Dir, ctx.Err())
	}
	if err == nil {
		err = writeEndpoint(c.Dir, Endpoint{URL: e.url("", ""), Password: e.password, PID: os.Getpid()})
	}
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// checked is the configuration with its defaults.
func (c Config) checked() (Config, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return c, fmt.Errorf("clickhouse: listen address %q: want HOST:PORT, such as 127.0.0.1:8123", c.Listen)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return c, fmt.Errorf("clickhouse: listen address %q: the embedded engine reads any file that this process may read, so it serves a loopback address only, such as 127.0.0.1:8123", c.Listen)
	}
	if c.Executable == "" {
		if c.Executable, err = os.Executable(); err != nil {
			return c, fmt.Errorf("clickhouse: %w", err)
		}
	}
	for _, path := range []*string{&c.Dir, &c.Library} {
		if *path == "" {
			return c, errors.New("clickhouse: the engine needs a directory and a library")
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return c, fmt.Errorf("clickhouse: %w", err)
		}
	}
	if c.Memory == 0 {
		c.Memory = 2 << 30
	}
	if c.Database == "" {
		c.Database = "oms"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Addr is the engine's HOST:PORT, the same for its whole life.
func (e *Engine) Addr() string { return e.listener.Addr().String() }

// Password is that of the user default, new at each Start.
func (e *Engine) Password() string { return e.password }

// URL is what Open takes: the user with all rights, in the engine's database.
func (e *Engine) URL() string { return e.url(fullUser, e.password) }

// ReaderURL is what Open takes: the user that can only read, in the engine's database.
func (e *Engine) ReaderURL() string { return e.url(readerUser, "") }

// PID is the child's process id; 0 while there is none.
func (e *Engine) PID() int { return int(e.pid.Load()) }

// Up tells whether the child answers statements.
func (e *Engine) Up() bool { return e.up.Load() }

// Restarts is how often a child has ended that was not told to.
func (e *Engine) Restarts() int { return int(e.restarts.Load()) }

// Close ends the engine: it takes no more statements, those that run may end, and after five seconds it is killed, which loses nothing that was
// acknowledged. The error is what went wrong in that.
func (e *Engine) Close() error {
	e.closeOnce.Do(func() {
		close(e.stop)
		<-e.ended
		removeEndpoint(e.conf.Dir)
		e.closeErr = errors.Join(e.closeErr, e.listener.Close(), e.lock.Close())
	})
	return e.closeErr
}

// supervise runs one child after the other. It tells first how the first one came up.
func (e *Engine) supervise(first chan<- error) {
	// A child's parent-death signal is sent when the thread ends that made the child, so that thread is to stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(e.ended)
	home := func() {} // sends the doorman home, when there is one
	defer func() { home() }()
	for failures := 0; ; failures++ {
		began, ready, served := time.Now(), false, time.Now()
		c, err := e.spawn()
		if err == nil {
			e.pid.Store(int64(c.pid()))
			settled := func() bool { return false }
			ready, err = e.accompany(c, func() {
				home()
				served = time.Now()
				e.up.Store(true)
				settled = e.welcome()
				if first != nil {
					first <- nil
				}
			})
			settled()
			e.up.Store(false)
			e.pid.Store(0)
		}
		select {
		case <-e.stop:
			e.closeErr = err
			return
		default:
		}
		if first != nil && !ready {
			first <- err
			<-e.stop
			return
		}
		first = nil
		e.restarts.Add(1)
		if ready {
			home = e.doorman()
		}
		if ready && time.Since(served) > steady {
			failures = 0
		}
		why := err.Error()
		e.why.Store(&why)
		wait := rand.N(min(maxBackoff, minBackoff<<min(failures, 10)))
		e.say(slog.LevelWarn, "clickhouse: the engine ended and is started again", "error", err, "after", time.Since(began).Round(time.Millisecond), "wait", wait.Round(time.Millisecond))
		e.known.Store(failures > 0) // the first of a series may say that it crashed, and the second why it does not come back
		select {
		case <-e.stop:
			return
		case <-time.After(wait):
		}
	}
}

// welcome says that a child serves. After a series of failures that is said when it goes on serving; the function that it returns keeps it from being said.
func (e *Engine) welcome() (stop func() bool) {
	say := func() { e.say(slog.LevelInfo, "clickhouse: the engine is ready", "address", e.Addr(), "pid", e.PID()) }
	if !e.known.Load() {
		say()
		return func() bool { return false }
	}
	return time.AfterFunc(steady, func() {
		e.known.Store(false)
		say()
	}).Stop
}

// say logs; what is known already goes to the log for debugging.
func (e *Engine) say(level slog.Level, message string, attributes ...any) {
	if e.known.Load() {
		level = slog.LevelDebug
	}
	e.conf.Log.Log(context.Background(), level, message, attributes...)
}

// patience is how long clients wait at the door for a new child before they are told that there is none.
const patience = 2 * time.Second

// doorman tells clients that come while there is no child, and wait in the queue of the socket, that there is none now: otherwise they would wait as long
// as an answer may take. The function that it returns sends it home, and may be called twice.
func (e *Engine) doorman() (home func()) {
	front := &http.Server{ReadHeaderTimeout: time.Second, ErrorLog: slog.NewLogLogger(e.conf.Log.Handler(), slog.LevelDebug), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("X-ClickHouse-Exception-Code", "236")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintf(w, "Code: 236. DB::Exception: The engine is being started again: %s. (ABORTED)\n", *e.why.Load())
	})}
	timer := time.AfterFunc(patience, func() {
		_ = e.listener.SetDeadline(time.Time{}) // the last doorman left with one
		_ = front.Serve(lent{e.listener})
	})
	return func() {
		timer.Stop()
		_ = front.Close()
	}
}

// lent is a listener that outlives the server that closes it.
type lent struct{ *net.TCPListener }

func (l lent) Close() error { return l.SetDeadline(time.Unix(1, 0)) }

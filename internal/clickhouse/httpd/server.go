// Package httpd speaks ClickHouse's HTTP protocol over an engine that runs as a library in this process, for the drivers and tools that speak it to a server.
package httpd

import (
	"context"
	"crypto/subtle"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"oms/internal/clickhouse/chdb"
)

// Full is the user with all rights.
const Full = "default"

// Config is how the engine is opened and who may speak to it.
type Config struct {
	Library    string // path of libchdb.so
	Dir        string // data directory of the engine
	ConfigFile string // of ClickHouse
	Database   string // of a request that names none; made when it is not there
	Password   string // of the user default
	Memory     int64  // bytes that the engine may use, as ConfigFile has it
}

// Server is an http.Handler over a fixed number of sessions.
type Server struct {
	conf                    Config
	pool                    *pool
	name, version, timezone string
	stopping                atomic.Bool
}

// Open boots the engine. A process does that once.
func Open(c Config) (*Server, error) {
	e, err := chdb.Open(c.Library, c.Dir, c.ConfigFile)
	if err != nil {
		return nil, err
	}
	s := &Server{conf: c}
	if s.pool, err = openPool(e, c.Memory); err != nil {
		return nil, err
	}
	if err := s.pool.killer.Exec("CREATE DATABASE IF NOT EXISTS `" + c.Database + "`"); err != nil {
		return nil, err
	}
	if err := closeWays(s.pool.killer); err != nil {
		return nil, err
	}
	r, err := s.pool.killer.Query("SELECT displayName(), version(), timezone()", "TabSeparatedRaw", nil)
	if err != nil {
		return nil, err
	}
	defer r.Free()
	fields := append(strings.Split(strings.TrimSpace(string(r.Bytes())), "\t"), "", "", "")
	s.name, s.version, s.timezone = fields[0], fields[1], fields[2]
	return s, nil
}

// Version is ClickHouse's.
func (s *Server) Version() string { return s.version }

// Broken receives when the engine has come into a state in which its answers cannot be trusted: the process is to be ended and started again.
func (s *Server) Broken() <-chan struct{} { return s.pool.broken }

// Stop refuses statements from now on.
func (s *Server) Stop() { s.stopping.Store(true) }

// Close waits for running statements, kills them when the context ends, and shuts the engine down. False: one did not even end then, and the process
// is to be ended with the engine as it is, which loses nothing that was acknowledged.
func (s *Server) Close(ctx context.Context) bool {
	s.Stop()
	return s.pool.close(ctx)
}

// ServeHTTP answers a statement, or that the server is there.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	p := patient{w, stall}
	w = p
	defer func() { _ = p.renew() }() // what is still in a buffer is sent after this
	switch {
	case !isLoopback(r.Host): // a page in a browser that calls itself by a name that leads here
		http.Error(w, "The host of a request is to be a loopback address, not "+r.Host, http.StatusForbidden)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead:
		http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
		return
	case r.URL.Path == "/ping", r.URL.Path == "/replicas_status", r.URL.Path == "/" && r.Method != http.MethodPost && !params.Has("query"):
		_, _ = io.WriteString(w, "Ok.\n")
		return
	case r.URL.Path != "/":
		http.Error(w, "There is no handle "+r.URL.Path, http.StatusNotFound)
		return
	}
	reader, err := s.user(r, params)
	if err == nil {
		err = s.serve(w, r, params, reader)
	} else {
		w.Header().Set("WWW-Authenticate", `Basic realm="ClickHouse server HTTP API"`)
	}
	if err != nil {
		if s.stopping.Load() {
			err = exceptionf(236, "ABORTED", "The engine is stopping")
		}
		_, _ = io.CopyN(io.Discard, r.Body, 1<<20) // a client that still writes would see a reset instead of the exception
		fail(w, err)
	}
}

func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// user tells who asks; no name is the reader.
func (s *Server) user(r *http.Request, params url.Values) (reader bool, err error) {
	name, password := params.Get("user"), params.Get("password")
	if n, p, ok := r.BasicAuth(); ok {
		name, password = n, p
	}
	if n := r.Header.Get("X-ClickHouse-User"); n != "" {
		name, password = n, r.Header.Get("X-ClickHouse-Key")
	}
	switch name {
	case "", Reader:
		if password == "" {
			return true, nil
		}
	case Full:
		if subtle.ConstantTimeCompare([]byte(password), []byte(s.conf.Password)) == 1 {
			return false, nil
		}
	}
	return false, exceptionf(516, "AUTHENTICATION_FAILED", "%s: Authentication failed: password is incorrect, or there is no user with such name (users: %s with a password, %s without)", name, Full, Reader)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, params url.Values, reader bool) error {
	q, err := openRequest(r, params)
	if err != nil {
		return err
	}
	defer q.close()
	id := params.Get("query_id")
	if id == "" || strings.ContainsAny(id, "\r\n") {
		id = newID()
	}
	h := w.Header()
	h.Set("X-ClickHouse-Query-Id", id)
	h.Set("X-ClickHouse-Timezone", s.timezone)
	h.Set("X-ClickHouse-Server-Display-Name", s.name)
	a := answer{w, q}
	switch {
	case s.stopping.Load():
		return exceptionf(236, "ABORTED", "The engine is stopping")
	case params.Has("client_protocol_version") && q.outFormat() == "Native" && q.sql == helloSQL:
		return a.hello(s.name, s.version, s.timezone)
	case q.file:
		return exceptionf(48, "NOT_IMPLEMENTED", "INTO OUTFILE and FROM INFILE are for a client on its own machine")
	case q.temp:
		return exceptionf(48, "NOT_IMPLEMENTED", "There are no temporary tables: every request is a session of its own")
	}
	if reader {
		if err := mayRead(q.sql, q.statement); err != nil {
			return err
		}
	}
	settings, err := q.settings(reader)
	if err != nil {
		return err
	}
	if r.Method != http.MethodPost && !reader && settings["readonly"] == "" {
		settings["readonly"] = "2" // as ClickHouse has it: what a link can do changes nothing
	}
	if !reader {
		return s.within(r.Context(), s.pool.full, a, settings)
	}
	if err = s.within(r.Context(), s.pool.reader, a, settings); err == nil {
		return nil
	}
	if _, code := textOf(err); code != codeMemory {
		return err
	}
	return s.within(r.Context(), s.pool.large, a, settings) // an error that is returned came before the first byte of the answer
}

// codeMemory is the exception of a statement that needs more memory than it may use.
const codeMemory = "241"

// within executes the statement in a session of the stack.
func (s *Server) within(ctx context.Context, sessions *stack, a answer, settings map[string]string) error {
	ses, err := s.pool.take(ctx, sessions)
	if err != nil {
		return err
	}
	defer s.pool.give(ses)
	if clause := a.req.clauseOf(settings); len(clause) > 0 {
		a.req.sql += "\nSETTINGS " + list(clause)
	}
	if err := ses.prepare(a.req.database(s.conf.Database), settings); err != nil {
		return err
	}
	defer ses.ran(a.req.statement)
	if a.req.data != nil {
		return s.insert(ctx, a, ses)
	}
	defer s.pool.watch(ctx, ses)()
	return s.run(ctx, a, ses)
}

// run executes a statement without data.
func (s *Server) run(ctx context.Context, a answer, ses *session) error {
	q, out := a.req, a.req.outFormat()
	format := out
	if q.format != "" {
		format = q.format
	}
	a.w.Header().Set("X-ClickHouse-Format", format)
	a.w.Header().Set("Content-Type", contentType(format))
	if streamable[format] && (q.verb == "SELECT" || q.verb == "WITH" || q.verb == "FROM") {
		st, err := ses.Stream(q.sql, out, q.values())
		if err == nil {
			return a.stream(ctx, st)
		}
		if err != chdb.ErrNotStreamable {
			return err
		}
	}
	r, err := ses.Query(q.sql, out, q.values())
	if err != nil {
		return err
	}
	defer r.Free()
	a.whole(r)
	return nil
}

// pieces are what the data of inserts is read into, one after the other.
var pieces = sync.Pool{New: func() any { return new([1 << 20]byte) }}

// insert gives the data to the engine as it comes. A body that breaks off, and a client that goes away, commit nothing of the block that they are in.
func (s *Server) insert(ctx context.Context, a answer, ses *session) error {
	ins, err := ses.Insert(a.req.sql, a.req.format, a.req.values())
	if err != nil {
		return err
	}
	piece := pieces.Get().(*[1 << 20]byte)
	defer pieces.Put(piece)
	buf := piece[:]
	for end := false; !end; {
		n := 0
		for n < len(buf) && !end {
			k, err := a.req.data.Read(buf[n:])
			n += k
			if end = err != nil && ended(err); err != nil && !end {
				ins.Cancel()
				return broken(err)
			}
		}
		if err := ins.Append(buf[:n]); err != nil {
			ins.Cancel()
			return err
		}
	}
	if ctx.Err() != nil {
		ins.Cancel()
		return exceptionf(394, "QUERY_WAS_CANCELLED", "The client went away")
	}
	rows, err := ins.Done()
	if err != nil {
		return err
	}
	a.summary(0, 0, rows)
	a.w.Header().Set("Content-Length", "0")
	return nil
}

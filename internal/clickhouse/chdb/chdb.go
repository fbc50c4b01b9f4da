// Package chdb binds libchdb.so, the ClickHouse engine as a shared library, through its C API and without cgo.
//
// A process holds one engine on one data directory. An Engine hands out sessions; a session runs one statement at a time and keeps what USE and SET
// told it, so whoever serves many clients pools sessions. A fault of the engine is a fault of the process.
package chdb

import (
	"errors"
	"runtime"
	"strings"
	"unsafe"
)

type (
	handle   = unsafe.Pointer
	starting = func(conn, sql handle, sqlLen uintptr, format handle, formatLen uintptr, names, nameLens, values, valueLens handle, n uintptr) handle
)

// api is the C functions that are used, filled by load. Handles are opaque.
var api struct {
	connect      func(argc int32, argv handle) handle // a *chdb_connection; NULL, with the reason on stderr
	closeConn    func(connection handle)
	query        starting
	streamQuery  starting
	streamInsert starting
	fetch        func(conn, result handle) handle
	cancelQuery  func(conn, result handle)
	append       func(insert, data handle, n uintptr) int32
	done         func(insert handle) handle
	cancelInsert func(insert handle)
	insertError  func(insert handle) string
	freeInsert   func(insert handle)
	freeResult   func(result handle)
	buffer       func(result handle) handle
	length       func(result handle) uintptr
	resultError  func(result handle) string
	rowsRead     func(result handle) uint64
	bytesRead    func(result handle) uint64
	rowsWritten  func(result handle) uint64
	setSignals   func(enabled int32)
}

// Engine is the loaded library and the arguments of its sessions.
type Engine struct{ argv []string }

// Open loads the library at the absolute path and remembers the data directory and the ClickHouse configuration file (none when empty).
// The engine itself boots with the first session. A process opens one engine in its life.
func Open(library, dataDir, configFile string) (*Engine, error) {
	if err := load(library); err != nil {
		return nil, err
	}
	e := &Engine{argv: []string{"clickhouse", "--path=" + dataDir}}
	if configFile != "" {
		e.argv = append(e.argv, "--config-file="+configFile)
	}
	return e, nil
}

// Session is a connection to the engine. It is not safe for concurrent use.
type Session struct {
	connection, conn handle
	broken           bool
}

// Connect opens a session; the first one boots the engine. Sessions are for the start of the process: each takes the runtime's signal handlers away
// for a moment.
func (e *Engine) Connect() (*Session, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	argv := make([]handle, len(e.argv)+1)
	for i, a := range e.argv {
		argv[i] = pinned(&pin, a)
	}
	pin.Pin(&argv[0])
	var connection handle
	keepSignals(func() { connection = api.connect(int32(len(e.argv)), handle(&argv[0])) })
	if connection == nil {
		return nil, errors.New("the engine does not open its data directory: another engine has it, it cannot be written, or the configuration is refused")
	}
	return &Session{connection: connection, conn: *(*handle)(connection)}, nil
}

// Close frees the session; the last one shuts the engine down. A session with a running statement must not be closed: the process would abort.
func (s *Session) Close() {
	api.closeConn(s.connection)
	s.connection, s.conn = nil, nil
}

// Error is an exception of the engine, as ClickHouse writes it: "Code: 60. DB::Exception: …".
type Error struct{ Text string }

func (e *Error) Error() string { return e.Text }

// exception unwraps what the layers of the library have put around an exception.
func exception(text string) *Error {
	if i := strings.Index(text, "Code: "); i > 0 && i < 80 {
		text = text[i:]
	}
	for {
		head, rest, ok := strings.Cut(text, "DB::Exception: Code: ")
		if !ok || len(head) > 12 {
			return &Error{text}
		}
		text = "Code: " + rest
	}
}

// Result is bytes in the engine's memory, valid until Free.
type Result struct{ r handle }

func result(r handle) (*Result, error) {
	if r == nil {
		return nil, &Error{"Code: 1000. DB::Exception: The engine gave no result. (POCO_EXCEPTION)"}
	}
	if text := api.resultError(r); text != "" {
		api.freeResult(r)
		return nil, exception(text)
	}
	return &Result{r}, nil
}

// Bytes is the result in its output format.
func (r *Result) Bytes() []byte {
	if n := api.length(r.r); n > 0 {
		return unsafe.Slice((*byte)(api.buffer(r.r)), n)
	}
	return nil
}

// Counts are the rows and bytes read from storage, and the rows written.
func (r *Result) Counts() (rowsRead, bytesRead, rowsWritten uint64) {
	return api.rowsRead(r.r), api.bytesRead(r.r), api.rowsWritten(r.r)
}

// Free gives the memory back.
func (r *Result) Free() { api.freeResult(r.r) }

func pinned(pin *runtime.Pinner, s string) handle {
	b := append([]byte(s), 0)
	pin.Pin(&b[0])
	return handle(&b[0])
}

// begin calls one of the three functions that start a statement. Values of params are escaped as in tab-separated text.
func (s *Session) begin(start starting, sql, format string, params map[string]string) handle {
	var pin runtime.Pinner
	defer pin.Unpin()
	var names, values []handle
	var nameLens, valueLens []uintptr
	for k, v := range params {
		names, nameLens = append(names, pinned(&pin, k)), append(nameLens, uintptr(len(k)))
		values, valueLens = append(values, pinned(&pin, v)), append(valueLens, uintptr(len(v)))
	}
	var n, nl, v, vl handle
	if len(names) > 0 {
		n, nl, v, vl = handle(&names[0]), handle(&nameLens[0]), handle(&values[0]), handle(&valueLens[0])
		for _, p := range []handle{n, nl, v, vl} {
			pin.Pin(p)
		}
	}
	return start(s.conn, pinned(&pin, sql), uintptr(len(sql)), pinned(&pin, format), uintptr(len(format)), n, nl, v, vl, uintptr(len(names)))
}

// Query runs a statement of any kind and holds its whole result.
func (s *Session) Query(sql, format string, params map[string]string) (*Result, error) {
	r, err := result(s.begin(api.query, sql, format, params))
	if err != nil {
		s.settle()
	}
	return r, err
}

// settle comes after a statement that did not end well. What is left of it would show at the session's next one: a statement that was killed keeps its place
// among the running ones, and its memory, until then; and what its output format had still to write becomes the beginning of the next result.
func (s *Session) settle() {
	for range 5 { // a statement that the client's settings cannot change, and that a read-only session takes
		r, err := result(s.begin(api.query, "SET connect_timeout = DEFAULT", "TabSeparated", nil))
		if err != nil {
			continue
		}
		clean := len(r.Bytes()) == 0
		r.Free()
		if clean {
			return
		}
	}
	s.broken = true
}

// Broken tells that the session mixes statements up and must not be used again.
func (s *Session) Broken() bool { return s.broken }

// Exec runs a statement for its effect.
func (s *Session) Exec(sql string) error {
	r, err := s.Query(sql, "Null", nil)
	if err == nil {
		r.Free()
	}
	return err
}

// Stream is a SELECT in progress.
type Stream struct {
	s *Session
	r handle
}

// ErrNotStreamable is the answer of Stream to what is no SELECT. Nothing has run.
var ErrNotStreamable = errors.New("only a SELECT can be streamed")

// Stream starts a SELECT whose result comes in chunks.
func (s *Session) Stream(sql, format string, params map[string]string) (*Stream, error) {
	r, err := result(s.begin(api.streamQuery, sql, format, params))
	if err != nil {
		if strings.Contains(err.Error(), "Streaming query is not supported") {
			return nil, ErrNotStreamable
		}
		s.settle()
		return nil, err
	}
	return &Stream{s, r.r}, nil
}

// Next is the next chunk, to be freed by the caller; nil at the end.
func (t *Stream) Next() (*Result, error) {
	r, err := result(api.fetch(t.s.conn, t.r))
	if err != nil {
		return nil, err
	}
	if api.length(r.r) == 0 {
		r.Free()
		return nil, nil
	}
	return r, nil
}

// Close frees the stream; unless Next has answered nil, cancel has to be true.
func (t *Stream) Close(cancel bool) {
	if cancel {
		api.cancelQuery(t.s.conn, t.r)
	}
	api.freeResult(t.r)
	if cancel {
		t.s.settle()
	}
}

// Insert is an INSERT in progress. It ends with Done or Cancel.
type Insert struct {
	s *Session
	h handle
}

// Insert starts "INSERT INTO t (a, b)", without a FORMAT clause; the data follows in the format.
func (s *Session) Insert(sql, format string, params map[string]string) (*Insert, error) {
	h := s.begin(api.streamInsert, sql, format, params)
	if h == nil {
		return nil, &Error{"Code: 1000. DB::Exception: The engine did not start the insert. (POCO_EXCEPTION)"}
	}
	if text := api.insertError(h); text != "" {
		api.freeInsert(h)
		s.settle()
		return nil, exception(text)
	}
	return &Insert{s, h}, nil
}

// Append gives a piece of the data, cut anywhere. The engine copies it.
func (i *Insert) Append(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if api.append(i.h, handle(&b[0]), uintptr(len(b))) != 0 {
		return exception(api.insertError(i.h))
	}
	return nil
}

// Done commits, and answers the number of rows written.
func (i *Insert) Done() (rows uint64, err error) {
	r, err := result(api.done(i.h))
	api.freeInsert(i.h)
	if err != nil {
		i.s.settle()
		return 0, err
	}
	defer r.Free()
	_, _, rows = r.Counts()
	return rows, nil
}

// Cancel drops what was not committed yet.
func (i *Insert) Cancel() {
	api.cancelInsert(i.h)
	api.freeInsert(i.h)
	i.s.settle()
}

package httpd

import (
	"bufio"
	"compress/gzip"
	"compress/zlib"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// request is what a client asked, its body decompressed.
type request struct {
	params url.Values
	header http.Header
	sql    string        // the statement; of an INSERT with data, what stands before FORMAT
	data   io.Reader     // of an INSERT; nil: none
	ahead  *bufio.Reader // what the body is read through, lent until close
	statement
}

// Bytes of a statement without data: so much is read ahead to find where the data of an INSERT begins, and so much is taken at most.
const (
	readAhead    = 256 << 10
	maxStatement = 64 << 20
)

// aheads are buffers for reading ahead. Requests take turns with them: a new one each would be more than all else that a small statement allocates.
var aheads = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readAhead) }}

// close gives the buffer back. The request must not be read any more.
func (q *request) close() {
	q.ahead.Reset(nil)
	aheads.Put(q.ahead)
}

// openRequest reads the statement of a request; close it. What follows an INSERT is left to be read.
func openRequest(r *http.Request, params url.Values) (*request, error) {
	body, err := decoded(r, params)
	if err != nil {
		return nil, err
	}
	q := &request{params: params, header: r.Header, ahead: aheads.Get().(*bufio.Reader)}
	if query := params.Get("query"); query != "" {
		body = io.MultiReader(strings.NewReader(query+"\n"), body)
	}
	q.ahead.Reset(body)
	if err := q.read(); err != nil {
		q.close()
		return nil, err
	}
	return q, nil
}

// read takes the statement apart: the parameter query and the body, one behind the other.
func (q *request) read() error {
	first, err := q.ahead.Peek(readAhead)
	if err != nil && !ended(err) {
		return broken(err)
	}
	if s := parse(string(first)); s.data > 0 {
		if _, err := q.ahead.Discard(s.data); err != nil {
			return broken(err)
		}
		q.sql, q.statement, q.data = s.head, s, q.ahead
		return nil
	}
	all, err := io.ReadAll(io.LimitReader(q.ahead, maxStatement+1))
	if err != nil && !ended(err) {
		return broken(err)
	}
	if len(all) > maxStatement {
		return exceptionf(62, "SYNTAX_ERROR", "The statement has more than %d bytes; data behind a FORMAT clause may be larger", maxStatement)
	}
	q.sql = strings.TrimSpace(string(all))
	q.statement = parse(q.sql)
	return nil
}

// ended tells a clean end from one that cuts the body, which is ErrUnexpectedEOF.
func ended(err error) bool { return errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) }

func broken(err error) error {
	return exceptionf(33, "CANNOT_READ_ALL_DATA", "The body of the request broke off: %v", err)
}

// decoded is the body as the client meant it.
func decoded(r *http.Request, params url.Values) (io.Reader, error) {
	var body io.Reader = r.Body
	var err error
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		body, err = gzip.NewReader(body)
	case "deflate":
		body, err = zlib.NewReader(body)
	case "br":
		body = brotli.NewReader(body)
	case "lz4":
		body = lz4.NewReader(body)
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(body, zstd.WithDecoderConcurrency(1)); err == nil {
			body = z.IOReadCloser()
		}
	default:
		return nil, exceptionf(89, "UNKNOWN_COMPRESSION_METHOD", "Unknown Content-Encoding %q", encoding)
	}
	if err != nil {
		return nil, broken(err)
	}
	if params.Get("decompress") == "1" {
		frames := proto.NewReader(body)
		frames.EnableCompression()
		body = &unframed{r: frames}
	}
	return body, nil
}

// unframed ends as readers do. The reader of compressed blocks wraps io.EOF, and when it is read again after that gives its last block once more.
type unframed struct {
	r   io.Reader
	end error
}

func (u *unframed) Read(p []byte) (n int, err error) {
	if u.end != nil {
		return 0, u.end
	}
	if n, u.end = u.r.Read(p); u.end != nil && ended(u.end) {
		u.end = io.EOF
	}
	return n, u.end
}

// outFormat is the format of the result, when the statement names none.
func (q *request) outFormat() string {
	if f := q.header.Get("X-ClickHouse-Format"); f != "" {
		return f
	}
	if f := q.params.Get("default_format"); f != "" {
		return f
	}
	return "TabSeparated"
}

// database is where names without one are looked up.
func (q *request) database(def string) string {
	if d := q.header.Get("X-ClickHouse-Database"); d != "" {
		return d
	}
	if d := q.params.Get("database"); d != "" {
		return d
	}
	return def
}

// ownParameters are the protocol's; every other one is a setting.
var ownParameters = []string{
	"query", "query_id", "database", "default_format", "user", "password", "quota_key", "compress", "decompress", "client_protocol_version", "session_id",
	"session_timeout", "session_check", "stacktrace", "wait_end_of_query", "buffer_size", "role", "close_session", "network_compression_method",
	"network_zstd_compression_level", "send_progress_in_http_headers", "http_headers_progress_interval_ms", "http_write_exception_in_output_format",
	"enable_http_compression", "http_zlib_compression_level", "cancel_http_readonly_queries_on_client_close",
}

// withheld are settings that no request may give: with them the session would not understand the statement that takes them back, or more would have to be
// taken back than was named.
var withheld = []string{"dialect", "max_ast_depth", "max_ast_elements", "max_expanded_ast_elements", "max_parser_backtracks", "max_parser_depth", "max_query_size", "profile", tagSetting}

// settings are the request's, of a reader only those that it may give.
func (q *request) settings(reader bool) (map[string]string, error) {
	all := map[string]string{}
	for _, k := range q.sets {
		if slices.Contains(withheld, k) {
			return nil, exceptionf(452, "SETTING_CONSTRAINT_VIOLATION", "Setting %s can be given in a SETTINGS clause only", k)
		}
	}
	for k, v := range q.params {
		switch {
		case k == tagSetting, slices.Contains(ownParameters, k), strings.HasPrefix(k, "param_"), len(v) == 0:
		case reader && !slices.Contains(readerSettings, k):
		case slices.Contains(withheld, k):
			return nil, exceptionf(452, "SETTING_CONSTRAINT_VIOLATION", "Setting %s can be given in a SETTINGS clause only", k)
		case strings.TrimFunc(k, func(r rune) bool { return r < 0x80 && r != '$' && isWord(byte(r)) }) != "" || k == "":
			return nil, exceptionf(115, "UNKNOWN_SETTING", "Unknown setting %q", k)
		default:
			all[k] = v[0]
		}
	}
	return all, nil
}

// perInsert are the settings that differ from one INSERT with data to the next: they go into its SETTINGS clause, which costs less than a SET. It is no place for those of
// formats, as the data is read with the session's.
var perInsert = []string{"insert_deduplicate", "insert_deduplication_token"}

// clauseOf takes the settings out that go into the statement. What else there is may forbid it settings: then none do.
func (q *request) clauseOf(settings map[string]string) map[string]string {
	in := map[string]string{}
	if _, readonly := settings["readonly"]; q.data == nil || q.clause || readonly {
		return in
	}
	for _, k := range perInsert {
		if v, ok := settings[k]; ok {
			in[k] = v
			delete(settings, k)
		}
	}
	return in
}

// values are the values of {name:Type} in the statement, escaped as in tab-separated text.
func (q *request) values() map[string]string {
	all := map[string]string{}
	for k, v := range q.params {
		if name, ok := strings.CutPrefix(k, "param_"); ok && len(v) > 0 {
			all[name] = v[0]
		}
	}
	return all
}

// newID is an id as ClickHouse makes them for statements.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

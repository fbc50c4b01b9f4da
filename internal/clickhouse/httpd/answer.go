package httpd

import (
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/andybalholm/brotli"

	"oms/internal/clickhouse/chdb"
)

// streamable are the formats whose chunks are the result when they are put in a row. Of others each chunk would be a document with a head and a foot;
// their results are held whole.
var streamable = map[string]bool{
	"Native": true, "RowBinary": true, "JSONEachRow": true, "JSONCompactEachRow": true, "JSONStringsEachRow": true,
	"TabSeparated": true, "TSV": true, "TabSeparatedRaw": true, "TSVRaw": true, "CSV": true,
}

// answer writes one response.
type answer struct {
	w   http.ResponseWriter
	req *request
}

// stream writes the chunks of a SELECT as they come. Only an error before the first byte is returned; later ones go into the body.
func (a answer) stream(ctx context.Context, st *chdb.Stream) error {
	ended := false
	defer func() { st.Close(!ended) }()
	chunk, err := st.Next()
	if chunk == nil {
		if ended = err == nil; ended {
			a.w.Header().Set("Content-Length", "0")
		}
		return err
	}
	tag := newID()[:16]
	a.w.Header().Set("X-ClickHouse-Exception-Tag", tag)
	out := a.encoder()
	flush := http.NewResponseController(a.w)
	for first := true; chunk != nil; first = false {
		_, gone := out.Write(chunk.Bytes())
		chunk.Free()
		if gone == nil && !first {
			gone = flush.Flush()
		}
		if gone != nil || ctx.Err() != nil {
			return nil
		}
		if chunk, err = st.Next(); err != nil {
			text, _ := textOf(err)
			_, _ = fmt.Fprintf(out, "\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", tag, text, len(text), tag)
		}
	}
	ended = err == nil
	_ = out.Close() // the client has gone
	return nil
}

// whole writes a result that is held in memory.
func (a answer) whole(r *chdb.Result) {
	a.summary(r.Counts())
	if len(r.Bytes()) == 0 {
		a.w.Header().Set("Content-Length", "0")
		return
	}
	out := a.encoder()
	if _, err := out.Write(r.Bytes()); err == nil {
		_ = out.Close() // the client has gone
	}
}

func (a answer) summary(rowsRead, bytesRead, rowsWritten uint64) {
	a.w.Header().Set("X-ClickHouse-Summary", fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"0","total_rows_to_read":"0","result_rows":"0","result_bytes":"0"}`, rowsRead, bytesRead, rowsWritten))
}

// encoder is the body in the compression that the client asked for: ClickHouse's own frames, or an encoding of HTTP.
func (a answer) encoder() io.WriteCloser {
	if a.req.params.Get("compress") == "1" {
		method := compress.LZ4
		if strings.EqualFold(a.req.params.Get("network_compression_method"), "ZSTD") {
			method = compress.ZSTD
		}
		return &frames{w: a.w, c: compress.NewWriter(compress.LevelZero, method)}
	}
	accepted := a.req.header.Get("Accept-Encoding")
	h := a.w.Header()
	switch {
	case a.req.params.Get("enable_http_compression") == "0":
	case strings.Contains(accepted, "gzip"):
		h.Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(a.w, gzip.BestSpeed) // fails on an unknown level only
		return z
	case strings.Contains(accepted, "deflate"):
		h.Set("Content-Encoding", "deflate")
		z, _ := zlib.NewWriterLevel(a.w, flate.BestSpeed) // fails on an unknown level only
		return z
	case strings.Contains(accepted, "br"):
		h.Set("Content-Encoding", "br")
		return brotli.NewWriterLevel(a.w, brotli.BestSpeed)
	}
	return plain{a.w}
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

// frames writes ClickHouse's compressed blocks, of a mebibyte of data each at most.
type frames struct {
	w io.Writer
	c *compress.Writer
}

func (f *frames) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		k := min(len(b), 1<<20)
		if err := f.c.Compress(b[:k]); err != nil {
			return 0, err
		}
		if _, err := f.w.Write(f.c.Data); err != nil {
			return 0, err
		}
		b = b[k:]
	}
	return n, nil
}

func (*frames) Close() error { return nil }

// helloSQL is what clickhouse-go asks at each connection.
const helloSQL = "SELECT displayName(), version(), revision(), timezone()"

// hello answers it. The driver decodes this one block at its own revision of the protocol and every later one at the revision that it is told here.
// The engine, as a library, writes Native at revision 0: so this block is made by hand, at the revision asked for, and says 0.
func (a answer) hello(name, version, timezone string) error {
	revision, err := strconv.Atoi(a.req.params.Get("client_protocol_version"))
	if err != nil {
		return exceptionf(27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED", "client_protocol_version: %v", err)
	}
	var b proto.Buffer
	b.PutUVarInt(1) // block info: not an overflow, no bucket
	b.PutBool(false)
	b.PutUVarInt(2)
	b.PutInt32(-1)
	b.PutUVarInt(0)
	b.PutUVarInt(4) // columns
	b.PutUVarInt(1) // rows
	column := func(name, typ string) {
		b.PutString(name)
		b.PutString(typ)
		if revision >= int(proto.FeatureCustomSerialization) {
			b.PutBool(false)
		}
	}
	column("displayName()", "String")
	b.PutString(name)
	column("version()", "String")
	b.PutString(version)
	column("revision()", "UInt32")
	b.PutUInt32(0)
	column("timezone()", "String")
	b.PutString(timezone)
	out := a.encoder()
	_, err = out.Write(b.Buf)
	return errors.Join(err, out.Close())
}

func contentType(format string) string {
	switch {
	case strings.HasPrefix(format, "JSON") && strings.Contains(format, "EachRow"):
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case strings.HasPrefix(format, "CSV"):
		return "text/csv; charset=UTF-8"
	case strings.HasPrefix(format, "Pretty"), format == "Vertical", format == "Markdown":
		return "text/plain; charset=UTF-8"
	}
	return "application/octet-stream"
}

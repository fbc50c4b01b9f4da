package clickhouse

import (
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

const (
	dialTimeout   = 5 * time.Second
	answerTimeout = 5 * time.Minute // longer than the longest statement
	maxConns      = 8
)

// Target is a ClickHouse that a URL names.
type Target struct {
	URL      string // as given, the password masked
	Address  string // HOST:PORT
	Database string // default, when the URL names none
	User     string // default, when the URL names none
	Password string
	Native   bool // ClickHouse's own protocol, else HTTP
	TLS      bool
	// Insecure leaves the certificate unchecked.
	Insecure bool
}

// schemes are the forms of a URL: the protocol and the port it has when it names none.
var schemes = map[string]struct {
	native, tls bool
	port        string
}{
	"http":        {port: "8123"},
	"https":       {tls: true, port: "8443"},
	"clickhouse":  {native: true, port: "9000"},
	"tcp":         {native: true, port: "9000"},
	"clickhouses": {native: true, tls: true, port: "9440"},
}

// ParseURL reads http://USER:PASSWORD@HOST:PORT/DATABASE, https:// the same with TLS, clickhouse:// or tcp:// for the native protocol and clickhouses://
// for it with TLS. ?secure=true turns TLS on, ?skip_verify=true leaves the certificate unchecked. Errors name the value, without its password, and the rule.
func ParseURL(raw string) (Target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // the rest of it would show the password
		}
		return Target{}, fmt.Errorf("clickhouse URL: %w: want http://USER:PASSWORD@HOST:PORT/DATABASE", err)
	}
	wrong := func(rule string) (Target, error) {
		return Target{}, fmt.Errorf("clickhouse URL %q: %s", u.Redacted(), rule)
	}
	s, ok := schemes[u.Scheme]
	if !ok {
		return wrong("want a scheme of http, https, clickhouse, tcp or clickhouses")
	}
	if u.Hostname() == "" {
		return wrong("want a host, such as http://127.0.0.1:8123/oms")
	}
	database := strings.Trim(u.Path, "/")
	if strings.Contains(database, "/") {
		return wrong("want one name behind the host, the database")
	}
	t := Target{URL: u.Redacted(), Database: database, User: u.User.Username(), Native: s.native, TLS: s.tls}
	t.Password, _ = u.User.Password()
	for k, v := range u.Query() {
		on := v[0] == "true" || v[0] == "1"
		if !on && v[0] != "false" && v[0] != "0" || k != "secure" && k != "skip_verify" {
			return wrong(fmt.Sprintf("%s=%s: want secure=true or skip_verify=true", k, v[0]))
		}
		if k == "secure" {
			t.TLS = on
			if on && s.port == "8123" {
				s.port = "8443"
			} else if on && s.port == "9000" {
				s.port = "9440"
			}
		} else {
			t.Insecure = on
		}
	}
	port := u.Port()
	if port == "" {
		port = s.port
	}
	t.Address = net.JoinHostPort(u.Hostname(), port)
	if t.Database == "" {
		t.Database = "default"
	}
	if t.User == "" {
		t.User = fullUser
	}
	return t, nil
}

// Options are the driver's for the target: blocks compressed by LZ4 unless it is on this machine, 5 s to connect, 5 min for an answer, 8 connections at most.
func (t Target) Options() *clickhouse.Options {
	o := &clickhouse.Options{
		Addr:             []string{t.Address},
		Protocol:         clickhouse.HTTP,
		Auth:             clickhouse.Auth{Database: t.Database, Username: t.User, Password: t.Password},
		Compression:      &clickhouse.Compression{Method: clickhouse.CompressionLZ4},
		DialTimeout:      dialTimeout,
		ReadTimeout:      answerTimeout,
		MaxOpenConns:     maxConns,
		MaxIdleConns:     maxConns,
		ConnMaxLifetime:  time.Hour,
		BlockBufferSize:  4,
		ConnOpenStrategy: clickhouse.ConnOpenInOrder,
	}
	if host, _, err := net.SplitHostPort(t.Address); err == nil && net.ParseIP(host).IsLoopback() {
		o.Compression = nil // packing and unpacking cost more than the bytes do: a tenth of an insert
	}
	if t.Native {
		o.Protocol = clickhouse.Native
	}
	if t.TLS {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.Insecure}
	}
	return o
}

// Conn is a client of a ClickHouse: a pool of connections.
type Conn = driver.Conn

// Open makes a client of the ClickHouse at the URL (see ParseURL). It connects at its first statement. Close it.
func Open(rawURL string) (Conn, error) {
	t, err := ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	return clickhouse.Open(t.Options())
}

// OpenDB is Open for what speaks database/sql.
func OpenDB(rawURL string) (*sql.DB, error) {
	t, err := ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	o := t.Options()
	o.MaxOpenConns, o.MaxIdleConns, o.ConnMaxLifetime = 0, 0, 0 // set below: the driver's own pool is not used here
	db := clickhouse.OpenDB(o)
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	db.SetConnMaxLifetime(time.Hour)
	return db, nil
}

// Code is ClickHouse's exception code in the error, over either protocol; 0 when there is none.
func Code(err error) int {
	if e, ok := errors.AsType[*clickhouse.Exception](err); ok {
		return int(e.Code)
	}
	return 0
}

// UnknownTable is the exception code of a table that is not there.
const UnknownTable = 60

// busy are the codes of a server that cannot now: too many statements or parts, no memory, a connection of its own that failed, a stop.
var busy = []int{202, 209, 210, 236, 241, 252, 999}

// Unavailable tells an error that says nothing about the statement: no connection, one that broke, no answer in time, a server that is busy or stopping.
// The statement may have been executed, so what is tried again has to bear that. A context that the caller ended looks the same: look at it first.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	if code := Code(err); code != 0 {
		return slices.Contains(busy, code)
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return true
	}
	for _, broken := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.EHOSTUNREACH, syscall.ENETUNREACH, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, clickhouse.ErrAcquireConnTimeout, clickhouse.ErrConnectionClosed} {
		if errors.Is(err, broken) {
			return true
		}
	}
	if e, ok := errors.AsType[*clickhouse.HTTPError](err); ok {
		return e.StatusCode == 502 || e.StatusCode == 503 || e.StatusCode == 504
	}
	return false
}

package clickhouse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	driver "github.com/ClickHouse/clickhouse-go/v2"

	"oms/internal/clickhouse"
)

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]clickhouse.Target{
		"http://127.0.0.1:8123/oms":                  {Address: "127.0.0.1:8123", Database: "oms", User: "default"},
		"http://ch":                                  {Address: "ch:8123", Database: "default", User: "default"},
		"https://u:p%40ss@ch/oms/":                   {Address: "ch:8443", Database: "oms", User: "u", Password: "p@ss", TLS: true},
		"http://u@ch/oms?secure=true":                {Address: "ch:8443", Database: "oms", User: "u", TLS: true},
		"clickhouse://u:p@ch/oms":                    {Address: "ch:9000", Database: "oms", User: "u", Password: "p", Native: true},
		"tcp://[::1]:1234/oms":                       {Address: "[::1]:1234", Database: "oms", User: "default", Native: true},
		"clickhouses://ch/oms":                       {Address: "ch:9440", Database: "oms", User: "default", Native: true, TLS: true},
		"clickhouse://ch/oms?secure=1&skip_verify=1": {Address: "ch:9440", Database: "oms", User: "default", Native: true, TLS: true, Insecure: true},
	} {
		got, err := clickhouse.ParseURL(raw)
		got.URL = ""
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", raw, got, err, want)
		}
	}
	for raw, rule := range map[string]string{
		"127.0.0.1:8123":                  "want",
		"ftp://ch/oms":                    "scheme",
		"http:///oms":                     "want a host",
		"http://ch/a/b":                   "one name",
		"http://ch/oms?compress=1":        "compress=1",
		"http://ch/oms?secure=maybe":      "secure=maybe",
		"http://u:geheim@ch/oms?x=1":      "x=1",
		"http://u:geheim@ch:port/oms":     "want",
		"http://u:geheim@ch/oms\x01":      "want",
		"clickhouse://u:geheim@ch/a/b/c":  "one name",
		"postgres://u:geheim@ch:5432/oms": "scheme",
		"":                                "scheme",
	} {
		_, err := clickhouse.ParseURL(raw)
		if err == nil || !strings.Contains(err.Error(), rule) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: %v, want a word of %q and no password", raw, err, rule)
		}
	}
	if target, err := clickhouse.ParseURL("http://u:geheim@ch/oms"); err != nil || strings.Contains(target.URL, "geheim") {
		t.Errorf("%v, %v: the password is to be masked", target.URL, err)
	}
}

type slow struct{ error }

func (slow) Timeout() bool   { return true }
func (slow) Temporary() bool { return true }

func TestUnavailable(t *testing.T) {
	exception := func(code int32) error { return fmt.Errorf("batch: %w", &driver.Exception{Code: code}) }
	for _, err := range []error{
		syscall.ECONNREFUSED, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, slow{errors.New("x")},
		fmt.Errorf("x: %w", context.DeadlineExceeded), driver.ErrAcquireConnTimeout, exception(202), exception(210), exception(236), exception(241), exception(252), &driver.HTTPError{StatusCode: 503, Err: errors.New("x")},
	} {
		if !clickhouse.Unavailable(err) {
			t.Errorf("%v is worth a retry", err)
		}
	}
	for _, err := range []error{nil, errors.New("x"), context.Canceled, exception(60), exception(62), exception(159), exception(516), &driver.HTTPError{StatusCode: 404, Err: errors.New("x")}} {
		if clickhouse.Unavailable(err) {
			t.Errorf("%v is not worth a retry", err)
		}
	}
	if clickhouse.Code(exception(60)) != 60 || clickhouse.Code(io.EOF) != 0 || clickhouse.Code(nil) != 0 {
		t.Error("codes")
	}
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	for _, scheme := range []string{"http", "clickhouse"} {
		c, err := clickhouse.Open(scheme + "://" + nobody.Addr().String() + "/oms")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Ping(t.Context()); !clickhouse.Unavailable(err) {
			t.Errorf("%s to nobody: %v", scheme, err)
		}
		c.Close()
	}
}

func TestFindLibrary(t *testing.T) {
	cache := t.TempDir()
	_, err := clickhouse.FindLibrary("", cache)
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Fatalf("an empty cache: %v", err)
	}
	for _, word := range []string{clickhouse.LibraryVersion(), cache, "make clickhouse", "178 MB", "clickhouse.url"} {
		if !strings.Contains(err.Error(), word) && !strings.Contains(err.Error(), "only for linux/amd64") {
			t.Errorf("%v: want the word %s", err, word)
		}
	}
	if strings.Contains(err.Error(), "only for") {
		t.Skip("another platform")
	}
	place := filepath.Join(cache, "oms-clickhouse", clickhouse.LibraryVersion(), "libchdb.so")
	if err := errors.Join(os.MkdirAll(filepath.Dir(place), 0o700), os.WriteFile(place, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if got, err := clickhouse.FindLibrary("", cache); err != nil || got != place {
		t.Errorf("in the cache: %s, %v", got, err)
	}
	if got, err := clickhouse.FindLibrary(place, t.TempDir()); err != nil || got != place {
		t.Errorf("named: %s, %v", got, err)
	}
	if _, err := clickhouse.FindLibrary(place+"x", cache); err == nil || !strings.Contains(err.Error(), place+"x") || strings.Contains(err.Error(), cache+",") {
		t.Errorf("named wrongly: %v, want no other place to be taken", err)
	}
}

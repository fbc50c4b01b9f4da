package clickhouse_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"go.uber.org/goleak"

	"oms/internal/clickhouse"
	"oms/internal/clickhouse/clickhousetest"
)

// end sends a signal to the engine's process and waits until it has gone.
func end(t *testing.T, e *clickhouse.Engine, with syscall.Signal) {
	t.Helper()
	pid := e.PID()
	if err := syscall.Kill(pid, with); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the engine's process has gone", 10*time.Second, func() bool { return e.PID() != pid })
}

func kill(t *testing.T, e *clickhouse.Engine) {
	t.Helper()
	end(t, e, syscall.SIGKILL)
}

// retry calls f until it answers something else than that ClickHouse is unavailable.
func retry(t testing.TB, f func() error) error {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := f()
		if !clickhouse.Unavailable(err) || time.Now().After(end) {
			return err
		}
	}
}

// untilNoted returns at once after the engine has noted the token of an insert.
func untilNoted(t *testing.T, dir string) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "data", "store", "*", "*", "deduplication_logs", "*.txt"))
	if err != nil || len(logs) == 0 {
		t.Fatal("no notes", err)
	}
	size := func() (all int64) {
		for _, log := range logs {
			if info, err := os.Stat(log); err == nil { // an old one may be taken away
				all += info.Size()
			}
		}
		return all
	}
	for was, end := size(), time.Now().Add(10*time.Second); size() == was && time.Now().Before(end); {
	}
}

// Batches are inserted under tokens and tried again while the engine is killed under them: each is there, once. An engine that is killed between the note of a token and
// the name of its part has the token and no rows, so who tries again has to look.
func TestKilledInsertsAreNeitherLostNorTwice(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 3
	}
	if n, err := strconv.Atoi(os.Getenv("OMS_KILLS")); err == nil {
		kills = n
	}
	const rows = 2_000
	dir := t.TempDir()
	e := clickhousetest.StartAt(t, dir)
	c := connect(t, e.URL())
	execute(t, c, tokenTable)
	var written, empty atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				batch := uint64(w*1_000_000 + n)
				tries := 0
				if err := retry(t, func() error {
					err := send(t.Context(), c, "tokens", fmt.Sprint("batch-", batch), batch, rows)
					if tries++; err != nil || tries == 1 {
						return err
					}
					var there uint64
					if err := c.QueryRow(t.Context(), "SELECT count() FROM tokens WHERE batch = ?", batch).Scan(&there); err != nil || there == rows {
						return err
					}
					empty.Add(1)
					return send(t.Context(), c, "tokens", fmt.Sprint("batch-", batch, "-", tries), batch, rows)
				}); err != nil {
					t.Errorf("batch %d: %v", batch, err)
					return
				}
				written.Add(1)
			}
		})
	}
	for k := range kills {
		before := written.Load()
		eventually(t, "inserts go on after a kill", 60*time.Second, func() bool { return t.Failed() || written.Load() > before+3 && e.Up() })
		time.Sleep(time.Second) // a child that served for less is in a series of failures, and the next one would be waited for, in the end for ten seconds
		if k%2 == 1 {
			untilNoted(t, dir) // its part has no name yet, with luck
		}
		kill(t, e)
	}
	before := written.Load()
	eventually(t, "inserts go on after the last kill", 60*time.Second, func() bool { return t.Failed() || written.Load() > before })
	stop()
	writers.Wait()
	n := value[uint64](t, c, "SELECT count() FROM tokens")
	batches := value[uint64](t, c, "SELECT uniqExact(batch) FROM tokens")
	wrong := value[uint64](t, c, fmt.Sprintf("SELECT count() FROM (SELECT batch, count() AS n, uniqExact(i) AS u FROM tokens GROUP BY batch HAVING n != %d OR u != %d)", rows, rows))
	if acknowledged := uint64(written.Load()); batches != acknowledged || n != acknowledged*rows || wrong != 0 {
		t.Errorf("%d batches acknowledged; %d there with %d rows, %d of them not whole or twice", acknowledged, batches, n, wrong)
	}
	if e.Restarts() != kills {
		t.Errorf("%d restarts after %d kills", e.Restarts(), kills)
	}
	t.Logf("%d kills, %d batches of %d rows; %d tokens without rows", kills, written.Load(), rows, empty.Load())
}

func TestACrashedEngineComesBackAtItsAddress(t *testing.T) {
	e := clickhousetest.Start(t)
	c := connect(t, e.URL())
	execute(t, c, "CREATE TABLE kept (n UInt8) ENGINE = MergeTree ORDER BY n")
	execute(t, c, "INSERT INTO kept VALUES (7)")
	addr, password := e.Addr(), e.Password()
	for _, crash := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGKILL, syscall.SIGTERM} {
		restarts := e.Restarts()
		end(t, e, crash)
		if err := retry(t, func() error { return c.Ping(t.Context()) }); err != nil {
			t.Fatalf("after %v: %v", crash, err)
		}
		if n := value[uint8](t, c, "SELECT n FROM kept"); n != 7 || e.Addr() != addr || e.Password() != password || e.Restarts() != restarts+1 {
			t.Errorf("after %v: %d, address %s (was %s), %d restarts", crash, n, e.Addr(), addr, e.Restarts())
		}
		eventually(t, "the engine is up", 5*time.Second, e.Up) // the child's word may reach the parent after the client's statement the child
	}
}

// A client does not wait for the five minutes that an answer may take when the engine cannot be started.
func TestAClientIsToldThatTheEngineIsGone(t *testing.T) {
	copied := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.Symlink(clickhousetest.Library(t), copied); err != nil {
		t.Fatal(err)
	}
	conf := clickhousetest.Config(t, t.TempDir())
	conf.Library = copied
	e, err := clickhouse.Start(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c := connect(t, e.URL())
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(copied, copied+".away"); err != nil {
		t.Fatal(err)
	}
	kill(t, e)
	began := time.Now()
	for end := time.Now().Add(20 * time.Second); ; {
		err = c.Ping(t.Context())
		if clickhouse.Code(err) == 236 {
			break
		}
		if err == nil || !clickhouse.Unavailable(err) || time.Now().After(end) {
			t.Fatalf("without an engine: %v", err)
		}
	}
	if waited := time.Since(began); waited > 15*time.Second || !clickhouse.Unavailable(err) || e.Up() {
		t.Errorf("told after %v: %v; up %v", waited, err, e.Up())
	}
	if err := os.Rename(copied+".away", copied); err != nil {
		t.Fatal(err)
	}
	if err := retry(t, func() error { return c.Ping(t.Context()) }); err != nil {
		t.Errorf("when it is back: %v", err)
	}
}

func TestOneEngineADirectory(t *testing.T) {
	dir := t.TempDir()
	e := clickhousetest.StartAt(t, dir)
	conf := clickhousetest.Config(t, dir)
	if _, err := clickhouse.Start(t.Context(), conf); err == nil || !strings.Contains(err.Error(), dir) {
		t.Fatalf("a second start: %v, want an error that names %s", err, dir)
	}
	if err := connect(t, e.URL()).Ping(t.Context()); err != nil {
		t.Errorf("the first one, after the second: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	clickhousetest.StartAt(t, dir)
}

func TestTheEndpointIsThereWhileTheEngineIs(t *testing.T) {
	dir := t.TempDir()
	if _, err := clickhouse.ReadEndpoint(dir); !errors.Is(err, clickhouse.ErrNoEngine) {
		t.Errorf("before: %v", err)
	}
	e := clickhousetest.StartAt(t, dir)
	p, err := clickhouse.ReadEndpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	full, err := p.FullURL()
	if err != nil || full != e.URL() || p.PID != os.Getpid() {
		t.Errorf("%s of process %d, %v; want %s", full, p.PID, err, e.URL())
	}
	info, err := os.Stat(filepath.Join(dir, "endpoint.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: want a file that only its owner reads", info, err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := clickhouse.ReadEndpoint(dir); !errors.Is(err, clickhouse.ErrNoEngine) {
		t.Errorf("after: %v", err)
	}
}

// The engine dies with a parent that is killed, and leaves its directory to the next one.
func TestTheEngineDiesWithItsParent(t *testing.T) {
	clickhousetest.Library(t)
	dir := t.TempDir()
	parent := exec.Command(os.Args[0], parentArg, dir)
	parent.Stderr = t.Output()
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil || pid == 0 {
		t.Fatalf("the parent says nothing of its child: %v", err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed
	if _, err := clickhouse.ReadEndpoint(dir); !errors.Is(err, clickhouse.ErrNoEngine) {
		t.Errorf("the endpoint of a killed parent: %v", err)
	}
	clickhousetest.StartAt(t, dir) // waits for the old child's lock
	eventually(t, "the child of the killed parent has gone", 10*time.Second, func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}

func TestOnlyLoopback(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":8123", "192.0.2.1:8123", "[::]:0", "example.org:80", "127.0.0.1"} {
		e, err := clickhouse.Start(t.Context(), clickhouse.Config{Library: "/x", Dir: t.TempDir(), Listen: listen})
		if err == nil {
			e.Close()
		}
		if err == nil || !strings.Contains(err.Error(), listen) || !strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: %v", listen, err)
		}
	}
}

func TestAStartThatFailsSaysWhy(t *testing.T) {
	conf := clickhousetest.Config(t, t.TempDir())
	conf.Library = filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(conf.Library, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := clickhouse.Start(t.Context(), conf); err == nil || !strings.Contains(err.Error(), conf.Library) {
		t.Errorf("%v, want what is wrong with %s", err, conf.Library)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	leak := goleak.IgnoreCurrent()
	e := clickhousetest.Start(t)
	c, err := clickhouse.Open(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	pid := e.PID()
	began := time.Now()
	if err := errors.Join(c.Close(), e.Close(), e.Close()); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("closing took %v with nothing running", took)
	}
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("the child is still there: %v", err)
	}
	goleak.VerifyNone(t, leak)
}

func TestCloseEndsRunningStatements(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	e := clickhousetest.Start(t)
	c := connect(t, e.URL())
	done := make(chan error, 1)
	go func() {
		done <- c.QueryRow(t.Context(), "SELECT max(sipHash64(number)) AS running_at_close FROM numbers(5000000000000)").Scan(new(uint64))
	}()
	eventually(t, "the statement runs", 10*time.Second, func() bool { return running(t, place{conn: c}, "running_at_close") == 1 })
	began := time.Now()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 11*time.Second {
		t.Errorf("closing took %v", took)
	}
	if err := <-done; !clickhouse.Unavailable(err) {
		t.Errorf("the statement ended with %v, want one to try again", err)
	}
}

// halfBody is a body that breaks off.
type halfBody struct {
	data []byte
	wait <-chan struct{}
}

func (h *halfBody) Read(p []byte) (int, error) {
	if len(h.data) == 0 {
		<-h.wait
		return 0, errors.New("the client breaks off")
	}
	n := copy(p, h.data)
	h.data = h.data[n:]
	return n, nil
}

func TestABodyThatBreaksOffLeavesNothing(t *testing.T) {
	e := clickhousetest.Start(t)
	c := connect(t, e.URL())
	execute(t, c, "CREATE TABLE cut (n UInt64) ENGINE = MergeTree ORDER BY n")
	lines := bytes.Repeat([]byte("12345\n"), 50_000)
	frame := compress.NewWriter(compress.LevelZero, compress.LZ4)
	if err := frame.Compress(lines); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]struct {
		query string
		data  []byte
	}{
		"plain":              {"", lines},
		"frames":             {"decompress=1&", frame.Data},
		"half a frame":       {"decompress=1&", frame.Data[:len(frame.Data)/2]},
		"a frame and a half": {"decompress=1&", append(bytes.Clone(frame.Data), frame.Data[:20]...)},
	} {
		at := fmt.Sprintf("http://%s/?%squery=%s", e.Addr(), b.query, "INSERT+INTO+cut+FORMAT+TSV")
		t.Run(name+" with a length", func(t *testing.T) {
			conn, err := net.Dial("tcp", e.Addr())
			if err != nil {
				t.Fatal(err)
			}
			u := strings.TrimPrefix(at, "http://"+e.Addr())
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nX-ClickHouse-User: default\r\nX-ClickHouse-Key: %s\r\nContent-Length: %d\r\n\r\n%s", u, e.Password(), len(b.data)+100, b.data)
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(conn) // it may be cut
			conn.Close()
			if bytes.Contains(answer, []byte("200 OK")) {
				t.Errorf("answered %s", answer)
			}
		})
		t.Run(name+" in chunks", func(t *testing.T) {
			off := make(chan struct{})
			req, err := http.NewRequestWithContext(t.Context(), "POST", at, &halfBody{b.data, off})
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth("default", e.Password())
			time.AfterFunc(50*time.Millisecond, func() { close(off) })
			if res, err := http.DefaultClient.Do(req); err == nil {
				res.Body.Close()
				t.Errorf("answered %s", res.Status)
			}
		})
	}
	eventually(t, "no insert runs", 5*time.Second, func() bool { return running(t, place{conn: c}, "INSERT") == 0 })
	if n := value[uint64](t, c, "SELECT count() FROM cut"); n != 0 {
		t.Errorf("%d rows of bodies that broke off", n)
	}
	execute(t, c, "INSERT INTO cut FORMAT TSV 1\n2\n")
	if n := value[uint64](t, c, "SELECT count() FROM cut"); n != 2 {
		t.Errorf("%d rows of a whole one, want 2", n)
	}
}

// A client that goes away takes its statement with it, of whatever kind it is.
func TestAStatementEndsWithItsClient(t *testing.T) {
	e := clickhousetest.Start(t)
	c := connect(t, e.URL())
	execute(t, c, "CREATE TABLE gone (n UInt64) ENGINE = MergeTree ORDER BY n")
	for name, statement := range map[string]string{
		"held whole":  "SELECT max(sipHash64(number)) AS gone_client FROM numbers(50000000000) FORMAT JSON",
		"streamed":    "SELECT number AS gone_client FROM numbers(50000000000) FORMAT TSV",
		"an insert":   "INSERT INTO gone SELECT sipHash64(number) AS gone_client FROM numbers(50000000000) WHERE sipHash64(number) = 1",
		"explanation": "EXPLAIN ESTIMATE SELECT max(sipHash64(number)) AS gone_client FROM numbers(5)",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "POST", "http://"+e.Addr()+"/", strings.NewReader(statement))
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth("default", e.Password())
			done := make(chan struct{})
			go func() {
				defer close(done)
				if res, err := http.DefaultClient.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, res.Body) // until it is cancelled
					res.Body.Close()
				}
			}()
			if name != "explanation" {
				eventually(t, "the statement runs", 10*time.Second, func() bool { return running(t, place{conn: c}, "gone_client") == 1 })
			}
			cancel()
			<-done
			eventually(t, "the statement is gone", 10*time.Second, func() bool { return running(t, place{conn: c}, "gone_client") == 0 })
		})
	}
}

// What a statement that failed has left in the engine does not become part of the next result.
func TestAFailedStatementLeavesNothingInTheNext(t *testing.T) {
	e := clickhousetest.Start(t)
	for _, format := range []string{"JSON", "Native", "TSV", "CSVWithNames", "Parquet", "Pretty", "JSONEachRow", "XML", "Null", "NoSuchFormat"} {
		for _, statement := range []string{
			"SELECT number, throwIf(number = 100000) FROM numbers(1000000)", "SELECT nothing", "SELECT * FROM nowhere", "SELECT throwIf(1)", "SHOW CREATE TABLE nowhere", "SELECT 1 +",
			"SELECT number, sleepEachRow(0.001) FROM numbers(100000) SETTINGS max_execution_time = 0.1, max_block_size = 10",
		} {
			if clause, settings, ok := strings.Cut(statement, " SETTINGS "); ok {
				statement = clause + " FORMAT " + format + " SETTINGS " + settings
			} else {
				statement += " FORMAT " + format
			}
			if status, answer := post(t, e, "default", "", statement); status == 200 && !strings.Contains(answer, "__exception__") {
				t.Errorf("%s: %d %.200s", statement, status, answer)
			}
			for range 2 {
				if status, answer := post(t, e, "default", "", "SELECT 1, 'one'"); status != 200 || answer != "1\tone" {
					t.Fatalf("after %s: %d %q", statement, status, answer)
				}
			}
			if _, answer := post(t, e, "default", "", "INSERT INTO nowhere FORMAT TSV\n1\n"); !strings.HasPrefix(answer, "Code: 60.") {
				t.Errorf("an insert into nothing: %s", answer)
			}
		}
	}
	if e.Restarts() != 0 {
		t.Errorf("%d restarts", e.Restarts())
	}
}

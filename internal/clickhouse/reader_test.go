package clickhouse_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"oms/internal/clickhouse"
	"oms/internal/clickhouse/clickhousetest"
)

// post sends a statement as a user (none: no name) and answers status and body.
func post(t testing.TB, e *clickhouse.Engine, user, query, statement string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+e.Addr()+"/?"+query, strings.NewReader(statement))
	if err != nil {
		t.Fatal(err)
	}
	switch user {
	case "default":
		req.SetBasicAuth(user, e.Password())
	case "":
	default:
		req.SetBasicAuth(user, "")
	}
	return do(t, req)
}

func do(t testing.TB, req *http.Request) (int, string) {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSuffix(string(b), "\n")
}

// Everything here would write, reach out, read a file or lift a limit.
var notForReaders = []string{
	"INSERT INTO kept VALUES (8)", "INSERT INTO kept FORMAT TSV 8\n", "INSERT INTO kept SELECT 8", "WITH 8 AS n INSERT INTO kept SELECT n",
	"INSERT INTO FUNCTION file('SECRET', 'TSV', 'a String') SELECT 'x'", "INSERT INTO kept FROM INFILE 'SECRET' FORMAT TSV",
	"CREATE TABLE other (n UInt8) ENGINE = Memory", "CREATE TEMPORARY TABLE other (n UInt8)", "CREATE DATABASE other", "CREATE FUNCTION f AS x -> x", "CREATE VIEW w AS SELECT 1",
	"DROP TABLE kept", "TRUNCATE TABLE kept", "RENAME TABLE kept TO other", "EXCHANGE TABLES kept AND kept", "DETACH TABLE kept", "ATTACH TABLE kept", "OPTIMIZE TABLE kept",
	"ALTER TABLE kept DELETE WHERE 1", "ALTER TABLE kept ADD COLUMN m UInt8", "ALTER TABLE kept DROP PARTITION tuple()", "DELETE FROM kept WHERE 1", "UPDATE kept SET n = 1 WHERE 1",
	"SET readonly = 0", "SET readonly = DEFAULT", "SET max_memory_usage = 0", "SET max_threads = 1", "/* SELECT */ SET readonly = 0", "-- SELECT\nSET readonly = 0", "#!SELECT\nSET readonly = 0", "(SET readonly = 0)",
	"SELECT 1 SETTINGS readonly = 0", "SELECT * FROM url('URL', 'TSV', 'a String') SETTINGS readonly = DEFAULT", "SELECT 1 FORMAT TSV SETTINGS max_execution_time = DEFAULT",
	"SELECT 1 /**/SETTINGS/**/readonly=DEFAULT", "SELECT 1 -- x\nsEttings readonly = DEFAULT", "SELECT * FROM (SELECT 1 SETTINGS readonly = DEFAULT)", "SELECT 1 FROM system.one WHERE 1=1 SETTINGS readonly=DEFAULT",
	"EXPLAIN SELECT 1 SETTINGS readonly = DEFAULT", "SHOW TABLES SETTINGS readonly = DEFAULT", "SELECT 'system.'SETTINGS readonly = DEFAULT",
	"SELECT file('SECRET')", "SELECT \"file\"('SECRET')", "SELECT `file`('SECRET')", `SELECT "fi\x6ce"('SECRET')`, "SELECT `\\x66ile`('SECRET')", "SELECT * APPLY(file) FROM (SELECT 'SECRET' AS x)", "SELECT arrayMap(file, ['SECRET'])",
	"SELECT COLUMNS('x') APPLY file FROM (SELECT 'SECRET' AS x)", "WITH file AS f SELECT f('SECRET')", "SELECT * FROM file('SECRET', 'LineAsString')", "SELECT * FROM FILE('SECRET', 'LineAsString')",
	"SELECT * FROM default.`SECRET`", "SELECT * FROM default.\"SECRET\"", "SELECT * FROM eval('SELECT 1')", "SELECT * FROM eval(concat('SELECT fi', 'le(''SECRET'')'))",
	"SELECT 1 INTO OUTFILE 'OUT'", "SELECT 1 INTO OUTFILE 'OUT' TRUNCATE FORMAT TSV", "SELECT 1 INTO/**/OUTFILE 'OUT'", "(SELECT 1) INTO OUTFILE 'OUT'",
	"SELECT * FROM url('URL', 'TSV', 'a String')", "SELECT * FROM s3('URL', 'TSV', 'a String')", "SELECT * FROM s3('URL')", "SELECT * FROM remote('HOST', 'a', 'b')", "SELECT * FROM remote('127.0.0.1', 'oms', 'kept')",
	"SELECT * FROM executable('cat', 'TSV', 'a String')", "SELECT * FROM executable('x.sh', 'TSV', 'a String', (SELECT 1))", "SELECT * FROM mysql('HOST', 'a', 'b', 'c', 'd')", "SELECT * FROM postgresql('HOST', 'a', 'b', 'c', 'd')",
	"SELECT * FROM mongodb('HOST', 'a', 'b', 'c', 'd', 'e String')", "SELECT * FROM redis('HOST', 'k', 'k String')", "SELECT * FROM sqlite('SECRET', 'a')", "SELECT * FROM hdfs('hdfs://HOST/a', 'TSV', 'a String')",
	"SELECT * FROM iceberg('URL')", "SELECT * FROM deltaLake('URL')", "SELECT * FROM filesystem('/')", "SELECT * FROM loop(url('URL', 'TSV', 'a String'))", "SELECT * FROM view(SELECT * FROM url('URL', 'TSV', 'a String'))",
	"SELECT 1 IN (SELECT a FROM url('URL', 'TSV', 'a UInt8'))", "SELECT * FROM cluster('x', url('URL', 'TSV', 'a String'))",
	"DESCRIBE url('URL')", "DESCRIBE TABLE url('URL')", "DESC /* */ TABLE s3('URL')", "DESCRIBE \"url\"('URL')", "DESCRIBE TABLE (SELECT * FROM url('URL'))", "EXPLAIN SELECT * FROM url('URL')", "EXPLAIN QUERY TREE SELECT * FROM url('URL')",
	"SYSTEM SHUTDOWN", "SYSTEM FLUSH LOGS", "SYSTEM ENABLE FAILPOINT x", "KILL QUERY WHERE 1", "KILL MUTATION WHERE 1", "BACKUP DATABASE oms TO Disk('x', 'y')", "GRANT ALL ON *.* TO default", "CREATE USER x", "CHECK TABLE kept",
	"SELECT * FROM system.stack_trace", "SELECT addressToLine(0)", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE kept", "1 + 1", "BEGIN TRANSACTION",
}

func TestAReaderOnlyReads(t *testing.T) {
	dir := t.TempDir()
	secret, out := filepath.Join(dir, "secret.txt"), filepath.Join(dir, "out.txt")
	if err := os.WriteFile(secret, []byte("OPEN SESAME"), 0o600); err != nil {
		t.Fatal(err)
	}
	outside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var reached sync.Map
	var statement string
	go func() {
		for {
			c, err := outside.Accept()
			if err != nil {
				return
			}
			reached.Store(statement, true)
			c.Close()
		}
	}()
	defer outside.Close()
	e := clickhousetest.Start(t)
	post(t, e, "default", "", "CREATE TABLE kept (n UInt8) ENGINE = MergeTree ORDER BY n")
	post(t, e, "default", "", "INSERT INTO kept VALUES (7)")
	host := outside.Addr().String()
	names := strings.NewReplacer("SECRET", secret, "OUT'", out+"'", "URL", "http://"+host+"/bucket/x.tsv", "HOST", host)
	for _, statement = range notForReaders {
		for _, way := range []string{"", "?", "lift"} {
			user, query, body := "reader", "", names.Replace(statement)
			switch way {
			case "?": // in the address, and without a name
				user, query, body = "", "query="+url.QueryEscape(body), ""
			case "lift": // with settings that would allow it
				query = "readonly=0&allow_ddl=1&allow_experimental_eval_table_function=1&allow_introspection_functions=1&profile=default"
			}
			if status, answer := post(t, e, user, query, body); status == 200 || strings.Contains(answer, "SESAME") {
				t.Errorf("%s %s: %d %s", way, statement, status, answer)
			}
		}
	}
	reached.Range(func(s, _ any) bool {
		t.Errorf("%s reached out", s)
		return true
	})
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written")
	}
	if _, n := post(t, e, "default", "", "SELECT sum(n), count() FROM kept"); n != "7\t1" {
		t.Errorf("the table has %s", n)
	}
	if _, names := post(t, e, "default", "", "SELECT groupArray(name) FROM system.tables WHERE database = 'oms'"); names != "['kept']" {
		t.Errorf("tables: %s", names)
	}
}

// Ways to ask whether there is a file at PATH.
var asksForFiles = []string{
	"EXISTS default.`PATH`", "EXISTS TABLE default.`PATH`", "EXISTS VIEW default.`PATH`", "EXISTS DICTIONARY default.`PATH`", "EXISTS TEMPORARY TABLE `PATH`", "EXISTS `PATH`", "EXISTS DATABASE `PATH`", "EXISTS TABLE system.`PATH`",
	"DESCRIBE default.`PATH`", "DESC TABLE default.`PATH`", "DESCRIBE `PATH`", "DESCRIBE (SELECT * FROM default.`PATH`)", "SHOW CREATE default.`PATH`", "SHOW CREATE TABLE default.`PATH`", "SHOW CREATE VIEW default.`PATH`", "SHOW CREATE DATABASE `PATH`",
	"SHOW TABLES FROM default LIKE '%aa.csv'", "SHOW TABLES FROM `PATH`", "SHOW FULL TABLES FROM default", "SHOW COLUMNS FROM `PATH` FROM default", "SHOW INDEX FROM `PATH` FROM default", "SHOW DICTIONARIES FROM default", "USE `PATH`",
	"SELECT * FROM default.`PATH`", "SELECT * FROM `PATH`", "SELECT * FROM 'PATH'", "SELECT 1 FROM default.`PATH` LIMIT 0", "SELECT 1 IN (SELECT 1 FROM default.`PATH`)", "SELECT 1 IN default.`PATH`", "WITH x AS (SELECT * FROM default.`PATH`) SELECT count() FROM x",
	"EXPLAIN SELECT * FROM default.`PATH`", "EXPLAIN QUERY TREE SELECT * FROM default.`PATH`", "EXPLAIN ESTIMATE SELECT * FROM default.`PATH`", "EXPLAIN SYNTAX SELECT * FROM default.`PATH`",
	"SELECT hasColumnInTable('default', 'PATH', 'a')", "SELECT joinGet('default.PATH', 'a', 1)", "SELECT dictGet('PATH', 'a', 1)", "SELECT dictGet('default.PATH', 'a', 1)", "SELECT filesystemAvailable('PATH')", "SELECT catboostEvaluate('PATH', 1)",
	"SELECT * FROM merge('default', 'PATH')", "SELECT * FROM merge('default', '.*')", "SELECT * FROM loop(default, `PATH`)", "SELECT * FROM dictionary('PATH')", "SELECT * FROM mergeTreeIndex('default', 'PATH')", "SELECT * FROM sqlite('PATH', 'a')",
	"SELECT * FROM file('PATH')", "DESCRIBE file('PATH')", "SELECT file('PATH')", "SELECT * FROM fileCluster('x', 'PATH')", "SELECT * FROM filesystem('PATH')", "SELECT * FROM icebergLocal('PATH')", "SELECT * FROM deltaLakeLocal('PATH')", "SELECT * FROM executable('PATH', TSV, 'a String')",
	"SELECT count() FROM information_schema.tables WHERE table_schema = 'default' AND table_name = 'PATH'", "SELECT count() FROM information_schema.columns WHERE table_schema = 'default' AND table_name = 'PATH'", "SELECT count() FROM INFORMATION_SCHEMA.TABLES WHERE table_name = 'PATH'",
	"SELECT count() FROM system.tables WHERE database = 'default' AND name = 'PATH'", "SELECT count() FROM system.columns WHERE database = 'default' AND table = 'PATH'", "SELECT count() FROM system.schema_inference_cache WHERE source = 'PATH'",
	"SELECT count() FROM system.disks WHERE startsWith('PATH', path)", "SELECT count() FROM system.parts WHERE startsWith(path, 'PATH')", "SELECT count() FROM system.detached_parts WHERE path = 'PATH'", "SELECT count() FROM system.remote_data_paths WHERE local_path = 'PATH'",
}

// A reader is told the same of a file that is there and of one that is not.
func TestAReaderCannotAskWhichFilesThereAre(t *testing.T) {
	dir := t.TempDir()
	there, absent := filepath.Join(dir, "aa.csv"), filepath.Join(dir, "bb.csv")
	if err := os.WriteFile(there, []byte("a\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := clickhousetest.Start(t)
	for _, statement := range asksForFiles {
		for _, database := range []string{"", "database=default"} {
			ask := func(path string) string {
				status, answer := post(t, e, "reader", database, strings.ReplaceAll(statement, "PATH", path))
				return fmt.Sprint(status, " ", strings.ReplaceAll(answer, path, "PATH"))
			}
			if yes, no := ask(there), ask(absent); yes != no {
				t.Errorf("%s %s: of a file %s, and without it %s", database, statement, yes, no)
			}
		}
	}
	if _, answer := post(t, e, "reader", "", "SELECT * FROM system.models"); !strings.HasPrefix(answer, "Code: 60.") {
		t.Errorf("system.models: %s", answer)
	}
}

// The database default is an ordinary one, and stays what it was.
func TestTheDatabaseDefaultKeepsItsTables(t *testing.T) {
	dir := t.TempDir()
	for n := range 3 {
		e := clickhousetest.StartAt(t, dir)
		post(t, e, "default", "", "CREATE TABLE IF NOT EXISTS default.kept (n UInt8) ENGINE = MergeTree ORDER BY n")
		post(t, e, "default", "", "INSERT INTO default.kept VALUES (1)")
		if _, got := post(t, e, "reader", "database=default", "SELECT sum(n), currentDatabase() FROM kept"); got != fmt.Sprint(n+1, "\tdefault") {
			t.Errorf("start %d: %s", n, got)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatAReaderMay(t *testing.T) {
	e := clickhousetest.Start(t)
	post(t, e, "default", "", "CREATE TABLE kept (n UInt8, profile String) ENGINE = MergeTree ORDER BY n")
	post(t, e, "default", "", "INSERT INTO kept VALUES (7, 'a file name'), (8, 'x')")
	for _, c := range []struct{ query, statement, want string }{
		{"", "SELECT n FROM kept ORDER BY n", "7\n8"},
		{"", "  -- a word first\n(SELECT n FROM kept LIMIT 1)", "7"},
		{"", "WITH 1 AS x SELECT n + x FROM kept ORDER BY n LIMIT 1", "8"},
		{"", "FROM kept SELECT max(n)", "8"},
		{"", "SELECT count() > 0 FROM system.parts", "1"},
		{"", "SELECT name, value, readonly FROM system.settings WHERE name = 'readonly'", "readonly\t1\t1"},
		{"", "SHOW TABLES", "kept"},
		{"", "DESCRIBE TABLE oms.kept FORMAT TSV", "n\tUInt8\t\t\t\t\t\nprofile\tString\t\t\t\t\t"},
		{"", "DESC (SELECT 1 AS a)", "a\tUInt8\t\t\t\t\t"},
		{"", "EXISTS TABLE kept", "1"},
		{"database=system", "SELECT currentDatabase()", "system"},
		{"param_x=it's", "SELECT {x:String}", `it\'s`},
		{"output_format_json_quote_64bit_integers=1", "SELECT toUInt64(1) AS a FORMAT JSONEachRow", `{"a":"1"}`},
		{"", "SELECT toUInt64(1) AS a FORMAT JSONEachRow", `{"a":1}`},
		{"default_format=CSV", "SELECT 'a', 1", `"a",1`},
		{"", "SELECT getSetting('readonly'), getSetting('max_execution_time'), getSetting('max_memory_usage')", "1\t30\t107374182"},
		{"readonly=0&max_execution_time=0&max_memory_usage=0&max_result_bytes=0", "SELECT getSetting('readonly'), getSetting('max_execution_time'), getSetting('max_memory_usage')", "1\t30\t107374182"},
		{"session_timezone=Asia/Tokyo&readonly=0", "SELECT timezone(), getSetting('readonly')", "Asia/Tokyo\t1"},
		{"", "SELECT timezone() = serverTimezone()", "1"},
		{"", "USE system", ""},
		{"", "SELECT currentDatabase()", "oms"},
	} {
		for _, user := range []string{"reader", ""} {
			if status, got := post(t, e, user, c.query, c.statement); status != 200 || strings.TrimSuffix(got, "\n") != c.want {
				t.Errorf("%s?%s %s: %d %q, want %q", user, c.query, c.statement, status, got, c.want)
			}
		}
	}
	if status, answer := post(t, e, "", "", "SELECT length(groupArray(number)) FROM numbers(500000000)"); status == 200 || !strings.HasPrefix(answer, "Code: 241.") {
		t.Errorf("too much memory: %d %s", status, answer)
	}
}

func TestUsers(t *testing.T) {
	e := clickhousetest.Start(t)
	ask := func(set func(*http.Request)) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+e.Addr()+"/", strings.NewReader("SELECT getSetting('readonly')"))
		if err != nil {
			t.Fatal(err)
		}
		set(req)
		return do(t, req)
	}
	for name, c := range map[string]struct {
		set  func(*http.Request)
		want string
	}{
		"no name":          {func(*http.Request) {}, "1"},
		"reader":           {func(r *http.Request) { r.SetBasicAuth("reader", "") }, "1"},
		"default by basic": {func(r *http.Request) { r.SetBasicAuth("default", e.Password()) }, "0"},
		"default by header": {func(r *http.Request) {
			r.Header.Set("X-ClickHouse-User", "default")
			r.Header.Set("X-ClickHouse-Key", e.Password())
		}, "0"},
		"default by address": {func(r *http.Request) { r.URL.RawQuery = "user=default&password=" + e.Password() }, "0"},
		"default by a link": {func(r *http.Request) {
			r.Method = "GET"
			r.Body = nil
			r.ContentLength = 0
			r.URL.RawQuery = "query=SELECT+getSetting('readonly')&user=default&password=" + e.Password()
		}, "2"},
		"default, no password":   {func(r *http.Request) { r.SetBasicAuth("default", "") }, "516"},
		"default, a wrong one":   {func(r *http.Request) { r.SetBasicAuth("default", e.Password()+"x") }, "516"},
		"reader with a password": {func(r *http.Request) { r.SetBasicAuth("reader", e.Password()) }, "516"},
		"nobody":                 {func(r *http.Request) { r.SetBasicAuth("nobody", "") }, "516"},
		"a password alone":       {func(r *http.Request) { r.URL.RawQuery = "password=x" }, "516"},
		"a page in a browser":    {func(r *http.Request) { r.Host = "evil.example" }, "loopback"},
	} {
		status, got := ask(c.set)
		if len(c.want) == 1 && (status != 200 || got != c.want) || len(c.want) > 1 && (status != 403 || !strings.Contains(got, c.want)) {
			t.Errorf("%s: %d %s, want %s", name, status, got, c.want)
		}
	}
	for path, want := range map[string]int{"/ping": 200, "/": 200, "/replicas_status": 200, "/nothing": 404} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+e.Addr()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := do(t, req); status != want {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// What one request sets, another does not find, whoever the two are.
func TestNothingLeaksFromRequestToRequest(t *testing.T) {
	e := clickhousetest.Start(t)
	post(t, e, "default", "", "CREATE DATABASE second")
	post(t, e, "default", "", "CREATE TABLE gone (a UInt8, b UInt8) ENGINE = Null")
	const ask = "SELECT getSetting('readonly'), getSetting('max_result_rows'), getSetting('max_execution_time'), getSetting('max_memory_usage'), currentDatabase(), getSetting('output_format_json_quote_64bit_integers')"
	steps := []struct{ user, query, statement, want string }{
		{"default", "", ask, "0\t0\t0\t0\toms\tfalse"},
		{"default", "max_result_rows=5&database=second&output_format_json_quote_64bit_integers=1", ask, "0\t5\t0\t0\tsecond\ttrue"},
		{"default", "readonly=1&max_result_rows=6", ask, "1\t6\t0\t0\toms\tfalse"},
		{"default", "readonly=2", ask, "2\t0\t0\t0\toms\tfalse"},
		{"reader", "max_result_rows=9&readonly=0", ask, "1\t0\t30\t107374182\toms\tfalse"},
		{"reader", "output_format_json_quote_64bit_integers=1&database=second", ask, "1\t0\t30\t107374182\tsecond\ttrue"},
		{"default", "", "SET max_result_rows = 3", ""},
		{"default", "", "SET readonly = 1", ""},
		{"default", "", "USE second", ""},
		{"default", "", "SET max_memory_usage = 1, max_execution_time = 0.001", ""},
		{"default", "max_parser_depth=1", "SELECT (1 + 2) * 3 + 4", "Code: 452."},
		{"default", "", "SET max_ast_depth = 1, max_query_size = 1", "Code: 452."},
		{"default", "max_memory_usage=1&limit=1&offset=2&max_rows_to_read=5", "SELECT number FROM numbers(4)", "2"},
		{"default", "no_such=1&max_result_rows=8", "SELECT 1", "Code: 115."},
		{"default", "readonly=1", "INSERT INTO x SELECT 1", "Code: "},
		{"default", "format_csv_delimiter=%3B&insert_deduplicate=0&insert_deduplication_token=x", "INSERT INTO gone -- of two columns\nFORMAT CSV\n1;2\n", ""},
		{"default", "insert_deduplicate=no&max_result_rows=7", "INSERT INTO gone FORMAT CSV\n1,2\n", "Code: 467."},
		{"reader", "", "SELECT no_such_column", "Code: 47."},
		{"reader", "database=no_such", "SELECT 1", "Code: 81."},
		{"default", "max_execution_time=1", "SELECT sleepEachRow(0.1) FROM numbers(100) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0", "Code: 159."},
	}
	check := func(i int) {
		s := steps[i%len(steps)]
		_, got := post(t, e, s.user, s.query, s.statement)
		if got = strings.ReplaceAll(strings.TrimSuffix(got, "\n"), "\t0\tfalse", "\tfalse"); got != s.want && !(strings.HasPrefix(s.want, "Code") && strings.Contains(got, s.want)) {
			t.Errorf("%s?%s %s: %s, want %s", s.user, s.query, s.statement, got, s.want)
		}
	}
	for i := range 5 * len(steps) {
		check(i * 7) // 7 and the number of steps have no common divisor, so each follows another
	}
	var all sync.WaitGroup
	for w := range 6 {
		all.Go(func() {
			for i := range 40 {
				if steps[(w+i*3)%len(steps)].query != "max_execution_time=1" {
					check(w + i*3)
				}
			}
		})
	}
	all.Wait()
	if e.Restarts() != 0 {
		t.Errorf("%d restarts", e.Restarts())
	}
}

// Readers that take their time leave sessions to others.
func TestReadersDoNotTakeAllSessions(t *testing.T) {
	e := clickhousetest.Start(t)
	c := connect(t, e.URL())
	var readers sync.WaitGroup
	for i := range 8 {
		readers.Go(func() {
			post(t, e, "reader", "", fmt.Sprintf("SELECT sleepEachRow(0.5), 'slow_reader_%d' FROM numbers(4)", i))
		})
	}
	eventually(t, "readers run", 10*time.Second, func() bool { return running(t, place{conn: c}, "slow_reader") >= 4 })
	began := time.Now()
	if err := c.Ping(t.Context()); err != nil || time.Since(began) > time.Second {
		t.Errorf("a ping took %v: %v", time.Since(began), err)
	}
	readers.Wait()
}

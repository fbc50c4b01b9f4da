package clickhouse_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"oms/internal/clickhouse/clickhousetest"
)

// ClickHouse's own Python client takes the engine for a server.
func TestThePythonClient(t *testing.T) {
	e := clickhousetest.Start(t)
	cache := os.Getenv("OMS_CACHE")
	if home, err := os.UserHomeDir(); cache == "" && err == nil {
		cache = filepath.Join(home, ".cache")
	}
	python := filepath.Join(cache, "oms-venv", "bin", "python")
	if err := exec.Command(python, "-c", "import clickhouse_connect").Run(); err != nil {
		t.Skip("clickhouse-connect is not installed (make setup brings it): this stranger is not asked")
	}
	host, port, err := net.SplitHostPort(e.Addr())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "testdata/analyst.py", host, port, e.Password())
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const want = `sku-0 334 1668.33
sku-1 333 1661.67
sku-2 333 1665.00
('sku', 'orders', 'total') ['LowCardinality(String)', 'UInt64', 'Decimal(38, 2)']
[(['a', "b'c"], "it's")]
44999850000
{"n":7}
refused
refused
True
`
	if string(out) != want {
		t.Errorf("it saw %s\nwant %s", out, want)
	}
}

func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not on the PATH: this stranger is not asked")
	}
	e := clickhousetest.Start(t)
	ask := func(args ...string) string {
		out, err := exec.Command(curl, append([]string{"-sS", "--max-time", "20"}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v %s", args, err, out)
		}
		return string(out)
	}
	at, owner := "http://"+e.Addr()+"/", "default:"+e.Password()
	csv := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(csv, []byte("1,\"a, b\"\n2,c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"Ok.\n", []string{at + "ping"}},
		{"Ok.\n", []string{at}},
		{"", []string{"-u", owner, at, "-d", "CREATE TABLE t (n UInt8, s String) ENGINE = MergeTree ORDER BY n"}},
		{"", []string{"-u", owner, at + "?query=INSERT+INTO+t+FORMAT+CSV", "-H", "Transfer-Encoding: chunked", "--data-binary", "@" + csv}},
		{"2\n", []string{at + "?query=SELECT+uniqExact(n)+FROM+t"}},
		{"\"n\",\"s\"\n", []string{at, "-d", "SELECT n, s FROM t WHERE 0 FORMAT CSVWithNames"}},
		{`"n","s"` + "\n" + `1,"a, b"` + "\n", []string{at, "-d", "SELECT DISTINCT n, s FROM t ORDER BY n LIMIT 1 FORMAT CSVWithNames"}},
		{"{\"n\":1,\"s\":\"a, b\"}\n", []string{"--compressed", at + "?enable_http_compression=1&default_format=JSONEachRow", "-d", "SELECT DISTINCT n, s FROM t ORDER BY n LIMIT 1"}},
		{"a, b\n", []string{"-G", at, "--data-urlencode", "query=SELECT DISTINCT s FROM t WHERE s = {s:String}", "--data-urlencode", "param_s=a, b"}},
	} {
		if got := ask(c.args...); got != c.want {
			t.Errorf("%v: %q, want %q", c.args, got, c.want)
		}
	}
	if got := ask("-o", "/dev/null", "-w", "%{http_code}", at, "-d", "DROP TABLE t"); got != "500" {
		t.Errorf("a reader's DROP: status %s", got)
	}
	if got := ask(at, "-d", "SELECT * FROM t FORMAT JSON"); !strings.Contains(got, `"rows": 2`) {
		t.Errorf("JSON: %s", got)
	}
}

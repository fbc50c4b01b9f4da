package desk

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"oms/views/clickhouse/reports"
)

// Clients that stop reading in the middle of an answer lose it at the limit of the report, so that others get their places; and they see that it is not whole.
func TestAClientThatStopsReadingGivesItsPlaceBack(t *testing.T) {
	// More than all buffers between the two ends take.
	big := reports.Report{Name: "big", Title: "big", Question: "?", SQL: "SELECT number, repeat('x', 500) AS s FROM numbers(900000) WHERE {tenant:String} != ''"}
	small := reports.Report{Name: "small", Title: "small", Question: "?", SQL: "SELECT 1 AS n WHERE {tenant:String} != ''"}
	at := serve(t, staffOf("default"), func(c *Config) {
		c.Reports, c.AtOnce, c.Limits = []reports.Report{big, small}, 2, Limits{Time: time.Second}
	})
	var stalled []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /api/reports/big?format=csv HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if _, err := io.ReadFull(c, make([]byte, 12)); err != nil { // the answer has begun: the place is taken
			t.Fatal(err)
		}
		stalled = append(stalled, c)
	}
	if h := get(t, at+"/api/reports/small"); h.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("all places are taken, and the answer is %d", h.StatusCode)
	}
	eventually(t, "there is a place", func() bool { return get(t, at+"/api/reports/small").StatusCode == http.StatusOK })
	for _, c := range stalled {
		res, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader("HTTP/1.1 200"), c)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); err == nil || n == 0 {
			t.Errorf("%d bytes and the end looks like one: %v", n, err)
		}
	}
}

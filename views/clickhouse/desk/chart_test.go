package desk

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// drawn is the picture of a statement's answer, well-formed.
func drawn(t *testing.T, sql string, plot Plot) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := WriteSVG(&b, answerOf(t, sql), plot); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(b.Bytes()))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v: %.600s", err, b.String())
		}
	}
	return b.String()
}

func wants(t *testing.T, svg string, pieces ...string) {
	t.Helper()
	for _, p := range pieces {
		if !strings.Contains(svg, ">"+p+"<") {
			t.Errorf("%q is not in the picture", p)
		}
	}
}

func TestAmountsAreDrawnInTheirCurrency(t *testing.T) {
	const sql = "SELECT toDateTime('2026-05-01 00:00:00', 'UTC') + toIntervalDay(number % 3) AS day, ['EUR', 'JPY'][1 + number % 2] AS currency, toInt64(if(currency = 'EUR', 400000, 4000)) AS sales_minor FROM numbers(6) ORDER BY day DESC"
	svg := drawn(t, sql, Plot{Kind: "line", X: "day", Y: []string{"sales_minor"}, Series: "currency", Title: "Sales & more"})
	wants(t, svg, "EUR", "JPY", "4,000", "0", "1 May", "3 May", "Sales &amp; more")
	if strings.Contains(svg, "400,000") || strings.Contains(svg, "400k") {
		t.Error("minor units are drawn as major ones")
	}
	if strings.Index(svg, "1 May") > strings.Index(svg, "3 May") {
		t.Error("time runs backwards")
	}
}

func TestAPictureSaysWhatItLeavesOut(t *testing.T) {
	svg := drawn(t, "SELECT concat('product ', toString(number)) AS name, 100 - number AS units FROM numbers(60)", Plot{Kind: "bar", X: "name", Y: []string{"units"}})
	wants(t, svg, "the first 24 of 60", "product 0", "product 23", "100")
	if strings.Contains(svg, "product 24<") {
		t.Error("more is drawn than is said")
	}
	svg = drawn(t, "SELECT toDate('2026-05-01') + number % 2 AS day, concat('s', toString(intDiv(number, 2))) AS series, number AS n FROM numbers(40)", Plot{Kind: "line", X: "day", Y: []string{"n"}, Series: "series"})
	wants(t, svg, "the 10 largest of 20 series", "s19", "s10")
	if strings.Contains(svg, ">s9<") {
		t.Error("a small series is drawn")
	}
}

func TestPairsThatAreMostlyGapsAreSpread(t *testing.T) {
	svg := drawn(t, "SELECT ['PENDING', 'PENDING', 'CONFIRMED', 'HELD'][number + 1] AS state, ['CONFIRMED', 'REJECTED', 'CANCELLED', 'FREE'][number + 1] AS next, 1000 * (number + 1) AS p50_ms, 60000 AS p99_ms FROM numbers(4)",
		Plot{Kind: "bar", X: "state", Y: []string{"p50_ms", "p99_ms"}, Series: "next"})
	wants(t, svg, "p50", "p99", "PENDING → CONFIRMED", "PENDING → REJECTED", "CONFIRMED → CANCELLED", "HELD → FREE")
}

func TestSharesEndAtAll(t *testing.T) {
	wants(t, drawn(t, "SELECT number AS n, 0.97 AS kept_share FROM numbers(3)", Plot{Kind: "line", X: "n", Y: []string{"kept_share"}}), "100 %", "0 %")
}

func TestNamesInPicturesAreText(t *testing.T) {
	svg := drawn(t, "SELECT concat('<script>alert(1)</script>', toString(number)) AS name, 'a\"b\\'c & <i>' AS series, 5 AS n FROM numbers(2) UNION ALL SELECT 'x', 'Roboto Medium', 3", Plot{Kind: "bar", X: "name", Y: []string{"n"}, Series: "series", Title: "</title><script>", Shown: true})
	if strings.Contains(svg, "<script") || strings.Contains(svg, "<i>") {
		t.Errorf("%s", svg)
	}
}

func TestWhatCannotBeDrawnIsAnError(t *testing.T) {
	for name, plot := range map[string]Plot{"no kind": {Kind: "none"}, "no column": {Kind: "line", X: "nothing", Y: []string{"n"}}} {
		if _, err := WriteSVG(io.Discard, answerOf(t, "SELECT 1 AS n"), plot); err == nil {
			t.Error(name)
		}
	}
}

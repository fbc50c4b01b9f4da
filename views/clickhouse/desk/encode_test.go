package desk

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// every is a row of each type that an answer may have, and a row of what is hard in it.
const every = `SELECT * FROM (SELECT toInt64(-9223372036854775808) AS i, toUInt64(18446744073709551615) AS u, 0.1 AS f, 'plain' AS s, toDateTime64('2026-05-01 10:00:00.123', 3, 'UTC') AS t, toDate32('1969-12-31') AS d, true AS b,
	toNullable(5) AS n, toLowCardinality('lc') AS l, CAST('x', 'Enum8(''x'' = 1, ''y'' = 2)') AS e, toDecimal64(12.50, 2) AS dec, [1, 2] AS a, map('k', ('x', 1, [NULL, 0.5])) AS m, toInt256('1000000000000000000000') AS big, toDateTime('2026-05-01 10:00:00', 'Europe/Vienna') AS zone, 1 = 1 AS yes
UNION ALL SELECT 0, 0, nan, concat('a "quote", comma', char(13, 10), 'and ', char(92), ' ', char(226, 128, 168), ' ', char(255, 0)), toDateTime64('1970-01-01 00:00:00', 3, 'UTC'), toDate32('2100-01-01'), false, NULL, '', 'y', toDecimal64(-0.01, 2), [], map(), 0, toDateTime('2026-05-01 00:00:00', 'Europe/Vienna'), 0) ORDER BY e`

func answerOf(t testing.TB, sql string) *Answer {
	t.Helper()
	_, reader := shop(t)
	a, err := Ask(t.Context(), reader, sql, nil, Limits{Rows: 10_000_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func TestJSONHasEveryTypeAsItself(t *testing.T) {
	var b bytes.Buffer
	rows, err := WriteJSON(&b, answerOf(t, every), About{Report: "r", Params: map[string]string{"from": `"x`}})
	if err != nil || rows != 2 {
		t.Fatal(rows, err)
	}
	var doc struct {
		Report  string
		Params  map[string]string
		Columns []Column
		Rows    []map[string]json.RawMessage
		More    bool
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatalf("%v: %s", err, b.Bytes())
	}
	if doc.Report != "r" || doc.Params["from"] != `"x` || len(doc.Columns) != 16 || doc.Columns[4].Type != "DateTime64(3, 'UTC')" || doc.More {
		t.Errorf("%+v", doc)
	}
	for name, want := range map[string][2]string{
		"i": {"-9223372036854775808", "0"}, "u": {"18446744073709551615", "0"}, "f": {"0.1", "null"}, "s": {`"plain"`, `"a \"quote\", comma\r\nand \\ ` + "\u2028 \uFFFD" + `\u0000"`},
		"t": {`"2026-05-01T10:00:00.123Z"`, `"1970-01-01T00:00:00Z"`}, "d": {`"1969-12-31"`, `"2100-01-01"`}, "b": {"true", "false"}, "n": {"5", "null"}, "l": {`"lc"`, `""`}, "e": {`"x"`, `"y"`},
		"dec": {"12.5", "-0.01"}, "a": {"[1,2]", "[]"}, "m": {`{"k":["x",1,[null,0.5]]}`, "{}"}, "big": {"1000000000000000000000", "0"}, "zone": {`"2026-05-01T08:00:00Z"`, `"2026-04-30T22:00:00Z"`}, "yes": {"1", "0"},
	} {
		for i := range 2 {
			var got, wanted any
			if json.Unmarshal(doc.Rows[i][name], &got); string(doc.Rows[i][name]) != want[i] {
				if json.Unmarshal([]byte(want[i]), &wanted); wanted != got || name == "i" || name == "u" {
					t.Errorf("row %d: %s is %s, want %s", i, name, doc.Rows[i][name], want[i])
				}
			}
		}
	}
}

func TestCSVIsReadAsItWasWritten(t *testing.T) {
	var b bytes.Buffer
	if rows, err := WriteCSV(&b, answerOf(t, every)); err != nil || rows != 2 {
		t.Fatal(rows, err)
	}
	if !strings.Contains(b.String(), "comma\r\nand") || !strings.HasSuffix(b.String(), "\r\n") {
		t.Errorf("%q", b.String())
	}
	all, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(all) != 3 || strings.Join(all[0], " ") != "i u f s t d b n l e dec a m big zone yes" {
		t.Fatal(all, err)
	}
	if all[1][1] != "18446744073709551615" || all[1][4] != "2026-05-01T10:00:00.123Z" || all[2][2] != "" || all[2][7] != "" || all[1][11] != "[1,2]" || !strings.HasPrefix(all[2][3], `a "quote", comma`) {
		t.Errorf("%q", all)
	}
}

func TestParquetHasColumnsInOrderAndTyped(t *testing.T) {
	var b bytes.Buffer
	if rows, err := WriteParquet(&b, answerOf(t, every), About{Report: "r", Params: map[string]string{"from": "x"}}); err != nil || rows != 2 {
		t.Fatal(rows, err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, c := range f.Schema().Fields() {
		columns = append(columns, c.Name()+" "+c.Type().String())
	}
	want := "i INT(64,true), u INT(64,false), f DOUBLE, s STRING, t TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS), d DATE, b BOOLEAN, n INT(64,false), l STRING, e STRING, dec STRING, a STRING, m STRING, big STRING, zone TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS), yes INT(64,false)"
	if got := strings.Join(columns, ", "); got != want {
		t.Errorf("columns:\n%s\nwant\n%s", got, want)
	}
	if v, ok := f.Lookup("oms.from"); !ok || v != "x" {
		t.Error("the parameters are not in the file")
	}
	rows := make([]parquet.Row, 3)
	reader := f.RowGroups()[0].Rows()
	defer reader.Close()
	if n, err := reader.ReadRows(rows); n != 2 || err != nil && err != io.EOF {
		t.Fatal(n, err)
	}
	first, second := rows[0], rows[1]
	if first[0].Int64() != -9223372036854775808 || first[1].Uint64() != 18446744073709551615 || first[2].Double() != 0.1 || first[4].Int64() != 1777629600123 || first[5].Int32() != -1 || !first[6].Boolean() || first[10].String() != "12.5" {
		t.Errorf("%v", first)
	}
	if !second[2].IsNull() || !second[7].IsNull() || second[8].IsNull() || second[5].Int32() != 47482 || second[3].String()[:3] != `a "` {
		t.Errorf("%v", second)
	}
}

func TestAnAnswerWithoutRowsHasItsColumns(t *testing.T) {
	sql := "SELECT at, total_minor FROM order_events WHERE tenant = 'nobody' -- a comment at the end"
	for name, write := range map[string]func(io.Writer) (int64, error){
		"at,total_minor\r\n":                   func(w io.Writer) (int64, error) { return WriteCSV(w, answerOf(t, sql)) },
		`{"name":"total_minor","type":"Int64"`: func(w io.Writer) (int64, error) { return WriteJSON(w, answerOf(t, sql), About{}) },
		"at  total\n──  ─────\n(no rows)\n":    func(w io.Writer) (int64, error) { return WriteTable(w, answerOf(t, sql)) },
		"Nothing in this span": func(w io.Writer) (int64, error) {
			return WriteSVG(w, answerOf(t, sql), Plot{Kind: "line", X: "at", Y: []string{"total_minor"}})
		},
		"PAR1": func(w io.Writer) (int64, error) { return WriteParquet(w, answerOf(t, sql), About{}) },
	} {
		var b bytes.Buffer
		if rows, err := write(&b); err != nil || rows != 0 || !strings.Contains(b.String(), name) {
			t.Errorf("%d rows, %v: %q lacks %q", rows, err, b.String(), name)
		}
	}
}

func TestNamesThatComeTwiceAreToldApart(t *testing.T) {
	var b bytes.Buffer
	if _, err := WriteJSON(&b, answerOf(t, "SELECT 1, 1, 2 AS x"), About{}); err != nil || !strings.Contains(b.String(), `{"1":1,"1_2":1,"x":2}`) {
		t.Errorf("%v %s", err, b.String())
	}
}

func TestALimitedAnswerSaysThatThereIsMore(t *testing.T) {
	for limit, want := range map[int64]string{2: `"more":true`, 3: "\n]}\n"} {
		a := answerOf(t, "SELECT number FROM numbers(3)")
		a.Limit(limit)
		var b bytes.Buffer
		if rows, err := WriteJSON(&b, a, About{}); err != nil || rows != limit || !strings.Contains(b.String(), want) {
			t.Errorf("%d %v %s", rows, err, b.String())
		}
	}
}

func TestATableForPeopleShowsUnits(t *testing.T) {
	var b bytes.Buffer
	_, err := WriteTable(&b, answerOf(t, `SELECT * FROM VALUES('currency String, total_minor Int64, wait_ms Float64, lag_seconds Int64, refused_share Float64, units Int64, at DateTime64(3, \'UTC\'), note String',
		('EUR', 123456, 0.5, 59, 0.0315, 1234567, '2026-05-01 00:00:00', 'a'), ('JPY', -1234, 61500, 4000, 1, -5, '2026-05-01 10:00:00', concat(char(27), '[31mred')), ('???', 7, 172800000, 0, 0, 0, '2026-05-01 10:00:01.5', '日本'))`))
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []string{"1,234.56", "-1,234 ", "0.50 ms", "1 min 01 s", "59.00 s", "1 h 06 min", "3.1 %", "100.0 %", "1,234,567", "2026-05-01  ", "2026-05-01 10:00 ", "2026-05-01 10:00:01.500", "\uFFFD[31mred", "2.0 d", "日本"} {
		if !strings.Contains(b.String(), piece) {
			t.Errorf("%q is not in\n%s", piece, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("an escape sequence reaches the terminal")
	}
}

func TestATableHolds10000Rows(t *testing.T) {
	var b bytes.Buffer
	rows, err := WriteTable(&b, answerOf(t, "SELECT number FROM numbers(3000000)"))
	if err != nil || rows != 10_000 || !strings.Contains(b.String(), "more than 10,000 rows") {
		t.Error(rows, err)
	}
}

// meter counts what is written, and looks at the heap now and then.
type meter struct {
	bytes, peak uint64
	next        uint64
}

func (m *meter) Write(b []byte) (int, error) {
	if m.bytes += uint64(len(b)); m.bytes >= m.next {
		m.next = m.bytes + 4<<20
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		m.peak = max(m.peak, s.HeapInuse)
	}
	return len(b), nil
}

func TestMemoryIsBoundedWhateverTheResult(t *testing.T) {
	if testing.Short() {
		t.Skip("three million rows")
	}
	const sql = "SELECT number AS n, concat('customer ', toString(number)) AS name, number * 1.5 AS f, toDateTime64(number, 3, 'UTC') AS at FROM numbers(3000000)"
	for name, write := range map[string]func(io.Writer, *Answer) (int64, error){
		"json": func(w io.Writer, a *Answer) (int64, error) { return WriteJSON(w, a, About{}) }, "csv": WriteCSV,
		"parquet": func(w io.Writer, a *Answer) (int64, error) { return WriteParquet(w, a, About{}) },
	} {
		runtime.GC()
		var m meter
		rows, err := write(&m, answerOf(t, sql))
		if err != nil || rows != 3_000_000 {
			t.Fatal(name, rows, err)
		}
		t.Logf("%s: %d MB out, heap %d MB at most", name, m.bytes>>20, m.peak>>20)
		if m.peak > 200<<20 {
			t.Errorf("%s: the heap grew to %d MB", name, m.peak>>20)
		}
	}
}

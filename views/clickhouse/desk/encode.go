package desk

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// About says what an answer is the answer to.
type About struct {
	Report string            // name; empty: a statement of one's own
	Params map[string]string // as they were bound, the tenant left out
}

// flushAt is how much an encoder gathers before it writes, in bytes.
const flushAt = 64 << 10

// WriteJSON streams {"report":…,"params":{…},"columns":[{"name","type","unit"}…],"rows":[{…}…]} and answers how many rows there were. Integers are JSON numbers, also beyond
// 2^53; times RFC 3339 in UTC, dates YYYY-MM-DD; what is no value is null. When the
// answer was limited and there are more rows, "more":true follows them. An error leaves the document without its end, so that nobody takes it for whole.
func WriteJSON(w io.Writer, a *Answer, about About) (rows int64, err error) {
	b := []byte(`{`)
	if about.Report != "" {
		b = append(quoted(append(b, `"report":`...), about.Report), `,"params":{`...)
		for i, name := range slices.Sorted(maps.Keys(about.Params)) {
			b = quoted(append(quoted(comma(b, i), name), ':'), about.Params[name])
		}
		b = append(b, `},`...)
	}
	b = append(b, `"columns":[`...)
	names := make([][]byte, len(a.columns))
	for i, c := range a.columns {
		b = quoted(append(quoted(append(comma(b, i), `{"name":`...), c.Name), `,"type":`...), c.Type)
		if c.Unit != "" {
			b = quoted(append(b, `,"unit":`...), string(c.Unit))
		}
		b = append(b, '}')
		names[i] = append(quoted(nil, c.Name), ':')
	}
	b = append(b, `],"rows":[`...)
	for ; a.Next(); rows++ {
		b = append(comma(b, int(min(rows, 1))), "\n{"...)
		for i, c := range a.cells {
			b = append(comma(b, i), names[i]...)
			b = c.appendJSON(b, a.columns[i].kind)
		}
		if b = append(b, '}'); len(b) >= flushAt {
			if _, err := w.Write(b); err != nil {
				return rows, err
			}
			b = b[:0]
		}
	}
	if err := a.Err(); err != nil {
		return rows, err
	}
	b = append(b, "\n]"...)
	if a.Cut() {
		b = append(b, `,"more":true`...)
	}
	_, err = w.Write(append(b, "}\n"...))
	return rows, err
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}

// quoted appends a JSON string; bytes that are no UTF-8 become U+FFFD.
func quoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, strings.ToValidUTF8(s, "\uFFFD"))
	return b
}

func (c cell) appendJSON(b []byte, k kind) []byte {
	switch {
	case c.null:
		return append(b, "null"...)
	case k == text:
		return quoted(b, c.s)
	case k == moment || k == day:
		return append(c.append(append(b, '"'), k), '"')
	}
	return c.append(b, k)
}

// WriteCSV streams a header and a line a row (RFC 4180: commas, CRLF, quotes where needed) and answers how many rows there were. The data is as it is: a program that takes
// texts for formulas has to be told not to. What is no value is empty.
func WriteCSV(w io.Writer, a *Answer) (rows int64, err error) {
	out := bufio.NewWriterSize(w, flushAt)
	var line, field []byte
	for i, c := range a.columns {
		line = appendField(line, i, []byte(c.Name))
	}
	for {
		if _, err := out.Write(append(line, "\r\n"...)); err != nil {
			return rows, err
		}
		if !a.Next() {
			break
		}
		rows++
		line = line[:0]
		for i, c := range a.cells {
			field = c.append(field[:0], a.columns[i].kind)
			line = appendField(line, i, field)
		}
	}
	if err := a.Err(); err != nil {
		return rows, err
	}
	return rows, out.Flush()
}

func appendField(line []byte, i int, field []byte) []byte {
	line = comma(line, i)
	if !utf8.Valid(field) {
		field = bytes.ToValidUTF8(field, []byte("\uFFFD"))
	}
	if !bytes.ContainsAny(field, "\",\r\n") {
		return append(line, field...)
	}
	line = append(line, '"')
	line = append(line, bytes.ReplaceAll(field, []byte(`"`), []byte(`""`))...)
	return append(line, '"')
}

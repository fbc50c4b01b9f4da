package desk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Shapes of an answer that a command line may ask for.
var Shapes = []string{"table", "csv", "json", "parquet"}

// Write writes an answer in a shape, and answers how many rows there were.
func Write(w io.Writer, shape string, a *Answer, about About) (int64, error) {
	switch shape {
	case "table":
		return WriteTable(w, a)
	case "csv":
		return WriteCSV(w, a)
	case "json":
		return WriteJSON(w, a, about)
	case "parquet":
		return WriteParquet(w, a, about)
	}
	return 0, fmt.Errorf("%q: want one of %s", shape, strings.Join(Shapes, ", "))
}

// verbs are what a statement that only reads begins with. ClickHouse's read-only mode lets more pass: KILL, and SET.
var verbs = []string{"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "VALUES"}

// Statement is the one statement in a text, without the semicolon behind it; the error says why it is none that may be asked: it is empty, there is another one behind it,
// it does not only read, or it names the format of its answer.
//
// It is no wall: read-only mode is. But that mode can be lifted by a statement's own SETTINGS readonly = DEFAULT, so a statement that has the word is refused.
func Statement(text string) (string, error) {
	words, end, rest := scan(text)
	sql := strings.TrimSpace(text[:end])
	switch n := len(words); {
	case n == 0:
		return "", errors.New("want a statement, such as SELECT count() FROM orders_now FINAL")
	case rest:
		return "", errors.New("want one statement at a time: there is more behind the semicolon")
	case !slices.Contains(verbs, words[0]):
		return "", fmt.Errorf("%s: statements here only read: want one of %s", words[0], strings.Join(verbs, ", "))
	case slices.Contains(words, "READONLY"):
		return "", errors.New("readonly: statements here only read, and stay so")
	case n > 1 && words[n-2] == "FORMAT", n > 2 && slices.Contains(words[n-2:], "OUTFILE"):
		return "", errors.New("FORMAT and INTO OUTFILE: the flag -o names the shape of the answer, and > the file")
	}
	return sql, nil
}

// scan finds the words of a statement in capitals, without what is quoted or a comment; where it ends; and whether anything but space is behind its semicolon.
func scan(text string) (words []string, end int, rest bool) {
	end = len(text)
	for i := 0; i < len(text); {
		c := text[i]
		next := i + 1
		switch {
		case strings.HasPrefix(text[i:], "--") || strings.HasPrefix(text[i:], "#!") || strings.HasPrefix(text[i:], "# "):
			next = after(text, i, "\n")
		case strings.HasPrefix(text[i:], "/*"):
			next = after(text, i+2, "*/")
		case c == ';':
			if end == len(text) {
				end = i
			}
		case c == '\'' || c == '"' || c == '`':
			next = closed(text, i)
			rest = rest || end < i
		case wordByte(c):
			for next < len(text) && wordByte(text[next]) {
				next++
			}
			words = append(words, strings.ToUpper(text[i:next]))
			rest = rest || end < i
		case c > ' ':
			rest = rest || end < i
		}
		i = next
	}
	return words, end, rest
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// after is the place behind the next mark; the end without one.
func after(text string, from int, mark string) int {
	if i := strings.Index(text[from:], mark); i >= 0 {
		return from + i + len(mark)
	}
	return len(text)
}

// closed is the place behind the quote that closes the one at i.
func closed(text string, i int) int {
	for j := i + 1; j < len(text); j++ {
		switch text[j] {
		case '\\':
			j++
		case text[i]:
			return j + 1
		}
	}
	return len(text)
}

// Complete tells whether a text that is being typed is a whole statement: a semicolon outside of quotes ends it.
func Complete(text string) bool {
	_, end, _ := scan(text)
	return end < len(text)
}

// Plain runs a statement that Statement has let pass, writes its answer, and answers how many rows there were.
func Plain(ctx context.Context, conn driver.Conn, w io.Writer, shape, sql string, limits Limits) (int64, error) {
	a, err := Ask(ctx, conn, sql, nil, limits)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	return Write(w, shape, a, About{})
}

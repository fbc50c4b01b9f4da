package desk

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bojanz/currency"
	"golang.org/x/text/width"
)

// Unit is what the numbers of a column count, as its name ends.
type Unit string

// Units.
const (
	Minor        Unit = "minor"   // money, in minor units of the currency in the row's column currency: …_minor
	Milliseconds Unit = "ms"      // …_ms
	Seconds      Unit = "s"       // …_seconds, …_s
	Days         Unit = "days"    // …_days
	Share        Unit = "share"   // of 1: …share, …rate
	Percent      Unit = "percent" // of 100: …_percent
)

func unitOf(name string, k kind) Unit {
	if !k.numeric() {
		return ""
	}
	for _, ending := range []struct {
		suffix string
		unit   Unit
	}{{"_minor", Minor}, {"_ms", Milliseconds}, {"_seconds", Seconds}, {"_s", Seconds}, {"_days", Days}, {"_percent", Percent}} {
		if strings.HasSuffix(name, ending.suffix) {
			return ending.unit
		}
	}
	if k == real && (strings.HasSuffix(name, "share") || strings.HasSuffix(name, "rate")) {
		return Share
	}
	return ""
}

// title is a column's name for people: the unit is in the values, so it need not be in the name.
func (c Column) title() string {
	name := c.Name
	switch c.Unit {
	case Minor, Milliseconds, Seconds, Percent, Days:
		name = name[:strings.LastIndexByte(name, '_')]
	}
	return strings.ReplaceAll(name, "_", " ")
}

// currencyOf is the currency of a row's amounts; empty where no column tells.
func (a *Answer) currencyOf() string {
	for i, c := range a.columns {
		if c.Name == "currency" {
			return a.cells[i].s
		}
	}
	return ""
}

// exponent is how many digits of an amount stand behind the point: 2 for EUR, 0 for JPY; false for a currency that is none.
func exponent(code string) (int, bool) {
	d, known := currency.GetDigits(code)
	return int(d), known
}

// shown is the value of a column for a person who reads the row.
func (a *Answer) shown(i int, code string) string {
	c, col := a.cells[i], a.columns[i]
	if c.null {
		return "–"
	}
	switch col.kind {
	case moment:
		return shownTime(c.t)
	case text, other:
		return printable(c.s)
	case yesNo, day, number:
		return c.String(col.kind)
	}
	f, _ := c.float(col.kind)
	switch col.Unit {
	case Minor:
		if digits, known := exponent(code); known {
			return money(c, col.kind, code, digits)
		}
	case Milliseconds:
		return shownDuration(f / 1000)
	case Seconds:
		return shownDuration(f)
	case Days:
		return thousands(strconv.FormatFloat(f, 'f', 1, 64)) + " d"
	case Share:
		return strconv.FormatFloat(f*100, 'f', 1, 64) + " %"
	case Percent:
		return strconv.FormatFloat(f, 'f', 1, 64) + " %"
	}
	if col.kind == real {
		return thousands(strconv.FormatFloat(f, 'f', decimals(f), 64))
	}
	return thousands(c.String(col.kind))
}

// decimals keeps about four significant digits, and no zeros behind a whole number.
func decimals(f float64) int {
	switch abs := math.Abs(f); {
	case f == math.Trunc(f) && abs < 1e15:
		return 0
	case abs >= 100:
		return 1
	case abs >= 1:
		return 2
	default:
		return 4
	}
}

// money shows minor units, which are whole but for averages.
func money(c cell, k kind, code string, digits int) string {
	if k == real {
		return thousands(strconv.FormatFloat(c.f/math.Pow10(digits), 'f', digits, 64))
	}
	minor := c.i
	if k == count {
		minor = int64(c.u)
	}
	amount, err := currency.NewAmountFromInt64(minor, code)
	if err != nil {
		return c.String(k)
	}
	return thousands(amount.Number())
}

// thousands parts the whole digits of a number in groups of three.
func thousands(s string) string {
	if strings.ContainsAny(s, "eNI") {
		return s
	}
	sign, digits := "", s
	if strings.HasPrefix(s, "-") {
		sign, digits = "-", s[1:]
	}
	whole, fraction, point := strings.Cut(digits, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if point {
		whole += "." + fraction
	}
	return sign + whole
}

// shownTime leaves out what is zero: 2026-05-01, 2026-05-01 10:00, 2026-05-01 10:00:00.123.
func shownTime(t time.Time) string {
	switch {
	case t.Nanosecond() != 0:
		return t.Format("2006-01-02 15:04:05.000")
	case t.Second() != 0:
		return t.Format(time.DateTime)
	case t.Hour() != 0 || t.Minute() != 0:
		return t.Format("2006-01-02 15:04")
	}
	return t.Format(time.DateOnly)
}

func shownDuration(seconds float64) string {
	switch abs := math.Abs(seconds); {
	case abs < 0.9995:
		return strconv.FormatFloat(seconds*1000, 'f', decimals(seconds*1000)/2, 64) + " ms"
	case abs < 60:
		return strconv.FormatFloat(seconds, 'f', 2, 64) + " s"
	case abs < 3600:
		return fmt.Sprintf("%d min %02d s", int64(seconds)/60, int64(abs)%60)
	case abs < 48*3600:
		return fmt.Sprintf("%d h %02d min", int64(seconds)/3600, int64(abs)/60%60)
	}
	return strconv.FormatFloat(seconds/86400, 'f', 1, 64) + " d"
}

// printable takes out what would move a terminal's cursor or change its colours.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

const (
	// tableRows is how many rows a table for people, or a chart, holds.
	tableRows = 10_000
	cellWidth = 48 // columns of the terminal; a longer text is cut
)

// WriteTable lays out an answer for a terminal and answers how many rows it shows: at most 10,000, and a line below says when there are more. Amounts are shown in their
// currency's unit, durations and shares with theirs.
func WriteTable(w io.Writer, a *Answer) (rows int64, err error) {
	var lines [][]string
	wide := make([]int, len(a.columns))
	note := func(line []string) {
		for i, s := range line {
			if cells(s) > cellWidth {
				line[i] = cut(s, cellWidth)
			}
			wide[i] = max(wide[i], cells(line[i]))
		}
		lines = append(lines, line)
	}
	head := make([]string, len(a.columns))
	for i, c := range a.columns {
		head[i] = printable(c.title())
	}
	note(head)
	more := false
	for a.Next() {
		if rows == tableRows {
			more = true
			break
		}
		code := a.currencyOf()
		line := make([]string, len(a.columns))
		for i := range a.columns {
			line[i] = a.shown(i, code)
		}
		note(line)
		rows++
	}
	if err := a.Err(); err != nil {
		return rows, err
	}
	return rows, a.layOut(w, lines, wide, more)
}

func (a *Answer) layOut(w io.Writer, lines [][]string, wide []int, more bool) error {
	out := bufio.NewWriter(w)
	rule := make([]string, len(wide))
	for i, n := range wide {
		rule[i] = strings.Repeat("─", n)
	}
	for n, line := range lines {
		for i, s := range line {
			pad := strings.Repeat(" ", wide[i]-cells(s))
			if line[i] = s + pad; a.columns[i].kind.numeric() {
				line[i] = pad + s
			}
		}
		fmt.Fprintln(out, strings.TrimRight(strings.Join(line, "  "), " "))
		if n == 0 {
			fmt.Fprintln(out, strings.Join(rule, "  "))
		}
	}
	switch {
	case len(lines) == 1:
		fmt.Fprintln(out, "(no rows)")
	case more:
		fmt.Fprintf(out, "… more than %s rows; -o csv, json or parquet has them all\n", thousands(strconv.Itoa(tableRows)))
	}
	return out.Flush()
}

// cells is how many columns of a terminal a text takes.
func cells(s string) (n int) {
	for _, r := range s {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

// cut ends a text with … so that it takes at most so many columns.
func cut(s string, most int) string {
	n := 0
	for i, r := range s {
		if n += runeCells(r); n > most-1 {
			return s[:i] + "…"
		}
	}
	return s
}

package clickhouse

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/cespare/xxhash/v2"
)

// kind of a column, as the sink sends it.
type kind uint8

const (
	text    kind = iota // String, LowCardinality(String) or Enum8: sent as text
	number              // Int64
	instant             // DateTime64(3, 'UTC'): milliseconds since 1970
)

// column of a table.
type column struct {
	name string
	kind kind
}

// block is rows of one table by column, as ClickHouse takes them. A row is written value by value in the order of the table's columns.
type block struct {
	columns []column
	texts   [][]string // of the text columns, by place
	numbers [][]int64  // of all others
	at      int        // column of the next value
	rows    int
	bytes   int
}

func newBlock(columns []column) *block {
	return &block{columns: columns, texts: make([][]string, len(columns)), numbers: make([][]int64, len(columns))}
}

// reset empties the block and keeps its memory, unless it used less than a quarter of it: false.
func (b *block) reset() bool {
	for c := range b.columns {
		if have := cap(b.texts[c]) + cap(b.numbers[c]); have > 4*b.rows {
			return false
		}
		clear(b.texts[c]) // the messages that they are of may go
		b.texts[c], b.numbers[c] = b.texts[c][:0], b.numbers[c][:0]
	}
	b.rows, b.bytes = 0, 0
	return true
}

func (b *block) str(values ...string) {
	for _, v := range values {
		b.texts[b.next(text)] = append(b.texts[b.at-1], v)
		b.bytes += len(v) + 16
	}
}

func (b *block) int(values ...int64) {
	for _, v := range values {
		b.numbers[b.next(number)] = append(b.numbers[b.at-1], v)
		b.bytes += 8
	}
}

func (b *block) ms(values ...int64) {
	for _, v := range values {
		b.numbers[b.next(instant)] = append(b.numbers[b.at-1], v)
		b.bytes += 8
	}
}

// next moves on to the next column. A value of another kind than its column is a defect of the mapping, so it panics.
func (b *block) next(k kind) int {
	if b.at >= len(b.columns) || b.columns[b.at].kind != k {
		panic(fmt.Sprintf("clickhouse: value %d of a row of (%s) is of another kind than its column", b.at, names(b.columns)))
	}
	b.at++
	return b.at - 1
}

// end ends the row.
func (b *block) end() {
	if b.at != len(b.columns) {
		panic(fmt.Sprintf("clickhouse: a row of (%s) has %d values", names(b.columns), b.at))
	}
	b.at = 0
	b.rows++
}

// append hands the block's columns to an insert.
func (b *block) append(to driver.Batch) error {
	for i, c := range b.columns {
		var values any = b.numbers[i]
		if c.kind == text {
			values = b.texts[i]
		}
		if err := to.Column(i).Append(values); err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
	}
	return nil
}

// digest is a sum over the rows, so their order does not matter, and a row that is there twice counts twice.
type digest struct {
	Rows uint64
	Hash uint64 // Σ xxHash64 of the rows, modulo 2^64
}

func (d *digest) add(o digest) { d.Rows, d.Hash = d.Rows+o.Rows, d.Hash+o.Hash }

// row hashes row i. digestSQL says the same to ClickHouse.
func (b *block) row(i int, scratch []byte) (digest, []byte) {
	scratch = scratch[:0]
	for c := range b.columns {
		if b.columns[c].kind == text {
			scratch = append(scratch, b.texts[c][i]...)
		} else {
			scratch = strconv.AppendInt(scratch, b.numbers[c][i], 10)
		}
		scratch = append(scratch, 0x1f)
	}
	return digest{1, xxhash.Sum64(scratch)}, scratch
}

// digestSQL is the expression of a row's hash: every column as text, each followed by the unit separator.
func digestSQL(columns []column) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		switch c.kind {
		case instant:
			parts[i] = "toString(toUnixTimestamp64Milli(" + c.name + "))"
		default:
			parts[i] = "toString(" + c.name + ")"
		}
	}
	return `xxHash64(concat(` + strings.Join(parts, `, '\x1f', `) + `, '\x1f'))`
}

func names(columns []column) string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = c.name
	}
	return strings.Join(all, ", ")
}

// copy row i of another block of the same table.
func (b *block) copy(from *block, i int) {
	for c := range b.columns {
		if b.columns[c].kind == text {
			b.texts[c] = append(b.texts[c], from.texts[c][i])
			b.bytes += len(from.texts[c][i]) + 16
		} else {
			b.numbers[c] = append(b.numbers[c], from.numbers[c][i])
			b.bytes += 8
		}
	}
	b.rows++
}

package desk

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Column of an answer.
type Column struct {
	Name string `json:"name"` // unique within the answer
	Type string `json:"type"` // as ClickHouse calls it: Int64, DateTime64(3, 'UTC'), LowCardinality(String), …
	Unit Unit   `json:"unit"` // empty: the name and the type say it all

	kind     kind
	nullable bool
}

// kind is what a column's values are to an encoder.
type kind int

const (
	text  kind = iota
	whole      // signed, 64 bits
	count      // unsigned, 64 bits
	real
	yesNo
	moment // milliseconds or finer, UTC
	day
	number // decimal digits: wider than 64 bits, or a Decimal
	other  // arrays, maps, tuples: as JSON
)

// numeric tells whether values are set to the right.
func (k kind) numeric() bool { return k == whole || k == count || k == real || k == number }

// cell is one value; which field counts says the kind of its column.
type cell struct {
	null bool
	i    int64 // also yesNo: 0 or 1
	u    uint64
	f    float64
	s    string // text, number, other
	t    time.Time
}

// Rows are what clickhouse-go answers a query with.
type Rows interface {
	Next() bool
	Scan(into ...any) error
	ColumnTypes() []driver.ColumnType
	Err() error
	Close() error
}

// Answer is the result of a statement, which comes row by row: only the block that the driver holds and the current row are in memory.
type Answer struct {
	columns []Column
	rows    Rows
	into    []any
	cells   []cell
	err     error
	most    int64 // rows that are wanted; 0: all
	read    int64
	cut     bool // there are more than were wanted
}

// Limit ends the answer after so many rows; see Cut.
func (a *Answer) Limit(rows int64) { a.most = rows }

// Cut tells, after the last row, whether there would have been more.
func (a *Answer) Cut() bool { return a.cut }

// NewAnswer reads rows, which may be nil: columns without a row.
func NewAnswer(rows Rows, columns ...Column) *Answer {
	a := &Answer{columns: columns, rows: rows}
	if rows != nil {
		seen := map[string]int{}
		for _, t := range rows.ColumnTypes() {
			c := columnOf(t.Name(), t.DatabaseTypeName())
			if seen[c.Name]++; seen[c.Name] > 1 { // SELECT 1, 1: names of JSON and Parquet are unique
				c.Name += "_" + strconv.Itoa(seen[c.Name])
			}
			a.columns = append(a.columns, c)
			a.into = append(a.into, reflect.New(t.ScanType()).Interface())
		}
	}
	a.cells = make([]cell, len(a.columns))
	return a
}

// Columns of the answer, in their order.
func (a *Answer) Columns() []Column { return a.columns }

// Next moves to the next row; false at the end or at an error, see Err.
func (a *Answer) Next() bool {
	if a.rows == nil || a.err != nil || !a.rows.Next() {
		return false
	}
	if a.cut = a.most > 0 && a.read == a.most; a.cut {
		return false
	}
	a.read++
	if a.err = a.rows.Scan(a.into...); a.err != nil {
		return false
	}
	for i := range a.cells {
		a.cells[i] = cellOf(a.columns[i].kind, a.into[i])
	}
	return true
}

// Err is why Next answered false before the end; nil at the end.
func (a *Answer) Err() error {
	if a.err != nil || a.rows == nil {
		return a.err
	}
	return a.rows.Err()
}

// Close ends the statement when it is not at its end.
func (a *Answer) Close() error {
	if a.rows == nil {
		return nil
	}
	return a.rows.Close()
}

// columnOf sorts a type of ClickHouse.
func columnOf(name, typ string) Column {
	c := Column{Name: name, Type: typ}
	bare := typ
	for {
		inner, wrapped := strings.CutPrefix(bare, "LowCardinality(")
		if !wrapped {
			if inner, wrapped = strings.CutPrefix(bare, "Nullable("); wrapped {
				c.nullable = true
			}
		}
		if !wrapped {
			break
		}
		bare = strings.TrimSuffix(inner, ")")
	}
	if inner, ok := strings.CutPrefix(bare, "SimpleAggregateFunction("); ok {
		_, inner, _ = strings.Cut(strings.TrimSuffix(inner, ")"), ", ")
		inside := columnOf(name, inner)
		inside.Type, inside.nullable = typ, c.nullable || inside.nullable
		return inside
	}
	base, _, _ := strings.Cut(bare, "(")
	switch base {
	case "Int8", "Int16", "Int32", "Int64":
		c.kind = whole
	case "UInt8", "UInt16", "UInt32", "UInt64":
		c.kind = count
	case "Float32", "Float64", "BFloat16":
		c.kind = real
	case "Bool":
		c.kind = yesNo
	case "DateTime", "DateTime32", "DateTime64":
		c.kind = moment
	case "Date", "Date32":
		c.kind = day
	case "Int128", "Int256", "UInt128", "UInt256", "Decimal", "Decimal32", "Decimal64", "Decimal128", "Decimal256":
		c.kind = number
	case "Array", "Map", "Tuple", "Nested", "JSON", "Object", "Variant", "Dynamic", "Point", "Ring", "Polygon", "MultiPolygon", "LineString", "MultiLineString", "Geometry", "Nothing":
		c.kind = other
	default:
		c.kind = text
	}
	c.Unit = unitOf(name, c.kind)
	return c
}

// cellOf reads what Scan has put behind a pointer. A number that is none, such as the average of nothing, is no value.
func cellOf(k kind, at any) cell {
	switch p := at.(type) { // what reports are made of, without reflection
	case *int64:
		return cell{i: *p}
	case *uint64:
		return cell{u: *p}
	case *float64:
		return cell{f: *p, null: math.IsNaN(*p) || math.IsInf(*p, 0)}
	case *string:
		return cell{s: *p}
	case *time.Time:
		return cell{t: p.UTC()}
	}
	v := reflect.ValueOf(at).Elem()
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return cell{null: true}
		}
		if _, is := v.Interface().(fmt.Stringer); is && k == number {
			break
		}
		v = v.Elem()
	}
	return reflected(k, v)
}

func reflected(k kind, v reflect.Value) cell {
	switch {
	case k == whole && v.CanInt():
		return cell{i: v.Int()}
	case k == count && v.CanUint():
		return cell{u: v.Uint()}
	case k == real && v.CanFloat():
		f := v.Float()
		return cell{f: f, null: math.IsNaN(f) || math.IsInf(f, 0)}
	case k == yesNo && v.Kind() == reflect.Bool:
		if v.Bool() {
			return cell{i: 1}
		}
		return cell{}
	case (k == moment || k == day) && v.Type() == reflect.TypeFor[time.Time]():
		return cell{t: v.Interface().(time.Time).UTC()}
	case k == other:
		return cell{s: string(appendNested(nil, v))}
	case v.Kind() == reflect.String:
		return cell{s: v.String()}
	}
	return cell{s: fmt.Sprint(v.Interface())}
}

// appendNested writes arrays, maps and tuples as JSON, what is in them as far as it can be told.
func appendNested(b []byte, v reflect.Value) []byte {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return append(b, "null"...)
		}
		v = v.Elem()
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		return append(v.Interface().(time.Time).UTC().AppendFormat(append(b, '"'), rfc3339), '"')
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array && v.Type().Elem().Kind() != reflect.Uint8: // an array of bytes is an address or a UUID
		b = append(b, '[')
		for i := range v.Len() {
			b = appendNested(comma(b, i), v.Index(i))
		}
		return append(b, ']')
	case v.Kind() == reflect.Map:
		names := map[string]reflect.Value{}
		for key, value := range v.Seq2() {
			names[fmt.Sprint(key.Interface())] = value
		}
		b = append(b, '{')
		for i, name := range slices.Sorted(maps.Keys(names)) {
			b = appendNested(append(quoted(comma(b, i), name), ':'), names[name])
		}
		return append(b, '}')
	case v.Kind() == reflect.String:
		return quoted(b, v.String())
	}
	if one, err := json.Marshal(v.Interface()); err == nil {
		return append(b, one...)
	}
	return quoted(b, fmt.Sprint(v.Interface()))
}

// String is the value as plain text: CSV, and what is not formatted for people.
func (c cell) String(k kind) string { return string(c.append(nil, k)) }

func (c cell) append(b []byte, k kind) []byte {
	if c.null {
		return b
	}
	switch k {
	case whole:
		return strconv.AppendInt(b, c.i, 10)
	case count:
		return strconv.AppendUint(b, c.u, 10)
	case real:
		return strconv.AppendFloat(b, c.f, 'g', -1, 64)
	case yesNo:
		return strconv.AppendBool(b, c.i != 0)
	case moment:
		return c.t.AppendFormat(b, rfc3339)
	case day:
		return c.t.AppendFormat(b, time.DateOnly)
	}
	return append(b, c.s...)
}

// rfc3339 shows as many digits of the second as there are, such as 2026-05-01T10:00:00.123Z.
const rfc3339 = "2006-01-02T15:04:05.999999999Z07:00"

// float is the value for a chart's axis; false: it has none.
func (c cell) float(k kind) (float64, bool) {
	if c.null {
		return 0, false
	}
	switch k {
	case whole:
		return float64(c.i), true
	case count:
		return float64(c.u), true
	case real:
		return c.f, true
	case number:
		f, err := strconv.ParseFloat(c.s, 64)
		return f, err == nil
	}
	return 0, false
}

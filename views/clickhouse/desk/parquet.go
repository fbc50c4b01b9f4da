package desk

import (
	"cmp"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// Rows of a group, and of one call of the writer.
const (
	groupRows = 20_000
	callRows  = 500
)

// ordered is a group whose columns stand in the order of the answer; a bare one has them by the alphabet.
type ordered struct {
	parquet.Group
	place map[string]int
}

func (o ordered) Fields() []parquet.Field {
	fields := o.Group.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int { return cmp.Compare(o.place[a.Name()], o.place[b.Name()]) })
	return fields
}

// WriteParquet streams an Apache Parquet file, row group by row group, and answers how many rows there were. Columns are INT64 (unsigned ones say so), DOUBLE, BOOLEAN,
// TIMESTAMP in milliseconds UTC, DATE, and UTF-8 strings for the rest; those that may lack a value are optional. A file without its end is no file to any reader.
func WriteParquet(w io.Writer, a *Answer, about About) (rows int64, err error) {
	group := ordered{parquet.Group{}, map[string]int{}}
	optional := make([]bool, len(a.columns))
	for i, c := range a.columns {
		node := parquetNode(c.kind)
		if optional[i] = c.nullable || c.kind == real || c.kind == other; optional[i] {
			node = parquet.Optional(node)
		}
		group.Group[c.Name] = parquet.Compressed(node, &parquet.Zstd)
		group.place[c.Name] = i
	}
	out := parquet.NewWriter(w, parquet.NewSchema(cmp.Or(about.Report, "rows"), group), parquet.MaxRowsPerRowGroup(groupRows), parquet.CreatedBy("oms", "", ""))
	for name, value := range about.Params {
		out.SetKeyValueMetadata("oms."+name, value)
	}
	batch := make([]parquet.Row, 0, callRows)
	write := func() error {
		_, err := out.WriteRows(batch)
		batch = batch[:0]
		return err
	}
	for ; a.Next(); rows++ {
		batch = batch[:len(batch)+1]
		row := batch[len(batch)-1][:0]
		for i, c := range a.cells {
			row = append(row, parquetValue(c, a.columns[i].kind, optional[i]).Level(0, defined(optional[i], c.null), i))
		}
		batch[len(batch)-1] = row
		if len(batch) == callRows {
			if err := write(); err != nil {
				return rows, err
			}
		}
	}
	if err := a.Err(); err != nil {
		return rows, err
	}
	if err := write(); err != nil {
		return rows, err
	}
	return rows, out.Close()
}

func defined(optional, null bool) int {
	if optional && !null {
		return 1
	}
	return 0
}

func parquetNode(k kind) parquet.Node {
	switch k {
	case whole:
		return parquet.Int(64)
	case count:
		return parquet.Uint(64)
	case real:
		return parquet.Leaf(parquet.DoubleType)
	case yesNo:
		return parquet.Leaf(parquet.BooleanType)
	case moment:
		return parquet.Timestamp(parquet.Millisecond)
	case day:
		return parquet.Date()
	}
	return parquet.String()
}

func parquetValue(c cell, k kind, optional bool) parquet.Value {
	if c.null && optional {
		return parquet.NullValue()
	}
	switch k {
	case whole:
		return parquet.Int64Value(c.i)
	case count:
		return parquet.Int64Value(int64(c.u))
	case real:
		return parquet.DoubleValue(c.f)
	case yesNo:
		return parquet.BooleanValue(c.i != 0)
	case moment:
		return parquet.Int64Value(c.t.UnixMilli())
	case day:
		return parquet.Int32Value(int32(c.t.Unix() / 86400))
	}
	return parquet.ByteArrayValue([]byte(c.s))
}

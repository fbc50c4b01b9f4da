package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/schemas"
	"oms/topics"
)

// cell is what is compared: the rows that one partition of a topic brought into one hour of a table.
type cell struct {
	Topic     string
	Partition int32
	Hour      int64 // Unix hours of the table's time; 0 where a table has none
}

func (c cell) String() string {
	if c.Hour == 0 {
		return fmt.Sprintf("%s/%d", c.Topic, c.Partition)
	}
	return fmt.Sprintf("%s/%d in the hour of %s", c.Topic, c.Partition, time.Unix(c.Hour*3600, 0).UTC().Format("2006-01-02T15:04Z"))
}

// sums of a cell, or of a table: count, digest of every column, and sums of the columns that people ask for.
type sums struct {
	digest
	Of []int64
}

func (s *sums) add(o sums) {
	s.digest.add(o.digest)
	if s.Of == nil {
		s.Of = make([]int64, len(o.Of))
	}
	for i := range o.Of {
		s.Of[i] += o.Of[i]
	}
}

func (s sums) equal(o sums) bool {
	return s.digest == o.digest && (s.Rows == 0 || slices.Equal(s.Of, o.Of))
}

// Verify compares every table with the topics that it is filled from: per partition and hour the count, the sums and a digest of all columns that does not depend on
// the order of rows. It compares what the topics hold up to where the tables stand when it begins, so a sink may run meanwhile. say is told what is being read.
func (s *Sink) Verify(ctx context.Context, say func(string)) (report Report, err error) {
	if err := checkSchema(ctx, s.conn); err != nil {
		return report, err
	}
	if report.Filler, err = s.lead.filler(ctx); err != nil {
		return report, err
	}
	m, err := remember(ctx, s.conn)
	if err != nil {
		return report, err
	}
	log, err := s.cfg.Kafka.NewReader(ctx, kafka.From{}, topicNames()...)
	if err != nil {
		return report, err
	}
	defer log.Close()
	h := held{from: log.Next(), to: m.done}
	ends, err := log.Ends(ctx)
	if err != nil {
		return report, err
	}
	if len(m.undone) > 0 { // of a sink that is at it right now, or of one that was killed
		say(fmt.Sprintf("%d inserts are under way; what they bring is left out", len(m.undone)))
	}
	say("reading the topics")
	want, err := s.expected(ctx, log, h, nil)
	if err != nil {
		return report, err
	}
	for _, t := range tables {
		say("asking " + t.name)
		v, err := s.judge(ctx, t, h, want[t])
		if err != nil {
			return report, fmt.Errorf("%s: %w", t.name, err)
		}
		v.Behind = h.behind(t, ends)
		if report.Filler == "" && len(m.undone) == 0 {
			if err := s.conn.QueryRow(ctx, fmt.Sprintf("SELECT count() FROM %s WHERE NOT %s", t.name, h.before(t))).Scan(&v.Beyond); err != nil {
				return report, err
			}
		}
		report.Tables = append(report.Tables, v)
	}
	return report, nil
}

// tally of one table, as the topics have it.
type tally struct {
	cells map[cell]sums
	rows  map[string]keyed // of a table that keeps the newest version only: by key
	found map[int64]digest // of the one cell that is looked into: by offset
}

// keyed is the newest row of a key.
type keyed struct {
	sums
	at            cell
	offset, newer int64 // newer: its version
}

// replaces tells whether the table keeps only the newest version of a key, which has no hour then.
func (t *table) replaces() bool { return t.name == "orders_now" || t.name == "products" }

// expected reads what the topics hold up to where the tables stand. With a cell to look into, only that cell of its table is kept, by offset.
func (s *Sink) expected(ctx context.Context, log *kafka.Reader, h held, into *question) (map[*table]*tally, error) {
	all := map[*table]*tally{}
	for _, t := range tables {
		all[t] = &tally{cells: map[cell]sums{}, rows: map[string]keyed{}, found: map[int64]digest{}}
	}
	var scratch []byte
	err := log.To(ctx, h.ends(), func(rec *kgo.Record) error {
		if err := fromNewer(rec); err != nil {
			return err
		}
		b := newBatch()
		b.put(rec, func(t *table) bool { return h.has(t, rec) && (into == nil || into.table == t) })
		for t, bl := range b.blocks {
			for i := range bl.rows {
				scratch = all[t].count(t, bl, i, rec, into, scratch)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		for _, row := range t.rows {
			c := t.cells[row.at]
			c.add(row.sums)
			t.cells[row.at] = c
		}
	}
	return all, nil
}

// count takes row i of the block.
func (a *tally) count(t *table, b *block, i int, rec *kgo.Record, into *question, scratch []byte) []byte {
	one := sums{Of: make([]int64, len(t.sums))}
	one.digest, scratch = b.row(i, scratch)
	for n, name := range t.sums {
		one.Of[n] = b.number(name, i)
	}
	at := cell{Topic: rec.Topic, Partition: rec.Partition}
	if t.time != "" {
		at.Hour = b.number(t.time, i) / 3_600_000
	}
	switch {
	case t == deadLetters && rec.Topic == topics.OrdersTable.Name: // a row that was replaced within a batch is not looked at, readable or not
	case into != nil:
		if into.at == at {
			d := a.found[rec.Offset]
			d.add(one.digest)
			a.found[rec.Offset] = d
		}
	case t.replaces():
		if version := b.number("version", i); version >= a.rows[string(rec.Key)].newer {
			a.rows[string(rec.Key)] = keyed{one, at, rec.Offset, version}
		}
	default:
		c := a.cells[at]
		c.add(one)
		a.cells[at] = c
	}
	return scratch
}

// number in row i of a column that is no text.
func (b *block) number(name string, i int) int64 {
	for c := range b.columns {
		if b.columns[c].name == name {
			return b.numbers[c][i]
		}
	}
	panic("clickhouse: no column " + name)
}

// compared is the condition that a row is compared. Not those that cannot be: of a row that was replaced within a batch nobody looked whether it is readable.
func (h held) compared(t *table) string {
	if t == deadLetters {
		return h.rows(t) + " AND _topic != '" + topics.OrdersTable.Name + "'"
	}
	return h.rows(t)
}

// judge compares one table.
func (s *Sink) judge(ctx context.Context, t *table, h held, want *tally) (v Verdict, err error) {
	v = Verdict{Table: t.name}
	have, moved, err := s.stored(ctx, t, h)
	if err != nil {
		return v, err
	}
	want.drop(moved)
	if t.time != "" && s.cfg.Keep > 0 { // what is older may be gone, and may be there until a merge
		oldest := time.Now().Add(-s.cfg.Keep).Unix()/3600 + 1
		for _, side := range []map[cell]sums{want.cells, have} {
			maps.DeleteFunc(side, func(at cell, _ sums) bool { return at.Hour < oldest })
		}
	}
	var total sums
	var differ []cell
	for at, w := range want.cells {
		total.add(w)
		if !w.equal(have[at]) {
			differ = append(differ, at)
		}
	}
	for at, rows := range have {
		if _, known := want.cells[at]; !known && rows.Rows > 0 {
			differ = append(differ, at)
		}
	}
	v.Rows, v.Cells, v.Different = total.Rows, len(want.cells), len(differ)
	for i, name := range t.sums {
		if total.Of != nil {
			v.Sums = append(v.Sums, Sum{name, total.Of[i]})
		}
	}
	if !t.replaces() {
		if err := s.conn.QueryRow(ctx, fmt.Sprintf(`SELECT toUInt64(greatest(0, (SELECT count() FROM %[1]s WHERE %[2]s) - (SELECT count() FROM %[1]s FINAL WHERE %[2]s)))`, t.name, h.compared(t))).Scan(&v.Duplicates); err != nil {
			return v, err
		}
	}
	if len(differ) == 0 {
		return v, nil
	}
	slices.SortFunc(differ, func(a, b cell) int {
		return strings.Compare(fmt.Sprintf("%020d%v", a.Hour, a), fmt.Sprintf("%020d%v", b.Hour, b))
	})
	v.First, err = s.explain(ctx, t, differ[0], h, want.cells[differ[0]], have[differ[0]])
	return v, err
}

// stored asks ClickHouse for the cells of a table, and for the keys that have moved beyond where it stood: both in one question, since a sink may be at work.
func (s *Sink) stored(ctx context.Context, t *table, h held) (all map[cell]sums, moved []string, err error) {
	hour, key, where := "toInt64(0)", "''", h.compared(t)
	if t.time != "" {
		hour = "toInt64(intDiv(toUnixTimestamp64Milli(" + t.time + "), 3600000))"
	}
	switch {
	case t.replaces() && t.name == "products":
		where, key = "1", "if(tenant IN ('', '"+schemas.DefaultTenant+"'), product_id, concat(tenant, '/', product_id))" // schemas.ProductKey
	case t.replaces():
		where, key = "1", "order_id"
	}
	sum := ""
	for _, name := range t.sums {
		sum += ", sumIf(" + name + ", here)"
	}
	rows, err := s.conn.Query(ctx, fmt.Sprintf(`WITH %s AS here SELECT _topic, toInt32(_partition), %s AS hour, countIf(here), sumIf(%s, here)%s, groupArrayIf(%s, NOT here) FROM %s FINAL WHERE %s GROUP BY _topic, _partition, hour`,
		h.compared(t), hour, digestSQL(t.columns), sum, key, t.name, where))
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	all = map[cell]sums{}
	for rows.Next() {
		var at cell
		var keys []string
		got := sums{Of: make([]int64, len(t.sums))}
		into := []any{&at.Topic, &at.Partition, &at.Hour, &got.Rows, &got.Hash}
		for i := range got.Of {
			into = append(into, &got.Of[i])
		}
		if err := rows.Scan(append(into, &keys)...); err != nil {
			return nil, nil, err
		}
		all[at], moved = got, append(moved, keys...)
	}
	return all, moved, rows.Err()
}

// drop takes keys out of the expectation whose newest row is beyond where the table stood: only that one is there to be seen, and it is another verify's.
func (a *tally) drop(moved []string) {
	for _, key := range moved {
		if row, ok := a.rows[key]; ok {
			c := a.cells[row.at]
			c.Rows, c.Hash = c.Rows-row.Rows, c.Hash-row.Hash
			for i := range c.Of {
				c.Of[i] -= row.Of[i]
			}
			a.cells[row.at] = c
			delete(a.rows, key)
		}
	}
}

// question is one cell that is looked into.
type question struct {
	table *table
	at    cell
}

// explain says what the first difference of a cell is.
func (s *Sink) explain(ctx context.Context, t *table, at cell, h held, want, have sums) (string, error) {
	where := fmt.Sprintf("%s: %s: the topic has %d rows %v, ClickHouse %d rows %v", t.name, at, want.Rows, want.Of, have.Rows, have.Of)
	if t.replaces() {
		return where, nil
	}
	log, err := s.cfg.Kafka.NewReader(ctx, kafka.From{}, at.Topic)
	if err != nil {
		return where, err
	}
	defer log.Close()
	all, err := s.expected(ctx, log, held{h.from, map[*table]kafka.Offsets{t: {at.Topic: h.to[t][at.Topic]}}}, &question{t, at})
	if err != nil {
		return where, err
	}
	cond := h.compared(t) + fmt.Sprintf(" AND _topic = '%s' AND _partition = %d", at.Topic, at.Partition)
	if t.time != "" {
		cond += fmt.Sprintf(" AND intDiv(toUnixTimestamp64Milli(%s), 3600000) = %d", t.time, at.Hour)
	}
	rows, err := s.conn.Query(ctx, fmt.Sprintf(`SELECT _offset, count(), sum(%s) FROM %s FINAL WHERE %s GROUP BY _offset ORDER BY _offset`, digestSQL(t.columns), t.name, cond))
	if err != nil {
		return where, err
	}
	defer rows.Close()
	found := all[t].found
	first, what := int64(-1), ""
	worse := func(offset int64, text string) {
		if first < 0 || offset < first {
			first, what = offset, text
		}
	}
	for rows.Next() {
		var offset int64
		var d digest
		if err := rows.Scan(&offset, &d.Rows, &d.Hash); err != nil {
			return where, err
		}
		switch w, ok := found[offset]; {
		case !ok:
			worse(offset, "ClickHouse has rows of it, the topic has none")
		case w.Rows != d.Rows:
			worse(offset, fmt.Sprintf("the topic has %d rows of it, ClickHouse %d", w.Rows, d.Rows))
		case w != d:
			worse(offset, "its rows have other values in ClickHouse")
		}
		delete(found, offset)
	}
	for offset := range found {
		worse(offset, "it is missing in ClickHouse")
	}
	return fmt.Sprintf("%s; first at offset %d: %s", where, first, what), rows.Err()
}

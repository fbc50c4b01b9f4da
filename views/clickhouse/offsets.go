package clickhouse

import (
	"context"
	"fmt"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"oms/internal/kafka"
)

// span is a range of offsets of one partition.
type span struct {
	topic       string
	partition   int32
	first, next int64 // first ≤ offsets < next
}

// intent is one insert into one table: the records of its spans under its token.
type intent struct {
	table *table
	seq   uint64
	token string // empty: there is nothing to insert
	spans []span
}

// bounds of its spans: from ≤ offsets < to.
func (i intent) bounds() (from, to kafka.Offsets) {
	from, to = kafka.Offsets{}, kafka.Offsets{}
	for _, s := range i.spans {
		set(from, s.topic, s.partition, s.first)
		set(to, s.topic, s.partition, s.next)
	}
	return from, to
}

// memory is what sink_offsets says.
type memory struct {
	done   map[*table]kafka.Offsets // where each table stands
	undone []intent                 // inserts of which nobody knows the outcome; each under a token of its own
}

func named(name string, value any) driver.NamedValue { return ch.Named(name, value) }

// remember reads how far the tables are.
func remember(ctx context.Context, conn driver.Conn) (m memory, err error) {
	m.done = map[*table]kafka.Offsets{}
	byName := map[string]*table{}
	for _, t := range tables {
		m.done[t], byName[t.name] = kafka.Offsets{}, t
	}
	rows, err := conn.Query(ctx, `SELECT table_name, topic, toInt32(partition), state = 'done', seq, first_offset, next_offset, token FROM sink_offsets FINAL ORDER BY table_name, topic, partition`)
	if err != nil {
		return m, err
	}
	defer rows.Close()
	type at struct {
		table     *table
		topic     string
		partition int32
	}
	done, intents := map[at]uint64{}, map[at]intent{}
	for rows.Next() {
		var name string
		var isDone uint8
		var s span
		var i intent
		if err := rows.Scan(&name, &s.topic, &s.partition, &isDone, &i.seq, &s.first, &s.next, &i.token); err != nil {
			return m, err
		}
		if i.table = byName[name]; i.table == nil { // of another build; the schema's version speaks for itself
			continue
		}
		i.spans = []span{s}
		if key := (at{i.table, s.topic, s.partition}); isDone == 1 {
			done[key] = i.seq
			set(m.done[i.table], s.topic, s.partition, s.next)
		} else {
			intents[key] = i
		}
	}
	undone := map[string]*intent{} // by token: two inserts into one table are repeated as two
	for key, i := range intents {
		switch u := undone[i.token]; {
		case i.seq <= done[key]:
		case u == nil:
			undone[i.token] = &i
		default:
			u.spans = append(u.spans, i.spans...)
		}
	}
	for _, i := range undone {
		m.undone = append(m.undone, *i)
	}
	return m, rows.Err()
}

func set(o kafka.Offsets, topic string, partition int32, at int64) {
	if o[topic] == nil {
		o[topic] = map[int32]int64{}
	}
	o[topic][partition] = at
}

// note writes that inserts are done and that others are about to be, as one insert of one block, which stands whole or not at all.
func note(ctx context.Context, conn driver.Conn, done, intents []intent) error {
	var name, topic, state, token []string
	var partition, first, next []int64
	var seq []uint64
	add := func(what string, list []intent) {
		for _, i := range list {
			for _, s := range i.spans {
				name, topic, state, token = append(name, i.table.name), append(topic, s.topic), append(state, what), append(token, i.token)
				partition, first, next, seq = append(partition, int64(s.partition)), append(first, s.first), append(next, s.next), append(seq, i.seq)
			}
		}
	}
	add("done", done)
	add("intent", intents)
	if len(name) == 0 {
		return nil
	}
	batch, err := conn.PrepareBatch(ch.Context(ctx, ch.WithColumnNamesAndTypes([]ch.ColumnNameAndType{{Name: "table_name", Type: "String"}, {Name: "topic", Type: "String"},
		{Name: "partition", Type: "Int64"}, {Name: "state", Type: "Enum8('intent' = 1, 'done' = 2)"}, {Name: "seq", Type: "UInt64"}, {Name: "first_offset", Type: "Int64"},
		{Name: "next_offset", Type: "Int64"}, {Name: "token", Type: "String"}}), ch.WithSettings(insertSettings(""))),
		`INSERT INTO sink_offsets (table_name, topic, partition, state, seq, first_offset, next_offset, token)`)
	if err != nil {
		return err
	}
	for i, values := range []any{name, topic, partition, state, seq, first, next, token} {
		if err := batch.Column(i).Append(values); err != nil {
			return fmt.Errorf("sink_offsets: %w", err)
		}
	}
	return batch.Send()
}

// insertSettings: an insert is answered when it stands, one block stays one block a ClickHouse partition, and a token that has been there is not taken again.
func insertSettings(token string) ch.Settings {
	s := ch.Settings{"async_insert": 0, "max_partitions_per_insert_block": 0, "max_insert_block_size": 10 * maxBatchRows, "insert_deduplicate": 0}
	if token != "" {
		s["insert_deduplicate"], s["insert_deduplication_token"] = 1, token
	}
	return s
}

// insert the rows under the token.
func insert(ctx context.Context, conn driver.Conn, into string, b *block, token string) error {
	wire := make([]ch.ColumnNameAndType, len(b.columns))
	for i, c := range b.columns { // as text: what LowCardinality and Enum columns hold is encoded faster by ClickHouse than here
		wire[i] = ch.ColumnNameAndType{Name: c.name, Type: [...]string{text: "String", number: "Int64", instant: "DateTime64(3, 'UTC')"}[c.kind]}
	}
	batch, err := conn.PrepareBatch(ch.Context(ctx, ch.WithColumnNamesAndTypes(wire), ch.WithSettings(insertSettings(token))), "INSERT INTO "+into+" ("+names(b.columns)+")")
	if err != nil {
		return err
	}
	if err := b.append(batch); err != nil {
		return err
	}
	return batch.Send()
}

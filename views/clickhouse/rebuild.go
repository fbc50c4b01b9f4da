package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
)

// Rebuild says what is filled again from the topics.
type Rebuild struct {
	From, To time.Time // of the tables' time: From ≤ t < To. Both zero: everything, which is also how tables without a time are rebuilt
	Tables   []string  // none: every table that has a time, or every table when From and To are zero
}

// whole tells whether tables are replaced as a whole.
func (r Rebuild) whole() bool { return r.From.IsZero() && r.To.IsZero() }

// check answers the tables that are meant.
func (r Rebuild) check() (list []*table, err error) {
	if !r.whole() && (r.From.IsZero() || r.To.IsZero()) {
		return nil, fmt.Errorf("--from and --to: want both, or neither for everything")
	}
	if !r.whole() && !r.From.Before(r.To) {
		return nil, fmt.Errorf("--from %s, --to %s: want a time before another", r.From.Format(time.RFC3339), r.To.Format(time.RFC3339))
	}
	for _, name := range r.Tables {
		at := slices.IndexFunc(tables, func(t *table) bool { return t.name == name })
		switch {
		case at < 0:
			return nil, fmt.Errorf("--table %s: want one of %s", name, strings.Join(tableNames(), ", "))
		case tables[at].time == "" && !r.whole():
			return nil, fmt.Errorf("--table %s: its rows have no time of their own: rebuild it without --from and --to", name)
		}
		list = append(list, tables[at])
	}
	if len(list) == 0 {
		for _, t := range tables {
			if t.time != "" || r.whole() {
				list = append(list, t)
			}
		}
	}
	return list, nil
}

// Plan says what will be done, a line a table.
func (r Rebuild) Plan() ([]string, error) {
	list, err := r.check()
	var lines []string
	for _, t := range list {
		if r.whole() {
			lines = append(lines, t.name+": everything")
		} else {
			lines = append(lines, fmt.Sprintf("%s: %s to %s", t.name, r.From.UTC().Format(time.RFC3339), r.To.UTC().Format(time.RFC3339)))
		}
	}
	return lines, err
}

func tableNames() (all []string) {
	for _, t := range tables {
		all = append(all, t.name)
	}
	return all
}

// Rebuild fills a range of time again from the topics, into shadow tables that then take the place of what was there: of a table all at once within a month, the
// unit that ClickHouse can replace. The sink may run meanwhile; for the last step the rebuild takes the lead, so the sink stands by for a moment.
func (s *Sink) Rebuild(ctx context.Context, r Rebuild, say func(string)) error {
	list, err := r.check()
	if err != nil {
		return err
	}
	if err := checkSchema(ctx, s.conn); err != nil {
		return err
	}
	m, err := remember(ctx, s.conn)
	if err != nil {
		return err
	}
	before := m.done
	for _, t := range list {
		if err := s.shadow(ctx, t, r, before[t]); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	say("reading the topics")
	if err := s.refill(ctx, list, before, func(t *table, b *block, i int) bool {
		if r.whole() {
			return true
		}
		at := time.UnixMilli(b.number(t.time, i))
		return !at.Before(r.From) && at.Before(r.To)
	}); err != nil {
		return err
	}
	say("taking the lead from the sink")
	if err := s.acquire(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go s.lead.beat(ctx, stop)
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = s.lead.release(last) // otherwise the sink waits for the lapse
	}()
	if m, err = remember(ctx, s.conn); err != nil {
		return err
	}
	if err := s.repeat(ctx, m); err != nil {
		return err
	}
	for _, t := range list {
		if err := s.swap(ctx, t, r, before[t]); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		say(t.name + " is rebuilt")
	}
	return nil
}

func shadowOf(t *table) string { return t.name + "_rebuild" }

// months that the range touches, as ClickHouse names the partitions.
func (r Rebuild) months() (all []string) {
	for at := time.Date(r.From.UTC().Year(), r.From.UTC().Month(), 1, 0, 0, 0, 0, time.UTC); at.Before(r.To); at = at.AddDate(0, 1, 0) {
		all = append(all, at.Format("200601"))
	}
	return all
}

// rest is the condition of rows in the months of the range that are not of the range.
func (r Rebuild) rest(t *table) string {
	return fmt.Sprintf("toYYYYMM(%[1]s) IN (%[2]s) AND NOT (%[1]s >= fromUnixTimestamp64Milli(%[3]d) AND %[1]s < fromUnixTimestamp64Milli(%[4]d))",
		t.time, strings.Join(r.months(), ", "), r.From.UnixMilli(), r.To.UnixMilli())
}

// shadow makes the shadow table, with what the range leaves alone and the table had already.
func (s *Sink) shadow(ctx context.Context, t *table, r Rebuild, before kafka.Offsets) error {
	for _, q := range []string{fmt.Sprintf("DROP TABLE IF EXISTS %s", shadowOf(t)), fmt.Sprintf("CREATE TABLE %s AS %s", shadowOf(t), t.name)} {
		if err := s.conn.Exec(ctx, q); err != nil {
			return err
		}
	}
	if r.whole() {
		return nil
	}
	return s.conn.Exec(ctx, fmt.Sprintf("INSERT INTO %s SELECT * FROM %s FINAL WHERE %s AND %s", shadowOf(t), t.name, r.rest(t), stood(before)))
}

// refill puts what the topics have up to the offsets into the shadows.
func (s *Sink) refill(ctx context.Context, list []*table, upTo map[*table]kafka.Offsets, wanted func(*table, *block, int) bool) error {
	ends := kafka.Offsets{}
	for _, t := range list {
		for topic, parts := range upTo[t] {
			for p, at := range parts {
				set(ends, topic, p, max(at, ends[topic][p]))
			}
		}
	}
	r, err := s.cfg.Kafka.NewReader(ctx, kafka.From{}, topicNames()...)
	if err != nil {
		return err
	}
	defer r.Close()
	out := map[*table]*block{}
	for _, t := range list {
		out[t] = newBlock(t.columns)
	}
	for !r.Reached(ends) {
		err := r.Poll(ctx, func(rec *kgo.Record) error {
			b := newBatch()
			b.put(rec, func(t *table) bool { return out[t] != nil && rec.Offset < upTo[t][rec.Topic][rec.Partition] })
			for t, bl := range b.blocks {
				for i := range bl.rows {
					if wanted(t, bl, i) {
						out[t].copy(bl, i)
					}
				}
				if out[t].rows >= maxBatchRows || out[t].bytes >= maxBatchBytes {
					if err := insert(ctx, s.conn, shadowOf(t), out[t], ""); err != nil {
						return err
					}
					out[t] = newBlock(t.columns)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, t := range list {
		if out[t].rows > 0 {
			if err := insert(ctx, s.conn, shadowOf(t), out[t], ""); err != nil {
				return err
			}
		}
	}
	return nil
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

// swap adds what the sink has inserted meanwhile, and puts the shadow in the place of the table, or of its months. Nobody inserts now: the lead is ours, and what was
// under way is done.
func (s *Sink) swap(ctx context.Context, t *table, r Rebuild, before kafka.Offsets) error {
	late := fmt.Sprintf("INSERT INTO %s SELECT * FROM %s FINAL WHERE NOT %s", shadowOf(t), t.name, stood(before))
	if !r.whole() {
		late += fmt.Sprintf(" AND toYYYYMM(%s) IN (%s)", t.time, strings.Join(r.months(), ", "))
	}
	if err := s.conn.Exec(ctx, late); err != nil {
		return err
	}
	steps := []string{fmt.Sprintf("EXCHANGE TABLES %s AND %s", t.name, shadowOf(t))}
	if !r.whole() {
		steps = nil
		for _, month := range r.months() {
			var rows uint64
			if err := s.conn.QueryRow(ctx, fmt.Sprintf("SELECT count() FROM %s WHERE toYYYYMM(%s) = %s", shadowOf(t), t.time, month)).Scan(&rows); err != nil {
				return err
			}
			step := fmt.Sprintf("ALTER TABLE %s REPLACE PARTITION %s FROM %s", t.name, month, shadowOf(t))
			if rows == 0 { // which ClickHouse takes for a mistake
				step = fmt.Sprintf("ALTER TABLE %s DROP PARTITION %s", t.name, month)
			}
			steps = append(steps, step)
		}
	}
	for _, q := range append(steps, "DROP TABLE "+shadowOf(t)) {
		if err := s.conn.Exec(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/clickhouse"
	"oms/internal/kafka"
	"oms/topics"
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
// unit that ClickHouse can replace. Rows of records that the topics no longer hold stay as they are. The sink may run meanwhile; for the last step the rebuild takes the
// lead, so the sink stands by for a moment; the rebuild ends when it fills the tables again.
func (s *Sink) Rebuild(ctx context.Context, r Rebuild, say func(string)) error {
	list, err := r.check()
	if err != nil {
		return err
	}
	filler, err := s.rebuild(ctx, r, list, say)
	switch {
	case err == nil && filler != "":
		s.resumed(ctx, filler, say)
	case clickhouse.Code(err) == clickhouse.UnknownTable:
		return fmt.Errorf("a shadow table is gone: another rebuild has ended meanwhile, or this one showed no sign of life for %s; run it again (%w)", leadLapse, err)
	case errors.Is(err, errFenced):
		return fmt.Errorf("another process has the lead; run it again (%w)", err)
	}
	return err
}

// rebuild answers which process filled the tables; empty: none did.
func (s *Sink) rebuild(ctx context.Context, r Rebuild, list []*table, say func(string)) (filler string, err error) {
	if err := checkSchema(ctx, s.conn); err != nil {
		return "", err
	}
	m, err := remember(ctx, s.conn)
	if err != nil {
		return "", err
	}
	log, err := s.cfg.Kafka.NewReader(ctx, kafka.From{}, topicNames()...)
	if err != nil {
		return "", err
	}
	defer log.Close()
	if filler, err = s.lead.filler(ctx); err != nil {
		return "", err
	}
	w := refilling{Sink: s, Rebuild: r, tables: list, held: held{from: log.Next(), to: m.done}}
	defer w.end(ctx)
	for _, t := range list {
		if err := w.shadow(ctx, t); err != nil {
			return "", fmt.Errorf("%s: %w", t.name, err)
		}
	}
	say("reading the topics")
	if err := w.refill(ctx, log); err != nil {
		return "", err
	}
	say("taking the lead from the sink")
	if now, err := s.lead.filler(ctx); err != nil {
		return "", err
	} else if now != "" {
		filler = now
	}
	if err := s.acquire(ctx, swapping); err != nil {
		return "", err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer s.lead.keep(ctx, stop)()
	if filler != "" && !pause(ctx, 2*mostSpread) { // it may have looked at the lead just before, and be inserting: tables that are swapped in do not know its tokens
		return "", context.Cause(ctx)
	}
	return filler, overtaken(ctx, w.replace(ctx, say))
}

// resumed waits until a process fills the tables again, so that who comes next finds them as they were: followed. One that stands by looks every second; one that has nothing
// to insert hears at its next sign of life that it has lost the lead. The rebuild is done, so nothing that happens here is its failure.
func (s *Sink) resumed(ctx context.Context, filler string, say func(string)) {
	say("waiting for the sink to go on")
	limit, cancel := context.WithTimeout(ctx, 2*leadBeat)
	defer cancel()
	for pause(limit, 100*time.Millisecond) {
		if now, err := s.lead.filler(limit); err == nil && now != "" {
			return
		}
	}
	say(filler + " does not fill the tables again yet; its /readyz says why")
}

// replace puts the shadows in the place of what was there, under the lead.
func (w *refilling) replace(ctx context.Context, say func(string)) error {
	// What another rebuild has made ready is of before this one, and would undo it.
	if err := dropShadows(ctx, w.conn, w.lead.id); err != nil {
		return err
	}
	m, err := remember(ctx, w.conn)
	if err != nil {
		return err
	}
	if err := w.repeat(ctx, m); err != nil {
		return err
	}
	for _, t := range w.tables {
		if err := w.swap(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		say(t.name + " is rebuilt")
	}
	return nil
}

// refilling is a rebuild at work.
type refilling struct {
	*Sink
	Rebuild
	tables []*table
	held   held // what is read again
}

const shadows = "_rebuild_"

func (w *refilling) shadowOf(t *table) string { return t.name + shadows + w.lead.id }

// dropShadows of every rebuild except the one of that id.
func dropShadows(ctx context.Context, conn driver.Conn, except string) error {
	var names []string
	if err := conn.QueryRow(ctx, `SELECT groupArray(name) FROM system.tables WHERE database = currentDatabase() AND match(name, {ours:String}) AND NOT endsWith(name, {own:String})`,
		named("ours", "^("+strings.Join(tableNames(), "|")+")"+shadows+"[A-Z2-7]{8}$"), named("own", shadows+except)).Scan(&names); err != nil {
		return err
	}
	for _, name := range names {
		if err := dropShadow(ctx, conn, name); err != nil {
			return err
		}
	}
	return nil
}

// dropShadow drops it however large it is: after a swap it is the table that was.
func dropShadow(ctx context.Context, conn driver.Conn, name string) error {
	return conn.Exec(ctx, "DROP TABLE IF EXISTS "+name+" SETTINGS max_table_size_to_drop = 0")
}

// end drops the shadows and then gives the lead back. In that order: a swap that was cut off may still be under way in ClickHouse, and without its shadow it can do
// nothing to what a sink inserts from here on. When dropping fails the lead lapses, and who takes it drops them.
func (w *refilling) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, t := range w.tables {
		if dropShadow(ctx, w.conn, w.shadowOf(t)) != nil {
			return
		}
	}
	_ = w.lead.release(ctx)
}

// months that the range touches, as ClickHouse names the partitions.
func (r Rebuild) months() (all []string) {
	for at := time.Date(r.From.UTC().Year(), r.From.UTC().Month(), 1, 0, 0, 0, 0, time.UTC); at.Before(r.To); at = at.AddDate(0, 1, 0) {
		all = append(all, at.Format("200601"))
	}
	return all
}

// touched is the condition of rows in the months of the range, and within that of the range.
func (r Rebuild) touched(t *table) (months, within string) {
	if r.whole() {
		return "1", "1"
	}
	return fmt.Sprintf("toYYYYMM(%s) IN (%s)", t.time, strings.Join(r.months(), ", ")),
		fmt.Sprintf("(%[1]s >= fromUnixTimestamp64Milli(%[2]d) AND %[1]s < fromUnixTimestamp64Milli(%[3]d))", t.time, r.From.UnixMilli(), r.To.UnixMilli())
}

// shadow makes the shadow table, with what the table has already and the rebuild leaves alone.
func (w *refilling) shadow(ctx context.Context, t *table) error {
	months, within := w.touched(t)
	for _, q := range []string{
		fmt.Sprintf("CREATE TABLE %s AS %s", w.shadowOf(t), t.name),
		fmt.Sprintf("INSERT INTO %s SELECT * FROM %s FINAL WHERE %s AND %s AND NOT (%s AND %s)", w.shadowOf(t), t.name, months, w.held.before(t), within, w.held.rows(t)),
	} {
		if err := w.conn.Exec(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// refill puts what the topics hold into the shadows.
func (w *refilling) refill(ctx context.Context, log *kafka.Reader) error {
	out := map[*table]*block{}
	for _, t := range w.tables {
		out[t] = newBlock(t.columns)
	}
	flush := func(t *table) error {
		full := out[t]
		out[t] = newBlock(t.columns)
		return insert(ctx, w.conn, w.shadowOf(t), full, "")
	}
	err := log.To(ctx, w.held.ends(), func(rec *kgo.Record) error {
		if err := fromNewer(rec); err != nil {
			return err
		}
		b := newBatch()
		b.put(rec, func(t *table) bool { return out[t] != nil && w.held.has(t, rec) })
		for t, rows := range b.blocks {
			for i := range rows.rows {
				if w.whole() || w.wants(time.UnixMilli(rows.number(t.time, i))) {
					out[t].copy(rows, i)
				}
			}
			if out[t].rows >= maxBatchRows || out[t].bytes >= maxBatchBytes {
				if err := flush(t); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range w.tables {
		if out[t].rows > 0 {
			if err := flush(t); err != nil {
				return err
			}
		}
	}
	starts, err := log.Starts(ctx)
	if err != nil {
		return err
	}
	for topic, parts := range starts {
		for p, at := range parts {
			if was := w.held.from[topic][p]; at > was && topic != topics.OrdersTable.Name { // whose removed rows newer ones have replaced
				return fmt.Errorf("%s/%d started at offset %d and starts at %d now: records went while they were read; run it again", topic, p, was, at)
			}
		}
	}
	return nil
}

// wants tells whether the time is of the range.
func (r Rebuild) wants(at time.Time) bool { return !at.Before(r.From) && at.Before(r.To) }

// swap adds what the sink has inserted meanwhile, and puts the shadow in the place of the table, or of its months. Nobody inserts now: the lead is ours, and what was
// under way is done.
func (w *refilling) swap(ctx context.Context, t *table) error {
	months, _ := w.touched(t)
	shadow := w.shadowOf(t)
	if err := w.conn.Exec(ctx, fmt.Sprintf("INSERT INTO %s SELECT * FROM %s FINAL WHERE %s AND NOT %s", shadow, t.name, months, w.held.before(t))); err != nil {
		return err
	}
	var steps []string
	if w.whole() {
		steps = append(steps, fmt.Sprintf("EXCHANGE TABLES %s AND %s", t.name, shadow))
	} else {
		for _, month := range w.months() {
			var was, is uint64
			if err := w.conn.QueryRow(ctx, fmt.Sprintf("SELECT (SELECT count() FROM %[2]s WHERE toYYYYMM(%[1]s) = %[4]s), (SELECT count() FROM %[3]s WHERE toYYYYMM(%[1]s) = %[4]s)", t.time, t.name, shadow, month)).Scan(&was, &is); err != nil {
				return err
			}
			switch {
			case is > 0:
				steps = append(steps, fmt.Sprintf("ALTER TABLE %s REPLACE PARTITION %s FROM %s", t.name, month, shadow))
			case was > 0: // REPLACE takes an empty month for a mistake, and to drop one needs no shadow and so could come too late
				steps = append(steps, fmt.Sprintf("ALTER TABLE %s DELETE IN PARTITION %s WHERE %s SETTINGS mutations_sync = 2", t.name, month, w.held.before(t)))
			}
		}
	}
	for _, q := range steps {
		if err := w.lead.check(ctx); err != nil {
			return err
		}
		if err := w.conn.Exec(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

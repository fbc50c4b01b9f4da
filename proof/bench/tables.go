package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"oms/internal/clickhouse"
)

// engineOf connects to the embedded ClickHouse of the system on the directory.
func engineOf(dir string) (driver.Conn, error) {
	dirs, err := filepath.Glob(filepath.Join(dir, "clickhouse", "*"))
	if err != nil || len(dirs) != 1 {
		return nil, fmt.Errorf("%s: want one embedded ClickHouse, found %d", dir, len(dirs))
	}
	e, err := clickhouse.ReadEndpoint(dirs[0])
	if err != nil {
		return nil, err
	}
	url, err := e.FullURL()
	if err != nil {
		return nil, err
	}
	return clickhouse.Open(url)
}

// childOf is a process's only child; 0 when there is none to be seen.
func childOf(pid int) (child int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err == nil {
		_, _ = fmt.Sscan(string(b), &child)
	}
	if child > 0 {
		return child
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // a child belongs to the thread that made it
	for _, t := range tasks {
		if b, err := os.ReadFile(t); err == nil {
			if _, err := fmt.Sscan(string(b), &child); err == nil {
				return child
			}
		}
	}
	return 0
}

func (s *Sink) count(ctx context.Context, conn driver.Conn) error {
	for _, t := range filled {
		var n uint64
		if err := conn.QueryRow(ctx, "SELECT count() FROM "+t).Scan(&n); err != nil {
			return err
		}
		s.Rows += n
	}
	return nil
}

func (s *Sink) sizes(ctx context.Context, conn driver.Conn, orders int64) error {
	bytes := func() (n uint64, err error) {
		err = conn.QueryRow(ctx, `SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()`).Scan(&n)
		return n, err
	}
	inserted, err := bytes()
	if err != nil {
		return err
	}
	for _, t := range filled {
		if err := conn.Exec(ctx, "OPTIMIZE TABLE "+t+" FINAL"); err != nil {
			return err
		}
	}
	merged, err := bytes()
	s.BytesPer, s.MergedPer = float64(inserted)/float64(orders), float64(merged)/float64(orders)
	return err
}

// perInsert rows of the bare inserts.
const perInsert = 50_000

// bare inserts what the tables hold into others of the same make, and counts the time of the inserts alone.
func (s *Sink) bare(ctx context.Context, conn driver.Conn, r *run) error {
	var rows int
	var took time.Duration
	for _, t := range filled {
		if err := conn.Exec(ctx, "CREATE TABLE bare_"+t+" AS "+t); err != nil {
			return err
		}
		n, spent, err := copyRows(ctx, conn, t)
		if err != nil {
			return err
		}
		rows, took = rows+n, took+spent
		r.say("%s: %d bare rows", r.name, rows)
		if err := conn.Exec(ctx, "DROP TABLE bare_"+t+" SYNC"); err != nil {
			return err
		}
	}
	s.BarePerSecond = float64(rows) / took.Seconds()
	return nil
}

func copyRows(ctx context.Context, conn driver.Conn, table string) (n int, took time.Duration, err error) {
	rows, err := conn.Query(ctx, "SELECT * FROM "+table)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	types := rows.ColumnTypes()
	columns, into := make([]reflect.Value, len(types)), make([]any, len(types))
	empty := func() {
		for i, t := range types {
			columns[i] = reflect.MakeSlice(reflect.SliceOf(t.ScanType()), 0, perInsert)
		}
	}
	flush := func() error {
		began := time.Now()
		batch, err := conn.PrepareBatch(ch.Context(ctx, ch.WithSettings(ch.Settings{"async_insert": 0})), "INSERT INTO bare_"+table)
		if err != nil {
			return err
		}
		for i := range columns {
			if err := batch.Column(i).Append(columns[i].Interface()); err != nil {
				return err
			}
		}
		err = batch.Send()
		took += time.Since(began)
		empty()
		return err
	}
	empty()
	for rows.Next() {
		for i, t := range types {
			into[i] = reflect.New(t.ScanType()).Interface()
		}
		if err := rows.Scan(into...); err != nil {
			return n, took, err
		}
		for i := range into {
			columns[i] = reflect.Append(columns[i], reflect.ValueOf(into[i]).Elem())
		}
		if n++; n%perInsert == 0 {
			if err := flush(); err != nil {
				return n, took, err
			}
		}
	}
	return n, took, errors.Join(rows.Err(), flush())
}

package clickhouse

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"oms/internal/clickhouse"
)

// tear leaves the parts of a table as a full disk was seen to leave one: with an empty file of marks. What they were merged from is there for minutes, or taken away too.
func (r *rig) tear(table string, sources bool) {
	r.Helper()
	ctx := context.Background()
	r.exec("OPTIMIZE TABLE " + table + " FINAL")
	rows, err := r.conn.Query(ctx, `SELECT path, toBool(active) FROM system.parts WHERE database = currentDatabase() AND table = {t:String}`, named("t", table))
	if err != nil {
		r.Fatal(err)
	}
	defer rows.Close()
	torn := 0
	for rows.Next() {
		var path string
		var active bool
		if err := rows.Scan(&path, &active); err != nil {
			r.Fatal(err)
		}
		if !active {
			if sources {
				_ = os.RemoveAll(path) // or ClickHouse has done so just now
			}
			continue
		}
		marks, err := filepath.Glob(filepath.Join(path, "*.cmrk*"))
		if err != nil {
			r.Fatal(err)
		}
		for _, file := range marks {
			torn++
			if err := os.Truncate(file, 0); err != nil {
				r.Fatal(err)
			}
		}
	}
	if err := rows.Err(); err != nil || torn == 0 {
		r.Fatalf("%s: %d files of marks torn: %v", table, torn, err)
	}
	r.exec("SYSTEM DROP MARK CACHE")
	if err := r.conn.Exec(ctx, "SELECT * FROM "+table+" FORMAT Null"); clickhouse.Code(err) != 246 {
		r.Fatalf("%s is not damaged: %v", table, err)
	}
}

func TestATableWithABrokenPartIsMendedAndFilledAgain(t *testing.T) {
	for _, c := range []struct {
		table    string
		sources  bool // what the broken part was merged from is gone too
		reattach bool // by hand, since the sink does not read this table: an engine that starts does the same
	}{{"sink_offsets", false, false}, {"sink_offsets", true, false}, {"sink_leads", true, false}, {"order_events", false, true}, {"order_events", true, true}, {"orders_now", true, true}} {
		name := c.table
		if c.sources {
			name += " and its sources"
		}
		t.Run(name, func(t *testing.T) {
			r := openRig(t)
			r.orders(100)
			stop := r.start(r.sink("a"))
			r.equal()
			stop()
			r.tear(c.table, c.sources)
			if c.reattach {
				r.exec("DETACH TABLE " + c.table + " SYNC")
				r.exec("ATTACH TABLE " + c.table)
			}
			s := r.sink("b")
			r.start(s)
			r.orders(10)
			r.until("the sink follows again", func() bool { return s.Status().State == Following })
			r.equal()
			var left uint64
			if err := r.conn.QueryRow(context.Background(), `SELECT count() FROM system.detached_parts WHERE database = currentDatabase()`).Scan(&left); err != nil || left > 0 {
				t.Errorf("%d broken parts are left: %v", left, err)
			}
		})
	}
}

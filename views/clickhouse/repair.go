package clickhouse

import (
	"context"
	"fmt"
)

// scratch is a database in which the tables are made anew when one of them was dropped: they are what a chain of migrations leaves, and are written down nowhere else.
const scratch = "oms_scratch"

// repair makes tables that were dropped by hand again, empty; they are then filled from the log. To lose the sink's memory means to read everything again: what the
// tables have already keeps its key, and is there once for who reads with FINAL.
func (s *Sink) repair(ctx context.Context) error {
	for _, q := range []string{"DROP DATABASE IF EXISTS " + scratch, "CREATE DATABASE " + scratch} {
		if err := s.conn.Exec(ctx, q); err != nil {
			return err
		}
	}
	db, err := s.db(scratch)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := Migrate(ctx, db, s.cfg.Keep); err != nil {
		return err
	}
	for _, name := range []string{"sink_offsets", "sink_leads"} {
		if err := s.remake(ctx, name, nil); err != nil {
			return err
		}
	}
	if err := s.acquire(ctx, filling); err != nil {
		return err
	}
	m, err := remember(ctx, s.conn)
	if err != nil {
		return err
	}
	for _, t := range tables {
		// First the memory, then the table: a crash in between leaves a table that is still missing, and not one that is thought to be full.
		if err := s.remake(ctx, t.name, func() error { return s.rewindWhole(ctx, t, m) }); err != nil {
			return err
		}
	}
	return s.conn.Exec(ctx, "DROP DATABASE IF EXISTS "+scratch)
}

// rewindWhole notes that a table is to be filled from the start of the log.
func (s *Sink) rewindWhole(ctx context.Context, t *table, m memory) error {
	var all []span
	for topic, parts := range m.done[t] {
		for p := range parts {
			all = append(all, span{topic, p, 0, 0})
		}
	}
	return s.rewind(ctx, t, all)
}

// remake makes a table when it is missing. One that is only detached, since reattach could not finish, comes back as it was.
func (s *Sink) remake(ctx context.Context, name string, before func() error) error {
	var there uint64
	if err := s.conn.QueryRow(ctx, `SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = {name:String}`, named("name", name)).Scan(&there); err != nil || there > 0 {
		return err
	}
	if s.conn.Exec(ctx, "ATTACH TABLE IF NOT EXISTS "+name) == nil {
		return nil
	}
	s.log.Warn("analytics: a table was dropped; it is made again and filled from the log", "table", name)
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	return s.conn.Exec(ctx, fmt.Sprintf("CREATE TABLE %s AS %s.%s", name, scratch, name))
}

package clickhouse

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// ErrSchema: the tables of the database are not those of this build.
var ErrSchema = errors.New("the tables are of another version")

func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectClickHouse, db, files)
}

// Migrate makes or changes the tables of the database to those of this build, and answers the steps that it took. Facts are kept for keep, in whole
// days; 0: for ever. Steps only go forward; one that was cut off can be
// taken again. A database that is ahead of this build is left alone: ErrSchema.
func Migrate(ctx context.Context, db *sql.DB, keep time.Duration) (steps []string, err error) {
	p, err := provider(db)
	if err != nil {
		return nil, err
	}
	if have, want, err := versions(ctx, p); err != nil {
		return nil, err
	} else if have > want {
		return nil, newer(have, want)
	}
	done, err := p.Up(ctx)
	for _, d := range done {
		steps = append(steps, d.Source.Path)
	}
	if err != nil {
		return steps, err
	}
	return steps, setKeep(ctx, db, keep)
}

// setKeep makes facts go after so many days, or never. What is now, and the sink's memory, stay.
func setKeep(ctx context.Context, db *sql.DB, keep time.Duration) error {
	for _, t := range tables {
		if t.time == "" {
			continue
		}
		var engine string
		if err := db.QueryRowContext(ctx, `SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = ?`, t.name).Scan(&engine); err != nil {
			return err
		}
		ttl := fmt.Sprintf("toDateTime(%s) + toIntervalDay(%d)", t.time, int(keep.Hours()/24))
		change := "MODIFY TTL " + ttl
		switch has := strings.Contains(engine, " TTL "); {
		case keep == 0 && !has, keep > 0 && strings.Contains(engine, " TTL "+ttl+" "):
			continue
		case keep == 0:
			change = "REMOVE TTL"
		}
		if _, err := db.ExecContext(ctx, fmt.Sprintf("ALTER TABLE %s %s", t.name, change)); err != nil {
			return err
		}
	}
	return nil
}

func newer(have, want int64) error {
	return fmt.Errorf("%w: they are at version %d, and this build knows %d: run a newer build", ErrSchema, have, want)
}

func versions(ctx context.Context, p *goose.Provider) (have, want int64, err error) {
	for _, s := range p.ListSources() {
		want = max(want, s.Version)
	}
	have, err = p.GetDBVersion(ctx)
	return have, want, err
}

// checkSchema answers ErrSchema unless the tables are those of this build. It only reads.
func checkSchema(ctx context.Context, conn driver.Conn) error {
	var want int64
	entries, err := fs.ReadDir(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	for _, e := range entries {
		v, err := goose.NumericComponent(e.Name())
		if err != nil {
			return err
		}
		want = max(want, v)
	}
	var exists uint64
	if err := conn.QueryRow(ctx, `SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'goose_db_version'`).Scan(&exists); err != nil {
		return err
	}
	var have int64
	if exists > 0 {
		if err := conn.QueryRow(ctx, `SELECT max(version_id) FROM goose_db_version WHERE is_applied = 1`).Scan(&have); err != nil {
			return err
		}
	}
	switch {
	case have > want:
		return newer(have, want)
	case have < want:
		return fmt.Errorf("%w: they are at version %d, and this build wants %d: run oms migrate", ErrSchema, have, want)
	}
	return nil
}

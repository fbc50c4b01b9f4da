package clickhouse

import (
	"context"
	"errors"
	"slices"

	"oms/internal/clickhouse"
)

// damage are the codes by which ClickHouse says that the files of a part are not as it wrote them: data that ends early, a wrong checksum, a missing file, one of a wrong
// size, data that cannot be unpacked. A disk that was full at the wrong moment leaves such a part (a merge may put an empty file in place of good ones), and so does a power loss.
var damage = []int{33, 40, 107, 226, 228, 246, 271}

func damaged(err error) bool { return slices.Contains(damage, clickhouse.Code(err)) }

// reattach has ClickHouse look at the parts of its tables again, as at its start: it sets broken ones aside, and takes back what they were merged from where that is still there.
func (s *Sink) reattach(ctx context.Context) error {
	s.log.Warn("analytics: a table has a broken part; ClickHouse looks at the parts of all of them again")
	var failed []error
	for _, name := range ownTables() {
		if err := s.conn.Exec(ctx, "DETACH TABLE IF EXISTS "+name+" SYNC"); err != nil {
			failed = append(failed, err)
			continue
		}
		if err := s.conn.Exec(ctx, "ATTACH TABLE IF NOT EXISTS "+name); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func ownTables() []string {
	all := []string{"sink_offsets", "sink_leads"}
	for _, t := range tables {
		all = append(all, t.name)
	}
	return all
}

// refill has tables that lost parts filled from the log again: those of which ClickHouse has set a broken part aside, or all when it is the sink's memory that lost one, since
// what it still says may be older than a rewind that it has forgotten. The rows that are there already keep their key. The parts are given up once that is noted.
func (s *Sink) refill(ctx context.Context, m memory) (memory, error) {
	rows, err := s.conn.Query(ctx, `SELECT table, name, reason FROM system.detached_parts WHERE database = currentDatabase() AND startsWith(reason, 'broken') ORDER BY table, name`)
	if err != nil {
		return m, err
	}
	defer rows.Close()
	lost := map[string][]string{}
	for rows.Next() {
		var name, part, reason string
		if err := rows.Scan(&name, &part, &reason); err != nil {
			return m, err
		}
		if slices.Contains(ownTables(), name) {
			lost[name] = append(lost[name], part)
			s.log.Warn("analytics: a part of a table was broken; what the log still has of it is filled in again", "table", name, "part", part, "reason", reason)
		}
	}
	if err := rows.Err(); err != nil || len(lost) == 0 {
		return m, err
	}
	for _, t := range tables {
		if lost[t.name] == nil && lost["sink_offsets"] == nil {
			continue
		}
		if err := s.rewindWhole(ctx, t, m); err != nil {
			return m, err
		}
	}
	for name, parts := range lost {
		for _, part := range parts {
			if err := s.conn.Exec(ctx, "ALTER TABLE "+name+" DROP DETACHED PART {part:String} SETTINGS allow_drop_detached = 1", named("part", part)); err != nil {
				return m, err
			}
		}
	}
	return remember(ctx, s.conn)
}

package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// A leader shows a sign of life this often; one that has shown none for leadLapse may be followed. Both are judged by the clock of ClickHouse, so that of a process
// may be wrong.
const (
	leadBeat  = 5 * time.Second
	leadLapse = 4 * leadBeat
)

// errFenced: another process has taken the lead.
var errFenced = errors.New("another process fills the tables")

// lead is the right to fill the tables.
type lead struct {
	conn    driver.Conn
	holder  string // this process
	cluster string
	epoch   uint64 // ours; 0: none yet
}

// standing is who leads.
type standing struct {
	epoch   uint64 // 0: nobody ever
	holder  string
	free    bool // released, or without a sign of life for too long
	cluster string
}

func (l *lead) current(ctx context.Context) (s standing, err error) {
	rows, err := l.conn.Query(ctx, `SELECT epoch, holder, state = 'released' OR at < now64(3) - toIntervalMillisecond(`+fmt.Sprint(leadLapse.Milliseconds())+`), cluster
		FROM sink_leads FINAL ORDER BY epoch DESC, holder DESC LIMIT 1`)
	if err != nil {
		return s, err
	}
	defer rows.Close()
	for rows.Next() {
		var free uint8
		if err := rows.Scan(&s.epoch, &s.holder, &free, &s.cluster); err != nil {
			return s, err
		}
		s.free = free != 0
	}
	return s, rows.Err()
}

// acquire takes the lead: at once for a process that never had it, since it was started last; one that has lost it waits until the other is gone. It answers
// errFenced when the lead is another's.
func (l *lead) acquire(ctx context.Context) error {
	now, err := l.current(ctx)
	if err != nil {
		return err
	}
	if now.epoch > 0 && now.cluster != l.cluster {
		return fmt.Errorf("the tables hold the facts of Kafka cluster %s, and this is cluster %s: give each a database of its own (clickhouse.url)", now.cluster, l.cluster)
	}
	switch {
	case l.epoch > 0 && now.epoch == l.epoch && now.holder == l.holder:
		return nil
	case l.epoch > 0 && now.epoch > 0 && !now.free:
		return fmt.Errorf("%w: %s", errFenced, now.holder)
	}
	var used uint64 // by inserts: it outlives a sink_leads that was dropped
	if err := l.conn.QueryRow(ctx, `SELECT bitShiftRight(max(seq), 32) FROM sink_offsets`).Scan(&used); err != nil {
		return err
	}
	l.epoch = max(now.epoch, used) + 1
	if err := l.say(ctx, "held"); err != nil {
		return err
	}
	return l.check(ctx) // two that started together took the same epoch: the one with the greater name has it
}

// check answers errFenced when the lead is not ours any more.
func (l *lead) check(ctx context.Context) error {
	now, err := l.current(ctx)
	if err == nil && (now.epoch != l.epoch || now.holder != l.holder) {
		err = fmt.Errorf("%w: %s", errFenced, now.holder)
	}
	return err
}

func (l *lead) say(ctx context.Context, state string) error {
	return l.conn.Exec(ctx, `INSERT INTO sink_leads (epoch, holder, state, cluster) SELECT {epoch:UInt64}, {holder:String}, {state:String}, {cluster:String}`,
		named("epoch", l.epoch), named("holder", l.holder), named("state", state), named("cluster", l.cluster))
}

// beat shows signs of life until the context ends, and ends it when the lead is another's.
func (l *lead) beat(ctx context.Context, lost context.CancelCauseFunc) {
	for tick := time.NewTicker(leadBeat); ; {
		select {
		case <-tick.C:
			if err := l.check(ctx); errors.Is(err, errFenced) {
				lost(err)
				return
			}
			_ = l.say(ctx, "held") // when it fails, so does the next insert, which says so
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}

// release lets a process that stands by take over at once.
func (l *lead) release(ctx context.Context) error {
	if l.epoch == 0 || l.check(ctx) != nil {
		return nil
	}
	return l.say(ctx, "released")
}

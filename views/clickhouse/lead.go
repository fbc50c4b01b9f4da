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

// What a lead is taken for.
const (
	filling  = "held"     // to insert
	swapping = "swapping" // to put other tables in the place of these: nobody may insert meanwhile
	released = "released" // for nothing any more
)

// lead is the right to change the tables.
type lead struct {
	conn    driver.Conn
	id      string // of this process; random
	holder  string // its name for people, with the id
	cluster string
	epoch   uint64 // ours; 0: none, or it was given back
	use     string // of ours: filling or swapping
	said    bool   // ClickHouse has our epoch, for certain
}

// standing is who leads.
type standing struct {
	epoch   uint64 // 0: nobody ever
	holder  string
	use     string
	lapsed  bool // without a sign of life for too long
	cluster string
}

// free tells whether anyone may take the lead.
func (s standing) free() bool { return s.epoch == 0 || s.use == released || s.lapsed }

func (l *lead) current(ctx context.Context) (standing, error) {
	all, err := l.standings(ctx, `ORDER BY epoch DESC, holder DESC LIMIT 1`)
	if err != nil || len(all) == 0 {
		return standing{}, err
	}
	return all[0], nil
}

// filler is the process that fills the tables; empty: none does.
func (l *lead) filler(ctx context.Context) (string, error) {
	now, err := l.current(ctx)
	if err != nil || now.free() || now.use != filling {
		return "", err
	}
	return now.holder, nil
}

func (l *lead) standings(ctx context.Context, which string, with ...any) (all []standing, err error) {
	rows, err := l.conn.Query(ctx, `SELECT epoch, holder, toString(state), at < now64(3) - toIntervalMillisecond(`+fmt.Sprint(leadLapse.Milliseconds())+`), cluster
		FROM sink_leads FINAL `+which, with...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s standing
		var lapsed uint8
		if err := rows.Scan(&s.epoch, &s.holder, &s.use, &lapsed, &s.cluster); err != nil {
			return nil, err
		}
		s.lapsed = lapsed != 0
		all = append(all, s)
	}
	return all, rows.Err()
}

// acquire takes the lead: at once for a process that never had it or gave it back, since it was started last, unless tables are being swapped; one that has lost it waits
// until the other is gone. It answers errFenced when the lead is another's.
func (l *lead) acquire(ctx context.Context, use string) error {
	now, err := l.current(ctx)
	if err != nil {
		return err
	}
	if now.epoch > 0 && now.cluster != l.cluster {
		return fmt.Errorf("the tables hold the facts of Kafka cluster %s, and this is cluster %s: give each a database of its own (clickhouse.url)", now.cluster, l.cluster)
	}
	switch {
	case l.epoch > 0 && now.epoch == l.epoch && now.holder == l.holder && now.use == use:
		l.said = true
		return l.alone(ctx)
	case !now.free() && (l.epoch > 0 || now.use == swapping):
		return fmt.Errorf("%w: %s", errFenced, now.holder)
	}
	var used uint64 // by inserts: it outlives a sink_leads that was dropped
	if err := l.conn.QueryRow(ctx, `SELECT bitShiftRight(max(seq), 32) FROM sink_offsets`).Scan(&used); err != nil {
		return err
	}
	l.epoch, l.use, l.said = max(now.epoch, used)+1, use, false
	if err := l.say(ctx, use); err != nil {
		return err
	}
	l.said = true
	if err := l.check(ctx); err != nil { // two that started together took the same epoch: the one with the greater name has it
		return err
	}
	return l.alone(ctx)
}

// alone makes sure that no other process swaps tables: one may have looked whether the lead is still its own just before we took it. While it shows signs of life it is
// waited for; after that its shadows are dropped, without which it can swap nothing, however late it wakes.
func (l *lead) alone(ctx context.Context) error {
	others, err := l.standings(ctx, fmt.Sprintf(`WHERE state = '%s' AND holder != {holder:String}`, swapping), named("holder", l.holder))
	if err != nil || len(others) == 0 {
		return err
	}
	for _, o := range others {
		if !o.lapsed {
			return fmt.Errorf("%w: %s", errFenced, o.holder)
		}
	}
	if err := dropShadows(ctx, l.conn, ""); err != nil {
		return err
	}
	for _, o := range others {
		gone := lead{conn: l.conn, holder: o.holder, cluster: o.cluster, epoch: o.epoch}
		if err := gone.say(ctx, released); err != nil {
			return err
		}
	}
	return nil
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

// keep shows signs of life until the context ends or the answered function is called, and ends the context when the lead is another's. The function waits for a sign that
// is under way, for two seconds at most: it would undo a release that came before it.
func (l *lead) keep(ctx context.Context, lost context.CancelCauseFunc) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.beat(ctx, lost)
	}()
	return func() {
		cancel()
		<-done
	}
}

func (l *lead) beat(ctx context.Context, lost context.CancelCauseFunc) {
	tick := time.NewTicker(leadBeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := l.check(ctx); errors.Is(err, errFenced) {
				lost(err)
				return
			} else if ctx.Err() != nil {
				return
			}
			whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second) // a statement that is cut off may be done all the same, later
			_ = l.say(whole, l.use)                                                         // when it fails, so does the next insert, which says so
			cancel()
		case <-ctx.Done():
			return
		}
	}
}

// overtaken is why work under a lead ended: its loss, where that has cut the work off.
func overtaken(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errFenced) {
		return cause
	}
	return err
}

// release lets a process that stands by take over at once. One that has lost the lead may say so too: it is of its own epoch. An epoch that was perhaps never taken is not
// released: to say it would take the lead from another.
func (l *lead) release(ctx context.Context) error {
	if !l.said {
		return nil
	}
	if err := l.say(ctx, released); err != nil {
		return err
	}
	l.epoch, l.said = 0, false
	return nil
}

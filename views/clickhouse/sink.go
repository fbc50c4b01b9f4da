// Package clickhouse keeps ClickHouse equal to the log: a sink that inserts every fact once, whatever crashes, and the tools that show that it did.
//
// What is exactly once is the effect of an insert. Before inserting, the sink writes an intent (which offsets go into which table, under which token); a start repeats an intent
// of which nobody knows the outcome with exactly its offsets and token, and ClickHouse takes a token once. Positions are read from ClickHouse, so tables and positions
// cannot part. Should a row come twice nevertheless, its key is the same, and what reads with FINAL sees it once.
package clickhouse

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/url"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"oms/internal/clickhouse"
	"oms/internal/kafka"
)

// Config of a sink.
type Config struct {
	Kafka    kafka.Settings
	Cluster  string        // id of the Kafka cluster
	URL      string        // of the database, as clickhouse.Open takes it
	Own      bool          // the database is this process's own: it is migrated at the start. Others are migrated by oms migrate
	Instance string        // name of this process among its like
	Keep     time.Duration // how long facts are kept; 0: for ever
	Interval time.Duration // how long a fact waits for others to be inserted with; the tables are filled one after the other in half of it, of a second at most
	Log      *slog.Logger  // nil: silent
	Metrics  prometheus.Registerer
}

// Sink fills the tables. Run is for one goroutine, the rest for many.
type Sink struct {
	cfg   Config
	log   *slog.Logger
	conn  driver.Conn
	lead  lead
	seq   uint64 // of the last insert; grows over all processes, since epochs do
	wrote bool   // a batch, since the last fault
	state state
	stats metrics
}

// New prepares a sink. It reaches for nothing yet: ClickHouse may be away for as long as it likes.
func New(cfg Config) (*Sink, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	conn, err := clickhouse.Open(cfg.URL)
	if err != nil {
		return nil, err
	}
	s := &Sink{cfg: cfg, log: cfg.Log, conn: conn}
	id := rand.Text()[:8]
	s.lead = lead{conn: conn, id: id, holder: cfg.Instance + "/" + id, cluster: cfg.Cluster}
	s.state.log, s.state.patience, s.state.now.Behind = cfg.Log, patience, -1
	s.stats.register(cfg.Metrics, &s.state)
	return s, nil
}

// Status is what the sink is doing, for people.
func (s *Sink) Status() Status { return s.state.status() }

// Run fills the tables until the context ends. Nothing that happens to ClickHouse or Kafka ends it: it says what is wrong, waits, and goes on where the tables stand.
func (s *Sink) Run(ctx context.Context) error {
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = s.lead.release(last) // otherwise the next one waits for the lapse
		s.state.set(Stopped, nil)
	}()
	wait := time.Duration(0)
	for {
		err := s.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if s.wrote {
			wait, s.wrote = 0, false
		}
		wait = min(max(2*wait, 100*time.Millisecond), 5*time.Second)
		rest := wait
		switch {
		case errors.Is(err, errFenced):
			s.state.set(StandingBy, err)
			rest = time.Second
		case errors.Is(err, ErrSchema):
			s.state.set(Blocked, err)
		case clickhouse.Code(err) == clickhouse.UnknownTable:
			s.state.set(Repairing, err)
			if err := s.repair(ctx); err != nil {
				s.log.Warn("analytics: a lost table could not be made again yet", "error", err)
			}
		case damaged(err):
			s.state.set(Repairing, err)
			if err := s.reattach(ctx); err != nil {
				s.log.Warn("analytics: a table with a broken part could not be looked at again yet", "error", err)
			}
		default:
			s.state.set(Waiting, err)
		}
		if !pause(ctx, rest/2+mathrand.N(rest)) {
			return nil
		}
	}
}

// session takes the lead and fills the tables until something fails.
func (s *Sink) session(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.acquire(ctx, filling); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer s.lead.keep(ctx, cancel)()
	return overtaken(ctx, s.fill(ctx, cancel))
}

// fill goes on where the tables stand, until something fails or ends the context, as a failed insert does.
func (s *Sink) fill(ctx context.Context, cancel context.CancelCauseFunc) error {
	m, err := remember(ctx, s.conn)
	if err != nil {
		return err
	}
	if m, err = s.refill(ctx, m); err != nil {
		return err
	}
	if err := s.repeat(ctx, m); err != nil {
		return err
	}
	s.state.underway.Store(0)
	w, batches, written := &writer{sink: s, spare: make(chan *batch, 1)}, make(chan *batch), make(chan error, 1)
	go func() {
		err := w.run(ctx, batches)
		cancel(err) // the reader need not go on
		written <- err
	}()
	err = s.read(ctx, m.done, batches, w.spare)
	close(batches)
	if failed := <-written; failed != nil {
		return failed
	}
	return err
}

// acquire takes the lead, and numbers inserts by its epoch from then on.
func (s *Sink) acquire(ctx context.Context, use string) error {
	err := s.lead.acquire(ctx, use)
	s.seq = max(s.seq, s.lead.epoch<<32)
	return err
}

// prepare makes sure that the tables are those of this build.
func (s *Sink) prepare(ctx context.Context) error {
	if s.cfg.Own {
		db, err := s.db("")
		if err != nil {
			return err
		}
		defer db.Close()
		if steps, err := Migrate(ctx, db, s.cfg.Keep); err != nil {
			return err
		} else if len(steps) > 0 {
			s.log.Info("analytics: tables made", "steps", steps)
		}
	}
	return checkSchema(ctx, s.conn)
}

// db is the database as goose takes it; the one of the URL unless another is named.
func (s *Sink) db(name string) (*sql.DB, error) {
	u, err := url.Parse(s.cfg.URL)
	if err != nil {
		return nil, err
	}
	if name != "" {
		u.Path = "/" + name
	}
	return clickhouse.OpenDB(u.String())
}

// token of the insert of a table in a batch. The holder makes it one that no other process can use, whatever it takes for its epoch.
func token(holder string, seq uint64, t *table) string {
	return fmt.Sprintf("%d.%s.%s", seq, t.name, holder)
}

// Close gives the connection back. Run must have ended.
func (s *Sink) Close() error { return s.conn.Close() }

package clickhouse

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// insertsAtOnce of a full batch into ClickHouse: enough that one waits for the network while another is worked on. Those of others come one by one, since nobody waits for
// them, and orders may need the other processors.
const insertsAtOnce = 2

// mostSpread is the longest time over which the inserts of a batch that is not full are spread: half of the interval is, up to this. What the engine takes from orders comes
// in small pieces then, which hold up fewer of them than one of 60 ms does.
const mostSpread = 500 * time.Millisecond

// patience with a batch: one that takes longer is waited for, and /readyz says so.
const patience = 10 * time.Second

// writer inserts batches, one after the other.
type writer struct {
	sink  *Sink
	spare chan *batch // written: their memory may be used again
	open  []intent    // of the last batch: inserted, and not yet noted as done
}

// run writes batches until there are no more. What is done is noted together with the next intents, or by itself when no next batch has come for a few intervals.
func (w *writer) run(ctx context.Context, batches <-chan *batch) error {
	for {
		idle := time.NewTimer(4 * w.sink.cfg.Interval)
		select {
		case b, ok := <-batches:
			idle.Stop()
			if !ok {
				last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second) // a stop must not wait for it: what is not noted is repeated
				defer cancel()
				return w.finish(last)
			}
			if err := w.write(ctx, b); err != nil {
				return err
			}
		case <-idle.C:
			if err := w.finish(ctx); err != nil {
				return err
			}
		}
	}
}

// finish notes what is inserted as done.
func (w *writer) finish(ctx context.Context) error {
	if err := note(ctx, w.sink.conn, w.open, nil); err != nil {
		return err
	}
	w.open = nil
	return nil
}

// write inserts a batch: intents first, then the tables.
func (w *writer) write(ctx context.Context, b *batch) error {
	s, started := w.sink, time.Now()
	defer s.state.writing()()
	s.seq++
	var intents, nothing []intent
	for _, t := range tables {
		switch i := (intent{table: t, seq: s.seq, spans: b.spans[t]}); {
		case len(i.spans) == 0:
		case b.rows(t) == 0:
			nothing = append(nothing, i)
		default:
			i.token = token(s.lead.holder, s.seq, t)
			intents = append(intents, i)
		}
	}
	if err := note(ctx, s.conn, append(w.open, nothing...), intents); err != nil {
		return err
	}
	w.open = nil
	// After the intents: who takes the lead reads the intents after that, so one of the two sees the other.
	if err := s.lead.check(ctx); err != nil {
		return err
	}
	g, together := errgroup.WithContext(ctx)
	atOnce, apart := 1, min(s.cfg.Interval/2, mostSpread)/time.Duration(len(tables))
	if b.full() {
		atOnce, apart = insertsAtOnce, 0
	}
	g.SetLimit(atOnce)
	first := time.Now()
	for n, i := range intents {
		g.Go(func() error {
			if !pause(together, time.Until(first.Add(time.Duration(n)*apart))) {
				return context.Cause(together)
			}
			began := time.Now()
			err := insert(together, s.conn, i.table.name, b.blocks[i.table], i.token)
			if err == nil {
				s.stats.inserted(i.table, b.rows(i.table), time.Since(began))
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	w.open = intents
	s.wrote = true
	s.stats.wrote(b, time.Since(started))
	s.state.wrote(b)
	select {
	case w.spare <- b:
	default:
	}
	return nil
}

// pause waits, if there is anything to wait for; false when the context ended.
func pause(ctx context.Context, long time.Duration) bool {
	if long > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(long):
		}
	}
	return ctx.Err() == nil
}

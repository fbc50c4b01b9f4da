package simulation

import (
	"fmt"
	"time"

	"oms/internal/kafka"
	"oms/proof/audit/fold"
	"oms/topics"
)

// settle checks, when nothing happens any more, what only the whole shows.
func (w *world) settle() error {
	if err := w.told.Flush(); err != nil {
		return err
	}
	if w.result.Violation != "" {
		return nil
	}
	w.idle()
	if err := w.auditor.Ledger(&w.ledger); err != nil {
		return err
	}
	if err := w.auditor.Client(&w.client); err != nil {
		return err
	}
	for _, l := range w.auditor.Report(time.UnixMilli(w.now+10*minute), true).Laws {
		if l.Violations > 0 {
			w.violated(l.ID + ": " + l.First)
		}
	}
	w.replay()
	return nil
}

// idle demands that nobody has left anything undone (I13).
func (w *world) idle() {
	for _, g := range w.groups {
		for p, in := range g.inbox {
			for at := g.committed[p]; at < int64(len(in.records)); at++ {
				if in.records[at].readable() {
					w.violated(fmt.Sprintf("I13: %s/%d@%d was never taken", in.topic.Name, p, at))
				}
			}
		}
		for _, p := range g.table {
			if p.open() != nil {
				w.violated(fmt.Sprintf("I13: %s/%d ends in an open transaction", p.topic.Name, p.number))
			}
		}
	}
	for p, jobs := range w.gateway.jobs {
		for _, j := range jobs {
			if !j.done {
				w.violated(fmt.Sprintf("I13: %s/%d@%d was never answered", w.gateway.requests[p].topic.Name, p, j.offset))
			}
		}
	}
}

// replay folds every inbox from its start and demands the rows of the table, byte for byte (I9).
func (w *world) replay() {
	f, ends := fold.New(), kafka.Offsets{}
	for _, g := range w.groups {
		for _, topic := range []topics.Topic{g.DeadLetters, g.Inbox, g.Table} {
			ends[topic.Name] = map[int32]int64{}
			for _, p := range w.topics[topic.Name] {
				ends[topic.Name][p.number] = int64(len(p.records))
				for _, r := range p.records {
					if r.readable() {
						f.Take(&r.Record)
					}
				}
			}
		}
	}
	f.Until(ends, ends)
	if l := f.Law(w.now+10*minute, true); l.Violations > 0 {
		w.violated(l.ID + ": " + l.First)
	}
}

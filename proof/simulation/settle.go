package simulation

import (
	"fmt"
	"time"

	"oms/internal/kafka"
	"oms/proof/audit"
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
	if err := w.auditor.Ledger(&w.ledger); err != nil {
		return err
	}
	if err := w.auditor.Client(&w.client); err != nil {
		return err
	}
	w.auditor.Taken(w.taken())
	asOf := w.now + 10*minute
	for _, l := range append(w.auditor.Report(time.UnixMilli(asOf), true).Laws, w.replay(asOf)) {
		if l.Violations > 0 {
			w.violated(l.ID + ": " + l.First)
		}
	}
	w.idle()
	return nil
}

// taken is where groups and gateway stand; behind it are at most records that nobody can read.
func (w *world) taken() kafka.Offsets {
	all := kafka.Offsets{}
	for _, g := range w.groups {
		all[g.Inbox.Name] = map[int32]int64{}
		for p, at := range g.committed {
			all[g.Inbox.Name][int32(p)] = at
		}
	}
	w.gateway.commit()
	all[topics.PaymentRequests.Name] = map[int32]int64{}
	for p, jobs := range w.gateway.jobs {
		if at := w.gateway.committed[p]; len(jobs) > 0 {
			all[topics.PaymentRequests.Name][int32(p)] = at
		} else {
			all[topics.PaymentRequests.Name][int32(p)] = w.gateway.position[p]
		}
	}
	return all
}

// idle demands that no transaction was left open (I13); what was left lying, the auditor tells.
func (w *world) idle() {
	for _, g := range w.groups {
		for _, p := range g.table {
			if p.open() != nil {
				w.violated(fmt.Sprintf("I13: %s/%d ends in an open transaction", p.topic.Name, p.number))
			}
		}
	}
}

// replay folds every inbox from its start and compares with the tables (I9).
func (w *world) replay(asOf int64) *audit.Law {
	f, ends := fold.New(), kafka.Offsets{}
	for _, g := range w.groups {
		ends[g.Table.Name] = map[int32]int64{}
		for n := range w.partitions {
			ends[g.Table.Name][n] = int64(len(g.table[n].records))
			for _, p := range []*partition{g.inbox[n], g.table[n], w.topics[g.DeadLetters.Name][n]} {
				for _, r := range p.records {
					if r.readable() {
						f.Take(&r.Record)
					}
				}
			}
		}
	}
	f.Until(w.taken(), ends)
	return f.Law(asOf, true)
}

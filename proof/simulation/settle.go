package simulation

import (
	"bytes"
	"fmt"
	"time"

	"oms/schemas"
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
	for _, g := range w.groups {
		for p, in := range g.inbox {
			live, folded := map[string][]byte{}, map[string][]byte{}
			for _, r := range g.table[p].records {
				if r.readable() {
					live[string(r.Key)] = r.Value
				}
			}
			for _, r := range in.records {
				if !r.readable() {
					continue
				}
				key := string(r.Key)
				if t := g.Take(key, r.Value, r.Timestamp.UnixMilli(), func() []byte { return folded[key] }); t.Row != nil {
					folded[key] = t.Row
				}
			}
			w.sameRows(in, live, folded)
		}
	}
}

func (w *world) sameRows(in *partition, live, folded map[string][]byte) {
	if len(live) != len(folded) {
		w.violated(fmt.Sprintf("I9: %s/%d folds to %d rows, the table has %d", in.topic.Name, in.number, len(folded), len(live)))
	}
	for _, r := range in.records { // in the order of the log: the first is named
		if key := string(r.Key); !bytes.Equal(live[key], folded[key]) {
			w.violated(fmt.Sprintf("I9: %q folds to %v, the table has %v", key, schemas.Decode(folded[key]), schemas.Decode(live[key])))
			return
		}
	}
}

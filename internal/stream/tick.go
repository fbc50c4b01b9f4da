package stream

import (
	"maps"
	"time"

	"oms/internal/planted"
	"oms/internal/store"
)

const (
	forever   = time.Duration(1<<63 - 1)
	tickLimit = 1000 // deadlines in one transaction
)

// ticks tells whether the claim's deadlines may be looked at: only after the backlog, since a record in it may move them.
func (c *claim) ticks() bool { return c.position >= c.backlog }

// tick sends a record into the inbox for each row whose deadline has come, in a transaction of its own. What was asked for is
// not asked again in this session before a record of the row has passed: see answered.
func (s *session) tick() error {
	if s.e.cfg.Tick == nil {
		return nil
	}
	now := s.e.cfg.Now().UnixMilli()
	var due []store.Due
	var of []*claim // of each
	for _, c := range s.parts {
		if !c.ticks() || !c.again && c.table.Wake() > now || len(due) >= tickLimit {
			continue
		}
		more, err := c.table.DueBy(now, tickLimit-len(due), func(d store.Due) bool { return c.asked[d.Key] == d.DeadlineMS })
		if err != nil {
			return err
		}
		for _, d := range more {
			due, of = append(due, d), append(of, c)
		}
		c.again = len(due) >= tickLimit // not all that is due was looked at
	}
	if len(due) == 0 {
		return nil
	}
	if err := s.begin(); err != nil {
		return err
	}
	s.messages = s.messages[:0]
	for _, d := range due {
		r := s.e.cfg.Tick(d.Key, d.DeadlineMS)
		s.e.Emit(s.e.cfg.Inbox, r.Key, r.Value, now, maps.All(r.Headers))
	}
	if err := s.commit(s.withoutOffsets); err != nil {
		return err
	}
	for i, d := range due {
		of[i].asked[d.Key] = d.DeadlineMS
	}
	s.e.count.ticks.Add(float64(len(due)))
	return nil
}

// answered: records of the batch have passed, so what was asked for their rows may be asked again. The row may have ignored its deadline: a record before it had set an
// earlier one, which was gone again when the batch ended. The index shows nothing of that, and without another asking the row would never be woken.
func (s *session) answered() {
	for i := range s.messages {
		m := &s.messages[i]
		c := s.parts[m.Partition]
		if c == nil || len(c.asked) == 0 {
			continue
		}
		if _, was := c.asked[string(m.Key)]; was && !planted.On(planted.DeadlineAskedOnce) {
			delete(c.asked, string(m.Key))
			c.again = true
		}
	}
}

// untilWake is how long the engine may wait for records before a deadline comes.
func (s *session) untilWake() time.Duration {
	if s.e.cfg.Tick == nil {
		return forever
	}
	wait := forever
	now := s.e.cfg.Now()
	for _, c := range s.parts {
		if at := c.table.Wake(); c.ticks() && at < never {
			wait = min(wait, max(time.Millisecond, time.UnixMilli(at).Sub(now)))
		}
	}
	return wait
}

const never = int64(1<<63 - 1)

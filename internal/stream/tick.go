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

// asking is a deadline that was asked for.
type asking struct {
	deadlineMS int64
	times      int
	notBefore  int64 // ms, by the engine's clock; never: its record is under way
	due        bool  // at the last look
}

// Pauses before a deadline is asked for once more: none at first, since the row may have had another deadline at that place of the inbox; then each is twice as long as the one
// before. A row whose step fails would otherwise send one dead letter after the other, as fast as transactions go.
const (
	firstPause = time.Second
	mostPause  = time.Minute
)

func (a *asking) pause() time.Duration {
	if a.times < 2 {
		return 0
	}
	return min(firstPause<<min(a.times-2, 10), mostPause)
}

// ticks tells whether the claim's deadlines may be looked at: only after the backlog, since a record in it may move them.
func (c *claim) ticks() bool { return c.position >= c.backlog }

// tick sends a record into the inbox for each row whose deadline has come, in a transaction of its own. What was asked for is
// not asked again in this session before a record of the row has passed, and then more and more rarely: see answered.
func (s *session) tick() error {
	if s.e.cfg.Tick == nil {
		return nil
	}
	now := s.e.cfg.Now().UnixMilli()
	var due []store.Due
	var of []*claim // of each
	for _, c := range s.parts {
		if !c.ticks() || !c.again && min(c.table.Wake(), c.retry) > now || len(due) >= tickLimit {
			continue
		}
		more, err := c.look(now, tickLimit-len(due))
		if err != nil {
			return err
		}
		for _, d := range more {
			due, of = append(due, d), append(of, c)
		}
		if c.again = len(due) >= tickLimit; !c.again { // all that is due was looked at
			maps.DeleteFunc(c.asked, func(_ string, a *asking) bool { return !a.due && a.notBefore != never })
		}
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
		a := of[i].asked[d.Key]
		if a == nil || a.deadlineMS != d.DeadlineMS {
			a = &asking{deadlineMS: d.DeadlineMS}
			of[i].asked[d.Key] = a
		}
		a.times, a.notBefore = a.times+1, never
	}
	s.e.count.ticks.Add(float64(len(due)))
	return nil
}

// look answers what is due and may be asked for.
func (c *claim) look(now int64, limit int) ([]store.Due, error) {
	c.retry = never
	for _, a := range c.asked {
		a.due = false
	}
	return c.table.DueBy(now, limit, func(d store.Due) bool {
		a := c.asked[d.Key]
		if a == nil || a.deadlineMS != d.DeadlineMS {
			return false
		}
		if a.due = true; a.notBefore <= now {
			return false
		}
		c.retry = min(c.retry, a.notBefore)
		return true
	})
}

// answered: records of the batch have passed, so what was asked for their rows may be asked again. The row may have ignored its deadline: a record before it had set an
// earlier one, which was gone again when the batch ended. The index shows nothing of that, and without another asking the row would never be woken.
func (s *session) answered() {
	var now int64
	for i := range s.messages {
		m := &s.messages[i]
		c := s.parts[m.Partition]
		if c == nil || len(c.asked) == 0 {
			continue
		}
		if a := c.asked[string(m.Key)]; a != nil && a.notBefore == never && !planted.On(planted.DeadlineAskedOnce) {
			if now == 0 {
				now = s.e.cfg.Now().UnixMilli()
			}
			a.notBefore = now + a.pause().Milliseconds()
			c.retry = min(c.retry, a.notBefore)
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
		if at := min(c.table.Wake(), c.retry); c.ticks() && at < never {
			wait = min(wait, max(time.Millisecond, time.UnixMilli(at).Sub(now)))
		}
	}
	return wait
}

const never = int64(1<<63 - 1)

package cluster

import (
	"context"
	"time"

	"oms/internal/kafka"
	"oms/proof/audit/fold"
	"oms/topics"
)

// marks tell the fold and the books, once a second, how far the groups are.
//
// A group commits its offsets together with what it writes, but a broker shows the parts of a transaction one after the other. So a mark is made of three moments: rows of
// the tables that were read a while ago (seen) come from records before the group's offsets as they are now (taken); and a dead letter of one of those is in its topic by
// now, before its end (letters). It counts once that end is read.
type marks struct {
	seen    kafka.Offsets // everything read when the last mark was made
	at      time.Time     // when that was
	taken   kafka.Offsets // of the mark that waits for its dead letters; nil: none does
	covered kafka.Offsets
	letters kafka.Offsets
	ends    kafka.Offsets // of all topics, when they were asked for last
}

const (
	markEvery = time.Second
	// shown is how long the parts of a transaction that was seen may be shown after each other.
	shown = 200 * time.Millisecond
)

// mark makes a mark when it is time, and sets the one that has its dead letters.
func (s *session) mark(ctx context.Context) error {
	m := &s.marks
	if m.taken == nil && time.Since(m.at) >= markEvery {
		if err := s.ask(ctx); err != nil {
			return err
		}
	}
	if m.taken != nil && s.reader.Reached(m.letters) {
		s.set()
	}
	return nil
}

// ask how far the groups are.
func (s *session) ask(ctx context.Context) (err error) {
	m := &s.marks
	taken, err := s.reader.Taken(ctx, groups...)
	if err != nil {
		return askError{err}
	}
	if m.ends, err = s.ends(ctx); err != nil {
		return err
	}
	m.taken, m.covered, m.letters = taken, m.seen, kafka.Offsets{}
	for _, t := range letterTopics {
		m.letters[t] = m.ends[t]
	}
	m.seen, m.at = s.reader.Next(), time.Now()
	return nil
}

func (s *session) set() {
	taken, covered := s.marks.taken, s.marks.covered
	s.fold.do(func(f *fold.Fold) { f.Until(taken, covered) })
	s.books.Taken(taken)
	s.marks.taken = nil
}

// settle makes a mark that covers everything that was read.
func (s *session) settle(ctx context.Context) error {
	s.marks.seen = s.reader.Next()
	select { // what was seen of a transaction may be ahead of its offsets: nobody tells when they are shown
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(shown):
	}
	if err := s.ask(ctx); err != nil {
		return err
	}
	for !s.reader.Reached(s.marks.letters) {
		if err := s.poll(ctx); err != nil {
			return err
		}
	}
	s.set()
	return nil
}

var letterTopics = []string{topics.OrderDeadLetters.Name, topics.ProductDeadLetters.Name, topics.CustomerDeadLetters.Name, topics.LoginDeadLetters.Name}

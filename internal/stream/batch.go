package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/planted"
	"oms/internal/store"
)

var (
	errDied      = errors.New("stream: a partition's processor ended")
	errCancelled = errors.New("stream: the assignment was taken away")
)

// batches runs transactions until the assignment or the context ends (nil), or one fails.
func (s *session) batches(ctx context.Context) error {
	pollCtx, stop := context.WithCancel(s.ctx)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // a stop ends the polling, not the batch
	for pollCtx.Err() == nil {
		if err := s.e.whole(pollCtx, s.c); pollCtx.Err() != nil {
			break
		} else if err != nil {
			return err
		}
		if err := s.tick(); err != nil {
			return err
		}
		if err := s.poll(pollCtx); err != nil {
			return err
		}
		if s.ctx.Err() != nil {
			return nil // the records may be another session's; it starts from the committed offsets
		}
		if len(s.polled) > 0 {
			if err := s.batch(); err != nil {
				return err
			}
		}
		s.c.AllowRebalance()
	}
	return nil
}

// poll fetches the next batch. Markers of transactions only move the position.
func (s *session) poll(ctx context.Context) error {
	s.polled = s.polled[:0]
	waiting := ctx
	if wait := s.untilWake(); wait < forever {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	fetches := s.c.PollRecords(waiting, s.e.suspects.limit(s.e.cfg.MaxBatch))
	for it := fetches.RecordIter(); !it.Done(); {
		r := it.Next()
		if c := s.parts[r.Partition]; c != nil {
			c.position = r.Offset + 1
		}
		if !r.Attrs.IsControl() {
			s.polled = append(s.polled, r)
		}
	}
	var errs []error
	fetches.EachError(func(topic string, p int32, err error) {
		switch {
		case errors.Is(err, kerr.FencedInstanceID):
			errs = append(errs, &unknownError{err: err}) // this client is no member any more
		case ctx.Err() == nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
			errs = append(errs, fmt.Errorf("stream: reading %s/%d: %w", topic, p, err))
		}
	})
	return errors.Join(errs...)
}

// batch takes the polled records in one transaction.
func (s *session) batch() error {
	if err := s.begin(); err != nil {
		return err
	}
	began := time.Now()
	s.convert()
	if err := s.hand(); err != nil {
		return err
	}
	select {
	case <-s.marked:
	case <-s.died:
		return errDied
	case <-s.ctx.Done():
		return errCancelled
	}
	s.e.count.steps.Observe(time.Since(began).Seconds())
	if err := s.commit(s.withOffsets); err != nil {
		return err
	}
	s.e.count.records.Observe(float64(len(s.messages)))
	s.e.suspects.passed(s.messages)
	s.answered()
	s.messages = s.messages[:0] // what fails from here on is not their fault
	s.e.failures = 0
	return nil
}

// hand gives the batch's messages to goka's claims.
func (s *session) hand() error {
	s.left.Store(int64(len(s.messages)))
	for i := range s.messages {
		m := &s.messages[i]
		if why, tried := s.unfit(m); why != "" {
			s.bury(m, why, tried)
			s.MarkOffset(m.Topic, m.Partition, m.Offset+1, "")
			continue
		}
		c := s.parts[m.Partition]
		if c == nil {
			return errCancelled // the partitions have changed since
		}
		c.ch <- m // never blocks: a whole batch fits
		if err := s.e.fault(FaultMark); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) begin() error {
	if err := s.e.fault(FaultBegin); err != nil {
		return err
	}
	if err := s.e.begin(s.ctx, s.c); err != nil {
		return err
	}
	s.open, s.began = true, time.Now()
	s.e.out.begin(s.c.Client(), s.count)
	return nil
}

// withOffsets ends a transaction that also commits the offsets of what was polled. End asks for a heartbeat first, but a client
// that finds itself thrown out of its group beats no more: before it says so it waits for AllowRebalance, and the two would
// wait for each other for ever.
func (s *session) withOffsets() (bool, error) {
	defer time.AfterFunc(2*heartbeatInterval, s.c.AllowRebalance).Stop()
	return s.c.End(context.Background(), kgo.TryCommit)
}

// withoutOffsets ends one that has read nothing. (A GroupTransactSession would take the absent answer about offsets for that
// of an old broker, and wait half a second.)
func (s *session) withoutOffsets() (bool, error) {
	err := s.c.Client().EndTransaction(context.Background(), kgo.TryCommit)
	return err == nil, err
}

// commit sends what the steps have written, ends the open transaction, and lets the state follow.
func (s *session) commit(end func() (bool, error)) error {
	e, cl := s.e, s.c.Client()
	began := time.Now()
	err := e.out.sendRows(func(p int32, key string, before, value []byte) error {
		if c := s.parts[p]; c != nil {
			return c.table.Replace(key, before, value)
		}
		return errCancelled // the partition was taken away
	})
	if err != nil {
		return err
	}
	if err := e.fault(FaultFlush); err != nil {
		return err
	}
	if err := cl.Flush(s.ctx); err != nil {
		return errCancelled
	}
	if err := e.out.failure(); err != nil {
		return fmt.Errorf("stream: sending: %w", err)
	}
	if s.ctx.Err() != nil {
		return errCancelled // goka's Fail does nothing then: a step may be half done
	}
	if err := s.note(len(s.messages) > 0); err != nil {
		return err
	}
	if len(s.messages) > 0 && s.groups > 0 {
		e.out.touch(offsetsTopic, offsetsPartition(e.cfg.Group, s.groups))
	}
	written := make([]store.Written, 0, len(s.parts))
	for p, c := range s.parts {
		written = append(written, store.Written{Partition: c.table, Offset: e.out.rowsAt[p]})
	}
	if planted.On(planted.StateBeforeCommit) {
		if err := e.cfg.Store.Commit(written); err != nil {
			return err
		}
	}
	if err := e.fault(FaultEnd); err != nil {
		return err
	}
	flushed := time.Now()
	committed, err := end()
	s.open = false
	if !committed || err != nil {
		return &unknownError{err: errors.Join(errors.New("the commit was not confirmed"), err)}
	}
	s.began = time.Time{}
	if err := e.settled(s.c); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	ended := time.Now()
	if err := e.fault(FaultEnded); err != nil {
		return err
	}
	if err := e.cfg.Store.Commit(written); err != nil {
		return err
	}
	e.count.committed.Inc()
	e.count.flush.Observe(flushed.Sub(began).Seconds())
	e.count.end.Observe(ended.Sub(flushed).Seconds())
	e.count.store.Observe(time.Since(ended).Seconds())
	return e.fault(FaultStored)
}

// note writes the transaction into the journal. One without records has nothing that could be seen in part.
func (s *session) note(offsets bool) error {
	e := s.e
	if e.cfg.Journal == nil || len(e.out.places) == 0 {
		return nil
	}
	t := kafka.Transaction{ID: e.transactionalID(), Records: e.out.places}
	if offsets {
		t.Group, t.Offsets = e.cfg.Group, map[string]map[int32]int64{}
		for topic, parts := range s.c.Client().UncommittedOffsets() {
			t.Offsets[topic] = map[int32]int64{}
			for p, at := range parts {
				t.Offsets[topic][p] = at.Offset
			}
		}
	}
	seq, err := e.cfg.Journal.Begin(t)
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	s.c.entry = seq
	return nil
}

// convert makes goka's messages of the polled records. The memory is used again: goka keeps nothing of a batch that is over.
func (s *session) convert() {
	s.messages, s.headers, s.pointers = s.messages[:0], s.headers[:0], s.pointers[:0]
	for _, r := range s.polled {
		for i := range r.Headers {
			s.headers = append(s.headers, sarama.RecordHeader{Key: s.name(r.Headers[i].Key), Value: r.Headers[i].Value})
		}
	}
	for i := range s.headers {
		s.pointers = append(s.pointers, &s.headers[i])
	}
	rest := s.pointers
	for _, r := range s.polled {
		n := len(r.Headers)
		s.messages = append(s.messages, sarama.ConsumerMessage{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value,
			Timestamp: r.Timestamp, Headers: rest[:n:n]})
		rest = rest[n:]
	}
}

// name is a header's name as bytes; the few that every record carries are kept, for goka only reads them.
func (s *session) name(of string) []byte {
	if b, ok := s.names[of]; ok {
		return b
	}
	b := []byte(of)
	if len(s.names) < 64 { // a stranger's records may name theirs as they like
		s.names[of] = b
	}
	return b
}

// unfit says why a message may not reach a step, and how often it was tried; "" when it may. A key in a partition that is not
// its own comes from a producer with another hash; its state would be split over two partitions.
func (s *session) unfit(m *sarama.ConsumerMessage) (why string, tried int) {
	if why, ok := s.e.suspects.condemned[placeOf(m)]; ok {
		return why, tries
	}
	if len(m.Key) > 0 {
		if p := kafka.Partition(m.Key, int32(s.count)); p != m.Partition {
			return fmt.Sprintf("key %q is in partition %d but belongs to %d of %d: its producer must place keys by murmur2, as Java's does", m.Key, m.Partition, p, s.count), 0
		}
	}
	return "", 0
}

// bury sends a message to the dead letters, in the transaction that also passes it.
func (s *session) bury(m *sarama.ConsumerMessage, why string, tried int) {
	h := DeadLetterHeaders(Origin{m.Topic, m.Partition, m.Offset}, why, tried)
	for _, r := range m.Headers {
		if _, ours := h[string(r.Key)]; !ours {
			h[string(r.Key)] = r.Value
		}
	}
	s.e.log.Error("a record is sent to the dead letters", "topic", m.Topic, "partition", m.Partition, "offset", m.Offset, "error", why)
	s.e.out.send(s.e.cfg.DeadLetter, string(m.Key), m.Value, h)
	s.e.count.dead.Inc()
}

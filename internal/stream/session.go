package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/store"
)

// session is one run of goka's partitions on one assignment. It is goka's session and feeds goka's claims.
type session struct {
	e      *Engine
	c      *client
	ctx    context.Context // ends with the assignment, or to abort
	cancel context.CancelFunc
	parts  map[int32]*claim
	count  int   // partitions of the inbox, and so of the table
	groups int32 // partitions of the broker's offsets; 0: not to be seen

	open     bool      // a transaction is
	began    time.Time // the transaction whose end is not known yet; zero: none
	left     atomic.Int64
	marked   chan struct{} // one token when left reaches 0
	died     chan struct{} // one token when a claim's goroutine ends
	messages []sarama.ConsumerMessage
	headers  []sarama.RecordHeader
	names    map[string][]byte // of headers
	pointers []*sarama.RecordHeader
	polled   []*kgo.Record
}

// claim is one partition of the inbox, as goka sees it.
type claim struct {
	topic     string
	partition int32
	ch        chan *sarama.ConsumerMessage
	table     *store.Partition
	position  int64              // next offset to read
	backlog   int64              // deadlines wait until the position gets here: the end as it was at the assignment
	asked     map[string]*asking // by key: deadlines whose records were sent
	again     bool               // the index is looked at, though it knows of nothing new
	retry     int64              // ms: from then on it is looked at as well
}

func (c *claim) Topic() string                            { return c.topic }
func (c *claim) Partition() int32                         { return c.partition }
func (c *claim) InitialOffset() int64                     { return sarama.OffsetOldest }
func (c *claim) HighWaterMarkOffset() int64               { return 0 }
func (c *claim) Messages() <-chan *sarama.ConsumerMessage { return c.ch }

func newSession(e *Engine, c *client, ctx context.Context, cancel context.CancelFunc, from map[int32]int64) *session {
	e.out.shards = nil // what the session before had in memory may since have changed elsewhere, or not be committed
	s := &session{e: e, c: c, ctx: ctx, cancel: cancel, parts: map[int32]*claim{}, marked: make(chan struct{}, 1), died: make(chan struct{}, 1), names: map[string][]byte{}}
	for p, at := range from {
		s.parts[p] = &claim{topic: e.cfg.Inbox, partition: p, position: at, ch: make(chan *sarama.ConsumerMessage, e.cfg.MaxBatch), asked: map[string]*asking{}, retry: never}
	}
	return s
}

// Claims implements sarama.ConsumerGroupSession.
func (s *session) Claims() map[string][]int32 {
	all := make([]int32, 0, len(s.parts))
	for p := range s.parts {
		all = append(all, p)
	}
	return map[string][]int32{s.e.cfg.Inbox: all}
}

func (s *session) MemberID() string {
	id, _ := s.c.Client().GroupMetadata()
	return id
}

func (s *session) GenerationID() int32 {
	_, g := s.c.Client().GroupMetadata()
	return g
}

func (s *session) Context() context.Context                 { return s.ctx }
func (s *session) Commit()                                  {}
func (s *session) ResetOffset(string, int32, int64, string) {}
func (s *session) MarkMessage(m *sarama.ConsumerMessage, d string) {
	s.MarkOffset(m.Topic, m.Partition, m.Offset+1, d)
}

// MarkOffset counts: goka marks each message once, when its step and all that it emitted is done.
func (s *session) MarkOffset(string, int32, int64, string) {
	if s.left.Add(-1) == 0 {
		s.marked <- struct{}{}
	}
}

// run is the session's whole life. Its errors are unknownError, abortedError, or what the engine cannot survive.
func (s *session) run(ctx context.Context, h sarama.ConsumerGroupHandler) (err error) {
	defer s.c.AllowRebalance()
	defer s.cancel()
	// A stop ends the recovery at once, and a batch that is stuck after a while.
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, s.cancel) })()
	setupOver := context.AfterFunc(ctx, s.cancel)
	if err := s.e.warmUp(s.ctx, s.c); errors.Is(err, errCancelled) {
		return nil
	} else if err != nil {
		return err
	}
	if err := s.setup(h); err != nil {
		cerr := h.Cleanup(s)
		if errors.Is(err, ErrOffsetsLost) {
			return err
		}
		if s.ctx.Err() != nil {
			return nil // cancelled
		}
		return &abortedError{err: errors.Join(err, cerr)}
	}
	var claims sync.WaitGroup
	for _, c := range s.parts {
		claims.Go(func() {
			_ = h.ConsumeClaim(s, c) // its end is the news; Cleanup tells the cause
			select {
			case s.died <- struct{}{}:
			default:
			}
		})
	}
	setupOver()
	s.e.setReady(true)
	err = s.batches(ctx)
	s.e.setReady(false)
	s.cancel()
	for _, c := range s.parts {
		close(c.ch)
	}
	claims.Wait()
	return s.end(err, h.Cleanup(s))
}

// end aborts what is open, now that no step can add to it.
func (s *session) end(err, cleanup error) error {
	var stopped *faultError
	var unknown *unknownError
	if errors.As(err, &stopped) || errors.As(err, &unknown) {
		return err
	}
	if s.open {
		s.open = false
		if _, aerr := s.c.End(context.Background(), kgo.TryAbort); aerr != nil {
			return &unknownError{err: errors.Join(err, aerr)}
		}
		s.e.count.aborted.Inc()
	}
	switch {
	case errors.Is(err, errCancelled):
		return nil
	case errors.Is(err, errDied):
		if cleanup != nil {
			err = cleanup
		}
		return &abortedError{own: true, batch: s.messages, err: err}
	case err != nil && ownFault(err):
		return &abortedError{own: true, batch: s.messages, err: err}
	case err != nil:
		return &abortedError{batch: s.messages, err: err}
	}
	return nil
}

// setup recovers the partitions.
func (s *session) setup(h sarama.ConsumerGroupHandler) error {
	adm := kadm.NewClient(s.c.Client())
	ends, err := adm.ListCommittedOffsets(s.ctx, s.e.cfg.Inbox)
	if err != nil {
		return fmt.Errorf("stream: ends of %s: %w", s.e.cfg.Inbox, err)
	}
	starts, err := adm.ListStartOffsets(s.ctx, s.e.cfg.Inbox)
	if err != nil {
		return fmt.Errorf("stream: starts of %s: %w", s.e.cfg.Inbox, err)
	}
	if err := errors.Join(ends.Error(), starts.Error()); err != nil {
		return fmt.Errorf("stream: offsets of %s: %w", s.e.cfg.Inbox, err)
	}
	s.count = len(ends[s.e.cfg.Inbox])
	if s.e.static() {
		internal, err := adm.ListTopicsWithInternal(s.ctx, offsetsTopic)
		if err != nil {
			return fmt.Errorf("stream: partitions of %s: %w", offsetsTopic, err)
		}
		s.groups = int32(len(internal[offsetsTopic].Partitions))
	}
	if err := h.Setup(s); err != nil {
		return err
	}
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	committed := s.c.Client().CommittedOffsets()[s.e.cfg.Inbox]
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	for p, c := range s.parts {
		end, _ := ends.Lookup(c.topic, p)
		start, _ := starts.Lookup(c.topic, p)
		c.backlog, c.position, c.table = end.Offset, max(c.position, start.Offset, committed[p].Offset), s.e.partitions[p]
		if c.table == nil {
			return fmt.Errorf("stream: group %s has no table: goka.Persist is missing", s.e.cfg.Group)
		}
		if known, ok := committed[p]; !ok || known.Offset < 0 {
			if err := s.demandNoRows(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// late tells whether the open transaction has outlived its time-out. An ended one tells nothing: after an idle hour a fencing is a twin's.
func (s *session) late() bool { return !s.began.IsZero() && time.Since(s.began) >= transactionTimeout }

// ErrOffsetsLost says that a group has state but no longer knows what it has read.
var ErrOffsetsLost = errors.New("stream: the group's offsets are gone")

// demandNoRows refuses a partition without a committed offset whose table has rows: one transaction writes both, so the offset
// was deleted or has expired, and to read the inbox from its start would do and say everything a second time.
func (s *session) demandNoRows(c *claim) error {
	rows, err := c.table.Iterator()
	if err != nil {
		return err
	}
	defer rows.Release()
	if !rows.Next() {
		return rows.Err()
	}
	return fmt.Errorf("%w: group %s has rows in %s/%d and no offset in %s: they expire when no member runs for the broker's offsets.retention.minutes; "+
		"set the offset to what the group had read (kafka-consumer-groups --reset-offsets)",
		ErrOffsetsLost, s.e.cfg.Group, s.e.table, c.partition, c.topic)
}

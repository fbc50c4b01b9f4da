package stream

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"
	"time"

	"github.com/lovoo/goka"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// client is one life of the connection to Kafka: a member of the group that is also a transactional producer. It ends with
// the engine, or with a transaction whose outcome is unknown.
type client struct {
	*kgo.GroupTransactSession
	close sync.Once
	warm  bool   // has ended a transaction
	entry uint64 // of the journal, while a commit is under way; 0: none

	producer int64 // id of the last transaction

	mu       sync.Mutex
	assigned []int32         // partitions of the inbox; nil: not in a generation
	located  map[int32]int64 // the group's offsets as the generation began; nil: not asked yet
	changed  chan struct{}
	cancel   context.CancelFunc // of the session that runs on the assignment
	fenced   error              // another process has our name in the group; kgo would ask for it for ever
}

// connect makes a client and asks for its producer id, which aborts what an earlier life under the same transactional id
// left open. Nothing may be recovered before: the table would end in records whose fate is not decided.
func (e *Engine) connect(ctx context.Context) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	underWay, err := e.mend(ctx)
	if err != nil {
		return nil, err
	}
	c := &client{changed: make(chan struct{})}
	opts := []kgo.Opt{
		kgo.TransactionalID(e.transactionalID()), kgo.TransactionTimeout(transactionTimeout), kgo.ProducerLinger(linger),
		kgo.ConcurrentTransactionsBackoff(2 * time.Millisecond), kgo.MetadataMinAge(100 * time.Millisecond), // or a join may wait for seconds
		kgo.ConsumerGroup(e.cfg.Group), kgo.ConsumeTopics(e.cfg.Inbox), kgo.Balancers(kgo.RangeBalancer()), kgo.SessionTimeout(sessionTimeout), kgo.HeartbeatInterval(heartbeatInterval),
		kgo.FetchMaxWait(fetchWait), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.BlockRebalanceOnPoll(), kgo.KeepControlRecords(),
		// These callbacks only take note: they must not wait for a transaction, whose end takes the same lock.
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, a map[string][]int32) { c.assign(a[e.cfg.Inbox]) }),
		kgo.OnOffsetsFetched(func(_ context.Context, _ *kgo.Client, r *kmsg.OffsetFetchResponse) error { c.locate(r); return nil }),
		kgo.OnPartitionsRevoked(func(context.Context, *kgo.Client, map[string][]int32) { c.revoke() }),
		kgo.OnPartitionsLost(func(context.Context, *kgo.Client, map[string][]int32) { c.revoke() }),
		kgo.WithHooks(groupErrors(func(err error) {
			e.log.Warn("out of the group; joining again", "error", err)
			c.fence(err)
		})),
	}
	if e.static() {
		opts = append(opts, kgo.InstanceID(e.cfg.Instance))
	}
	gts, err := kgo.NewGroupTransactSession(e.cfg.Kafka.Options(opts...)...)
	if err != nil {
		return nil, fmt.Errorf("stream: client of group %s: %w", e.cfg.Group, err)
	}
	c.GroupTransactSession = gts
	if _, _, err := gts.Client().ProducerID(ctx); err != nil {
		c.shut()
		return nil, fmt.Errorf("stream: producer id of %s: %w", e.transactionalID(), err)
	}
	if underWay {
		if _, err := e.mend(ctx); err != nil {
			c.shut()
			return nil, err
		}
	}
	return c, nil
}

// static tells whether the instance is a member under its own name: one that is killed and started again takes its place at
// once, where an unnamed one would be waited for until its session times out. The embedded broker does not know such
// members, and needs them less: its groups end with its process.
func (e *Engine) static() bool { return e.cfg.Life == "" }

// shut closes the connection. Records that wait are dropped; an open transaction stays open, for the next life to abort.
func (c *client) shut() {
	c.close.Do(func() {
		c.revoke()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		c.AllowRebalance()
		_ = c.Client().LeaveGroupContext(ctx) // otherwise the session time-out tells the group
		c.CloseAllowingRebalance()
	})
}

// leave is shut for good: a named member has to say that it will not be back.
func (e *Engine) leave() {
	c := e.current()
	c.shut()
	if !e.static() || !e.left.CompareAndSwap(false, true) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(e.cfg.Kafka.Options()...)
	if err != nil {
		return
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).LeaveGroup(ctx, kadm.LeaveGroup(e.cfg.Group).InstanceIDs(e.cfg.Instance).Reason("stopped")); err != nil {
		e.log.Warn("leaving the group; it will miss this member after the session time-out", "error", err)
	}
}

// assign notes a new generation's partitions, none included.
func (c *client) assign(partitions []int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.assigned, c.located = append([]int32{}, partitions...), nil
	if c.cancel != nil {
		c.cancel() // a second revocation before the session's first transaction is not told
	}
	slices.Sort(c.assigned)
	c.tell()
}

// locate notes where the partitions are to be read from. The answer waited for transactions of other members to end.
func (c *client) locate(r *kmsg.OffsetFetchResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.located = map[int32]int64{}
	for _, g := range r.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				c.located[p.Partition] = p.Offset
			}
		}
	}
	c.tell()
}

// tell wakes who waits for a session. The caller holds mu.
func (c *client) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// revoke ends the generation.
func (c *client) revoke() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.assigned, c.located = nil, nil
	if c.cancel != nil {
		c.cancel()
	}
}

// groupErrors hears what throws a member out of its group.
type groupErrors func(error)

// OnGroupManageError implements kgo.HookGroupManageError.
func (f groupErrors) OnGroupManageError(err error) { f(err) }

// fence takes note when the member cannot come back.
func (c *client) fence(err error) {
	if !errors.Is(err, kerr.FencedInstanceID) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fenced = err
	c.tell()
}

// session waits for an assignment, which it answers with the offsets to read from, and binds a new context to it, which ends
// with it. No session: the context ended, or there will be none for this client.
func (c *client) session(ctx context.Context) (map[int32]int64, context.Context, context.CancelFunc, error) {
	for {
		c.mu.Lock()
		if c.fenced != nil {
			c.mu.Unlock()
			return nil, nil, nil, &unknownError{err: c.fenced}
		}
		if c.located != nil || c.assigned != nil && len(c.assigned) == 0 {
			// A stop does not cancel a session: what it has open is committed first.
			sctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
			c.cancel = cancel
			from := map[int32]int64{}
			for _, p := range c.assigned {
				from[p] = c.located[p]
			}
			c.mu.Unlock()
			return from, sctx, cancel, nil
		}
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, nil, nil
		}
	}
}

// warmUp ends an aborted transaction. The first transaction of a cold broker may take seconds, which is better spent before
// the engine says it is ready; and the session forgets a revocation that came between transactions, which would otherwise
// abort the next one. Reading starts again at the committed offsets.
func (e *Engine) warmUp(ctx context.Context, c *client) error {
	if err := e.begin(ctx, c); err != nil {
		return err
	}
	if !c.warm {
		c.Produce(ctx, &kgo.Record{Topic: e.cfg.DeadLetter}, func(r *kgo.Record, err error) {
			e.out.touch(r.Topic, r.Partition)
			if err != nil && ctx.Err() == nil {
				e.log.Warn("the dead-letter topic does not take records", "topic", e.cfg.DeadLetter, "error", err)
			}
		})
		_ = c.Client().Flush(ctx) // cancelled with the session; the record is aborted in any case
	}
	if _, err := c.End(context.WithoutCancel(ctx), kgo.TryAbort); err != nil {
		return &unknownError{err: err}
	}
	c.warm = true
	return nil
}

// begin begins a transaction when the one before is whole.
func (e *Engine) begin(ctx context.Context, c *client) (err error) {
	if err := e.whole(ctx, c); err != nil {
		return err
	}
	if err := c.Begin(); err != nil {
		return &unknownError{err: err}
	}
	if e.static() { // only there it is asked for
		ctx, cancel := context.WithTimeout(context.Background(), transactionTimeout)
		defer cancel()
		if c.producer, _, err = c.Client().ProducerID(ctx); err != nil {
			return &unknownError{err: err}
		}
	}
	return nil
}

// unknownError is a transaction, or the end of one, whose outcome is not known.
type unknownError struct {
	err  error
	late bool // the transaction had outlived its time-out, for which the broker fences its producer
}

func (u *unknownError) Error() string {
	return "the outcome of a transaction is unknown: " + u.err.Error()
}
func (u *unknownError) Unwrap() error { return u.err }

// ErrFenced says that another process runs under the same transactional id.
var ErrFenced = errors.New("stream: fenced: another process uses the same group and instance name")

// fencedAgain is how soon a second fencing shows that another process lives under our name. Once is no proof: the broker
// also fences a process that was stopped for longer than its transaction may take.
const fencedAgain = time.Minute

// reconnect replaces the client after an unknown outcome. When it returns the transaction is settled: what the changelog
// and the group's offsets say is what happened.
func (e *Engine) reconnect(ctx context.Context, why error) error {
	old := e.current()
	old.shut()
	e.count.reconnects.Inc()
	var unknown *unknownError
	late := errors.As(why, &unknown) && unknown.late
	if late {
		e.log.Warn("a transaction outlived its time-out; the next batch is half as large", "limit", transactionTimeout.String())
	} else if errors.Is(why, kerr.ProducerFenced) || errors.Is(why, kerr.InvalidProducerEpoch) || errors.Is(why, kerr.FencedInstanceID) {
		last := e.fenced
		if e.fenced = time.Now(); e.fenced.Sub(last) < fencedAgain {
			return fmt.Errorf("%w (%s): %w", ErrFenced, e.transactionalID(), why)
		}
	}
	e.log.Warn("reconnecting: the state is read again from the changelog", "error", why)
	for try := 0; ; try++ {
		c, err := e.connect(ctx)
		if err == nil {
			if err = e.settled(old); err != nil {
				c.shut()
				return err
			}
			e.mu.Lock()
			e.client = c
			e.mu.Unlock()
			e.out.forget() // connect has looked everywhere
			return nil
		}
		e.log.Warn("reconnecting", "try", try, "error", err)
		if !pause(ctx, try) {
			return nil
		}
	}
}

// settled closes the journal's entry of a transaction that the broker has decided.
func (e *Engine) settled(c *client) error {
	if c.entry == 0 {
		return nil
	}
	seq := c.entry
	c.entry = 0
	return e.cfg.Journal.Done(seq)
}

// pause waits before a try is repeated, longer each time; false when the context ended.
func pause(ctx context.Context, try int) bool {
	t := time.NewTimer(min(50*time.Millisecond<<min(try, 10), 5*time.Second))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// bounds are the first offset of a partition and the one after its last.
func (e *Engine) bounds(topic string, partition int32) (start, end int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	adm := kadm.NewClient(e.current().Client())
	if start, err = offsetOf(ctx, adm.ListStartOffsets, topic, partition); err != nil {
		return 0, 0, err
	}
	end, err = offsetOf(ctx, adm.ListEndOffsets, topic, partition)
	return start, end, err
}

// offsetOf asks one of kadm's lists for one partition.
func offsetOf(ctx context.Context, list func(context.Context, ...string) (kadm.ListedOffsets, error), topic string, partition int32) (int64, error) {
	all, err := list(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("stream: offsets of %s: %w", topic, err)
	}
	o, ok := all.Lookup(topic, partition)
	if !ok {
		return 0, fmt.Errorf("stream: topic %s has no partition %d", topic, partition)
	}
	if o.Err != nil {
		return 0, fmt.Errorf("stream: offset of %s/%d: %w", topic, partition, o.Err)
	}
	return o.Offset, nil
}

// buildProducer is the first that goka asks for, before it recovers anything.
func (e *Engine) buildProducer([]string, string, func() hash.Hash32) (goka.Producer, error) {
	c, err := e.connect(context.Background())
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.client = c
	return &e.out, nil
}

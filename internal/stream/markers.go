package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// A broker answers the end of a transaction once the decision is in its log; the markers that carry it into each partition
// come after. Kafka 4.3.1 may forget them: a coordinator that starts while a partition has no leader takes the partition for
// deleted and the transaction for complete (KAFKA-20734), as happens to every partition when the only broker is killed and
// starts again. The records stay open then, and belong to whatever the same producer ends next: an abort takes back what was
// confirmed, in the partitions that it touches. So no transaction begins before the markers of the one before are seen, and
// what is still open when the coordinator says that all is over gets its markers by a second transaction.

var errMarkers = errors.New("the broker has lost markers of a transaction that is over")

// offsetsTopic is where the broker keeps the offsets of groups. A commit of offsets is open and decided like a record.
const offsetsTopic = "__consumer_offsets"

// whole waits until the markers of the transaction before are in all its partitions. Mostly they are.
func (e *Engine) whole(session context.Context, c *client) error {
	wrote := e.out.wrote()
	if !e.static() || len(wrote) == 0 {
		return nil // the embedded broker writes them before it answers
	}
	ctx, cancel := context.WithTimeout(session, transactionTimeout)
	defer cancel()
	over := false
	for try := 0; ; try++ {
		open, err := openIn(ctx, c.Client(), c.producer, wrote, true)
		if err == nil && len(open) == 0 {
			e.out.forget()
			return nil
		}
		if session.Err() != nil {
			return errCancelled
		}
		if err == nil && over {
			return &unknownError{err: errMarkers}
		}
		if try > 5 {
			t, terr := e.decided(ctx, c.Client())
			over, err = terr == nil && t.over(), errors.Join(err, terr)
		}
		select {
		case <-time.After(min(time.Millisecond<<min(try, 10), 200*time.Millisecond)):
		case <-ctx.Done():
			if session.Err() != nil {
				return errCancelled
			}
			return &unknownError{err: errors.Join(errors.New("the markers of the transaction before are not seen"), err)}
		}
	}
}

// verdict is what the coordinator knows of a transactional id.
type verdict struct{ kadm.DescribedTransaction }

// ongoing is the state of a transaction whose end nobody has asked for.
const ongoing = "Ongoing"

// same tells whether no transaction has ended between two verdicts.
func (v verdict) same(as *verdict) bool {
	return v.ProducerID == as.ProducerID && v.ProducerEpoch == as.ProducerEpoch
}

// over tells whether nothing is left to do, for the coordinator.
func (v verdict) over() bool {
	return slices.Contains([]string{"Empty", "CompleteCommit", "CompleteAbort", "Dead"}, v.State)
}

// decided asks for the state of the engine's transactional id; an empty one: it is not known.
func (e *Engine) decided(ctx context.Context, cl *kgo.Client) (verdict, error) {
	all, err := kadm.NewClient(cl).DescribeTransactions(ctx, e.transactionalID())
	if err != nil {
		return verdict{}, fmt.Errorf("stream: state of %s: %w", e.transactionalID(), err)
	}
	t, err := all.On(e.transactionalID(), nil)
	if err = errors.Join(err, t.Err); errors.Is(err, kerr.TransactionalIDNotFound) {
		return verdict{}, nil
	}
	return verdict{t}, err
}

// openIn answers in which partitions of the topics a producer has records that are not decided. Partitions that are gone, or
// may not be looked into, count as decided; so do those without a leader, unless all have to be seen.
func openIn(ctx context.Context, cl *kgo.Client, producer int64, topics kadm.TopicsSet, all bool) (kadm.TopicsSet, error) {
	req := kmsg.NewPtrDescribeProducersRequest()
	for topic, partitions := range topics {
		t := kmsg.NewDescribeProducersRequestTopic()
		t.Topic, t.Partitions = topic, slices.Sorted(maps.Keys(partitions))
		req.Topics = append(req.Topics, t)
	}
	open := kadm.TopicsSet{}
	var errs []error
	failed := func(err error) {
		switch {
		case err == nil, errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.UnknownTopicOrPartition):
		case errors.Is(err, kerr.LeaderNotAvailable) && !all:
		default:
			errs = append(errs, fmt.Errorf("stream: open transactions: %w", err))
		}
	}
	for _, shard := range cl.RequestSharded(ctx, req) {
		if failed(shard.Err); shard.Err != nil {
			continue
		}
		for _, t := range shard.Resp.(*kmsg.DescribeProducersResponse).Topics {
			for _, p := range t.Partitions {
				failed(kerr.ErrorForCode(p.ErrorCode))
				for _, a := range p.ActiveProducers {
					if a.ProducerID == producer && a.CurrentTxnStartOffset >= 0 {
						open.Add(t.Topic, p.Partition)
					}
				}
			}
		}
	}
	return open, errors.Join(append(errs, ctx.Err())...)
}

// everywhere are the partitions that can be seen: where a transaction wrote is not known any more when it is over.
func everywhere(ctx context.Context, cl *kgo.Client) (kadm.TopicsSet, error) {
	all, err := kadm.NewClient(cl).ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, fmt.Errorf("stream: topics: %w", err)
	}
	return all.TopicsSet(), nil
}

// leaderPatience is how long a partition without a leader is waited for, which may be one that nobody here writes to.
const leaderPatience = 10 * time.Second

// mend brings what was over under the engine's id to its end in every partition, before another life of the id begins
// anything. It leaves a transaction that is under way: the next life aborts it, and has to look again.
func (e *Engine) mend(ctx context.Context) (underWay bool, err error) {
	if !e.static() {
		return false, nil
	}
	// The protocol before KIP-890: in the later one a partition joins a transaction only with a record.
	versions := kversion.Stable()
	for _, key := range []kmsg.Key{kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn} {
		versions.SetMaxKeyVersion(key.Int16(), 3)
	}
	versions.SetMaxKeyVersion(kmsg.EndTxn.Int16(), 4)
	cl, err := kgo.NewClient(e.cfg.Kafka.Options(kgo.MaxVersions(versions))...)
	if err != nil {
		return false, err
	}
	defer cl.Close()
	began, begun := time.Now(), false
	for try := 0; ; try++ {
		t, done, err := e.mendOnce(ctx, cl, time.Since(began) < leaderPatience)
		if e.marking != nil && !begun { // cut off in the middle by a stop or a time-out, the next life would abort it
			begun = true
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
			defer cancel()
		}
		if done || ctx.Err() != nil {
			return t.State == ongoing, errors.Join(err, ctx.Err())
		}
		if err != nil && try > 5 { // a broker that starts has no coordinators at first
			e.log.Warn("looking for markers that the broker may have lost", "try", try, "error", err)
		}
		pause(ctx, try)
	}
}

// mendOnce goes one step; done when nothing that is over is open.
func (e *Engine) mendOnce(ctx context.Context, cl *kgo.Client, all bool) (t verdict, done bool, err error) {
	if t, err = e.decided(ctx, cl); err != nil || t.TxnID == "" {
		return t, err == nil, err
	}
	if f := e.marking; f != nil && t.State == ongoing && t.same(f) {
		return t, false, e.mark(ctx, cl, f) // cut off in the middle
	}
	e.marking = nil
	if !t.over() {
		return t, t.State == ongoing, nil // otherwise its markers are being written
	}
	seen, err := everywhere(ctx, cl)
	if err != nil {
		return t, false, err
	}
	open, err := openIn(ctx, cl, t.ProducerID, seen, all)
	if err != nil || len(open) == 0 {
		return t, err == nil, err
	}
	// A process that has our name by mistake may have begun the next one meanwhile. When it has not, it will not: it waits for
	// the same markers.
	if again, err := e.decided(ctx, cl); err != nil || again.State != t.State || again.StartTimestamp != t.StartTimestamp || !again.same(&t) {
		return t, false, err
	}
	e.log.Warn("the broker has lost markers of a transaction; they are written now", "state", t.State, "partitions", fmt.Sprint(open))
	t.Topics, e.marking = open, &t
	return t, false, e.mark(ctx, cl, &t)
}

// mark ends a transaction over the open partitions as the one was ended that left them open: a marker decides all that its
// producer has in a partition. An id is Empty only when what was open before has been aborted.
func (e *Engine) mark(ctx context.Context, cl *kgo.Client, of *verdict) error {
	topics := maps.Clone(of.Topics)
	_, offsets := topics[offsetsTopic]
	delete(topics, offsetsTopic)
	if len(topics) > 0 {
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = of.TxnID, of.ProducerID, of.ProducerEpoch
		for topic, partitions := range topics {
			t := kmsg.NewAddPartitionsToTxnRequestTopic()
			t.Topic, t.Partitions = topic, slices.Collect(maps.Keys(partitions))
			req.Topics = append(req.Topics, t)
		}
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("stream: adding %s/%d to a transaction: %w", t.Topic, p.Partition, err)
				}
			}
		}
	}
	if offsets {
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = of.TxnID, of.ProducerID, of.ProducerEpoch, e.cfg.Group
		resp, err := req.RequestWith(ctx, cl)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err != nil {
			return fmt.Errorf("stream: adding offsets to a transaction: %w", err)
		}
	}
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = of.TxnID, of.ProducerID, of.ProducerEpoch, of.State == "CompleteCommit"
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	return err
}

// offsetsPartition is where the broker keeps a group's offsets: the group coordinator's choice, by the hash of Java's strings.
func offsetsPartition(group string, partitions int32) int32 {
	var h int32
	for _, c := range []byte(group) {
		h = 31*h + int32(c)
	}
	if h = max(h, -h); h < 0 { // the one number that has no absolute value
		h = 0
	}
	return h % partitions
}

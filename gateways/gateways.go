// Package gateways acts on the outside world: it takes requests from their topics, asks providers, and says what they answered.
//
// The payment dispatcher asks at least once: a request counts as done when its reply is in the log, and after a crash it is asked again under the same
// idempotency key. Requests of one payment are asked one after the other, in the order of the log; everything else goes side by side.
package gateways

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"oms/gateways/payment"
	"oms/internal/kafka"
	"oms/internal/stream"
	"oms/schemas"
	"oms/topics"
)

// Group is the consumer group of the dispatchers.
const Group = "payment-gateway"

const (
	room        = 8192 // requests taken and not yet done; above it no more are read
	pollRecords = 1024
	commitEvery = 500 * time.Millisecond // what is asked twice after a kill
	forgetful   = 24 * time.Hour         // a provider may have forgotten an idempotency key that is older
)

// Config of a dispatcher.
type Config struct {
	Kafka     kafka.Settings
	Instance  string                      // its name in the group: killed and started again, it takes its place at once, where one without a name is waited for until its session times out
	Providers map[string]payment.Provider // by the name that orders carry
	Timing    Timing                      // zero fields: Hold 5 s, Attempt 2 s, Open 1 s
	Log       *slog.Logger
	Metrics   prometheus.Registerer
}

// Dispatcher asks payment providers what the topic of requests says.
type Dispatcher struct {
	kafka   kafka.Settings
	name    string // of a member of its own name; empty: of none
	timing  Timing
	log     *slog.Logger
	metrics *metrics
	lanes   map[string]*lane
	client  *kgo.Client
	ready   atomic.Bool
	fail    context.CancelCauseFunc // ends Run with an error

	mu     sync.Mutex
	claims map[int32]*claim
	last   map[string]*job // by payment_id: its latest request that is not done
	unread map[int32]bool  // partitions of which the group had read nothing

	taken atomic.Int64
	freed chan struct{} // a token after something was done while the reader waits for room
}

// New dispatcher; it does nothing before Run.
func New(c Config) (*Dispatcher, error) {
	if c.Timing.Hold == 0 {
		c.Timing.Hold = 5 * time.Second
	}
	if c.Timing.Attempt == 0 {
		c.Timing.Attempt = 2 * time.Second
	}
	if c.Timing.Open == 0 {
		c.Timing.Open = time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{kafka: c.Kafka, name: c.Instance, timing: c.Timing, log: c.Log.With("gateway", "payment"), lanes: map[string]*lane{}, claims: map[int32]*claim{}, unread: map[int32]bool{}, last: map[string]*job{}, freed: make(chan struct{}, 1)}
	var err error
	if d.metrics, err = newMetrics(c.Metrics, &d.taken); err != nil {
		return nil, fmt.Errorf("gateways: %w", err)
	}
	for name, p := range c.Providers {
		d.lanes[name] = newLane(name, p, c.Timing, room+pollRecords, d.breaker(name))
	}
	return d, nil
}

// breaker shows a provider's breaker from now on.
func (d *Dispatcher) breaker(provider string) func(circuitbreaker.State) {
	gauge := d.metrics.breakers.WithLabelValues(provider)
	return func(s circuitbreaker.State) {
		gauge.Set(breakerStates[s])
		d.log.Warn("the breaker of a provider changed", "provider", provider, "state", s)
	}
}

// Ready tells whether requests are being read.
func (d *Dispatcher) Ready() bool { return d.ready.Load() }

// Run dispatches until ctx ends, then waits for what is at a provider, commits and leaves the group. It may run once.
func (d *Dispatcher) Run(ctx context.Context) (err error) {
	ctx, d.fail = context.WithCancelCause(ctx)
	defer d.fail(nil)
	opts := []kgo.Opt{
		kgo.ConsumerGroup(Group), kgo.ConsumeTopics(topics.PaymentRequests.Name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.SessionTimeout(10 * time.Second), kgo.BlockRebalanceOnPoll(), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(d.assigned), kgo.OnPartitionsRevoked(d.revoked), kgo.OnPartitionsLost(d.gone), kgo.OnOffsetsFetched(d.located),
		// One produce request at a time: replies of a busy moment gather behind it as well.
		kgo.ProducerLinger(d.kafka.Gather), kgo.MaxProduceRequestsInflightPerBroker(1),
	}
	if d.name != "" {
		opts = append(opts, kgo.InstanceID(d.name))
	}
	d.client, err = kgo.NewClient(d.kafka.Options(opts...)...)
	if err != nil {
		return fmt.Errorf("gateways: %w", err)
	}
	defer d.ready.Store(false) // last: a rebalance under way may hand out partitions until the group is left
	defer d.client.Close()
	var team sync.WaitGroup
	for _, l := range d.lanes {
		for range workers {
			team.Go(func() { d.work(ctx, l) })
		}
	}
	team.Go(func() { d.commitNowAndThen(ctx) })
	d.read(ctx)
	d.ready.Store(false)
	d.client.AllowRebalance()
	d.client.LeaveGroup()                                 // gives the partitions back, as in any rebalance, when what is at a provider has been answered
	if !errors.Is(context.Cause(ctx), stream.ErrFenced) { // it would throw the other one out
		d.resign()
	}
	team.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return fmt.Errorf("gateways: %w", cause)
	}
	return nil
}

// resign says that a member of its own name will not be back; otherwise its session time-out does.
func (d *Dispatcher) resign() {
	if d.name == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := kadm.NewClient(d.client).LeaveGroup(ctx, kadm.LeaveGroup(Group).InstanceIDs(d.name).Reason("stopped")); err != nil {
		d.log.Warn("leaving the group; it will miss this member after the session time-out", "error", err)
	}
}

// read takes records while there is room for them.
func (d *Dispatcher) read(ctx context.Context) {
	for ctx.Err() == nil {
		for d.taken.Load() >= room {
			select {
			case <-d.freed:
			case <-ctx.Done():
				return
			}
		}
		fetches := d.client.PollRecords(ctx, pollRecords)
		fetches.EachError(func(topic string, p int32, err error) {
			if errors.Is(err, kerr.FencedInstanceID) { // the client would ask for its place for ever, and this process would look ready
				d.fail(fmt.Errorf("%w: group %s, instance %q: give each its own --instance", stream.ErrFenced, Group, d.name))
				return
			}
			if ctx.Err() == nil { // the client goes on by itself
				d.log.Warn("reading requests", "topic", topic, "partition", p, "error", err)
			}
		})
		fetches.EachRecord(d.accept)
		d.client.AllowRebalance()
	}
}

func (d *Dispatcher) assigned(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range parts[topics.PaymentRequests.Name] {
		d.claims[p] = newClaim()
	}
	d.ready.Store(true)
}

// gone: others own the partitions already, and will ask again what is not committed.
func (d *Dispatcher) gone(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
	d.release(parts)
}

// revoked: what is at a provider may end, the rest is left to the next owner.
func (d *Dispatcher) revoked(ctx context.Context, _ *kgo.Client, parts map[string][]int32) {
	ctx, cancel := context.WithTimeout(ctx, d.timing.Attempt+time.Second)
	defer cancel()
	claims := d.release(parts)
	for p, c := range claims {
		select {
		case <-c.idle:
		case <-ctx.Done():
			d.log.Warn("a partition is given back with requests at a provider; its next owner asks again", "partition", p)
		}
	}
	d.commit(context.WithoutCancel(ctx), claims)
}

func (d *Dispatcher) release(parts map[string][]int32) map[int32]*claim {
	d.mu.Lock()
	defer d.mu.Unlock()
	released := map[int32]*claim{}
	for _, p := range parts[topics.PaymentRequests.Name] {
		if c := d.claims[p]; c != nil {
			c.lose()
			released[p] = c
			delete(d.claims, p)
		}
	}
	return released
}

func (d *Dispatcher) commitNowAndThen(ctx context.Context) {
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.mu.Lock()
			claims := make(map[int32]*claim, len(d.claims))
			for p, c := range d.claims {
				claims[p] = c
			}
			d.mu.Unlock()
			d.commit(ctx, claims)
		}
	}
}

// commit writes the progress. One that fails is made up for by the next, or by asking again.
func (d *Dispatcher) commit(ctx context.Context, claims map[int32]*claim) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	offsets := map[int32]kgo.EpochOffset{}
	for p, c := range claims {
		if at, fresh := c.progress(); fresh {
			offsets[p] = at
		}
	}
	if len(offsets) == 0 {
		return
	}
	d.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{topics.PaymentRequests.Name: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, res *kmsg.OffsetCommitResponse, err error) {
			if err != nil {
				d.log.Info("progress was not committed", "error", err)
				return
			}
			for _, t := range res.Topics {
				for _, p := range t.Partitions {
					if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
						d.log.Info("progress was not committed", "partition", p.Partition, "error", err)
					} else if c := claims[p.Partition]; c != nil {
						c.committed(offsets[p.Partition])
					}
				}
			}
		})
}

// located notes of which partitions the group has read nothing yet.
func (d *Dispatcher) located(_ context.Context, _ *kgo.Client, r *kmsg.OffsetFetchResponse) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, g := range r.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				d.unread[p.Partition] = p.Offset < 0
			}
		}
	}
	return nil
}

// ErrOffsetsLost says that the group no longer knows which requests were asked.
var ErrOffsetsLost = errors.New("the group's offsets are gone")

// accept takes a record into the order of its payment.
func (d *Dispatcher) accept(r *kgo.Record) {
	d.mu.Lock()
	c, unread := d.claims[r.Partition], d.unread[r.Partition]
	d.unread[r.Partition] = false // the first is the oldest
	d.mu.Unlock()
	if c == nil {
		return // not ours any more
	}
	if age := time.Since(r.Timestamp); unread && age > forgetful {
		d.fail(fmt.Errorf("%w: group %s has read nothing of %s/%d, and a request in it is %s old: to ask it again could charge twice; "+
			"set the offset to what was asked (kafka-consumer-groups --reset-offsets)", ErrOffsetsLost, Group, r.Topic, r.Partition, age.Round(time.Hour)))
		return
	}
	c.add(r.Offset, r.LeaderEpoch)
	d.taken.Add(1)
	j := &job{claim: c, offset: r.Offset, parent: make(topics.Headers, len(r.Headers))}
	for _, h := range r.Headers {
		j.parent[h.Key] = h.Value
	}
	if err := topics.Newer(r.Topic, r.Value, func(name string) []byte { return j.parent[name] }); err != nil {
		d.fail(fmt.Errorf("%s/%d@%d: %w: run that build here too", r.Topic, r.Partition, r.Offset, err))
		return
	}
	m := schemas.Decode(r.Value)
	var err error
	if j.request, err = payment.RequestOf(m); err == nil && string(r.Key) != m.Key() {
		err = fmt.Errorf("the record's key is %q, the message's is %q: they must be equal", r.Key, m.Key())
	}
	if err != nil {
		d.bury(j, r, err)
		return
	}
	d.enqueue(j)
}

// bury sets a record aside that is no request, for the operators.
func (d *Dispatcher) bury(j *job, r *kgo.Record, why error) {
	if !j.claim.begin() {
		d.free()
		return
	}
	d.metrics.buried.Inc()
	d.log.Error("a record is no request; it goes to the dead letters", "partition", r.Partition, "offset", r.Offset, "error", why)
	h := j.parent
	maps.Copy(h, stream.DeadLetterHeaders(stream.Origin{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}, why.Error(), 1))
	d.send(topics.PaymentDeadLetters.Name, r.Key, r.Value, maps.All(h), func() {
		j.claim.end(j.offset)
		d.free()
	})
}

// send writes a record and calls done when it is in the log. It does not come back before there is room in the producer's buffer.
func (d *Dispatcher) send(topic string, key, value []byte, h iter.Seq2[string, []byte], done func()) {
	record := &kgo.Record{Topic: topic, Key: key, Value: value, Timestamp: time.Now(), Headers: make([]kgo.RecordHeader, 0, 2)} // a reply has that many
	for name, v := range h {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: name, Value: v})
	}
	d.client.Produce(context.Background(), record, func(_ *kgo.Record, err error) {
		if err != nil { // the producer has given up: start anew from what is committed
			d.fail(fmt.Errorf("writing to %s: %w", topic, err))
			return
		}
		done()
	})
}

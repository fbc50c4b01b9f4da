// Package stream makes goka exactly-once, from outside. Behind goka's public seams it puts one franz-go transaction per batch
// of input: the batch's steps, their outputs, the changelog of their state and the input offsets are committed in Kafka all
// or not at all, and the local state follows.
//
//	poll ≤ N records → begin → hand them to goka's claims → all are marked → flush → journal → end → state → markers → next
//
// The end of a transaction has three outcomes: committed; aborted for certain; and unknown, when a commit was asked for and
// not confirmed. An unknown one is neither: the client is thrown away, the broker is asked to settle the transaction, and the
// state is read again from the changelog.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lovoo/goka"
	"github.com/lovoo/goka/storage"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"

	"oms/internal/kafka"
	"oms/internal/store"
)

// Journal notes a transaction before its commit, for a broker whose commit is not atomic.
type Journal interface {
	Begin(kafka.Transaction) (seq uint64, err error)
	Done(seq uint64) error
}

// Record is what an engine sends on its own account.
type Record struct {
	Key     string
	Value   []byte
	Headers map[string][]byte
}

// Config of an Engine. Kafka, Group, Inbox, DeadLetter, Instance and Store are needed.
type Config struct {
	Kafka      kafka.Settings
	Group      string // consumer group, and goka's group; its table is <group>-table
	Inbox      string // its one input topic
	DeadLetter string // where records go that cannot be taken

	Instance string  // stable name of this process among those of the group: the transactional id is <group>-<instance>
	Life     string  // on an embedded broker: a name never used before, that ends the transactional id
	Journal  Journal // of an embedded broker; nil on a real Kafka

	Store    *store.DB
	MaxBatch int // records in one transaction at most; default 2,000

	// Deadline finds in a row's bytes when it wants to be woken; Tick is the record that its owner then sends to the inbox.
	// Both nil: no deadlines.
	Deadline func(value []byte) (ms int64, ok bool)
	Tick     func(key string, deadlineMS int64) Record
	Now      func() time.Time // default time.Now

	Log     *slog.Logger
	Metrics prometheus.Registerer
	Fault   func(point string) error // of tests: an error stops the engine dead at one of the points named in fault.go
}

// The times of an engine. A transaction ends well before its time-out, unless the process hangs; another instance's recovery
// waits that long for it. A dead member of a group is missed after the session time-out.
const (
	transactionTimeout = 12 * time.Second
	sessionTimeout     = 10 * time.Second
	heartbeatInterval  = time.Second
	fetchWait          = 250 * time.Millisecond // a fetch that finds nothing holds up one for other partitions
	linger             = 5 * time.Millisecond   // a long batch is sent while it runs; Flush ends the wait
	stopGrace          = 8 * time.Second        // what a stop gives the open batch
)

// Engine runs one instance of a group.
type Engine struct {
	cfg   Config
	table string
	log   *slog.Logger
	count *metrics

	mu         sync.Mutex
	client     *client                    // the one in use; replaced after an unknown outcome
	partitions map[int32]*store.Partition // of the table, as goka opened them

	out      output
	suspects suspects
	failures int                   // in a row, none of them a record's own
	fenced   time.Time             // last
	marking  *verdict              // whose lost markers are being written, under its id and epoch; nil: none's
	halted   atomic.Pointer[error] // why nothing more may be decided here
	left     atomic.Bool
	ready    atomic.Bool
	woken    chan struct{} // closed and replaced at each change of ready
}

// New checks the configuration. Nothing runs before goka does.
func New(c Config) (*Engine, error) {
	var errs []error
	for name, v := range map[string]string{"Group": c.Group, "Inbox": c.Inbox, "DeadLetter": c.DeadLetter, "Instance": c.Instance} {
		if v == "" {
			errs = append(errs, fmt.Errorf("stream: %s is empty", name))
		}
	}
	if c.Store == nil {
		errs = append(errs, errors.New("stream: Store is nil"))
	}
	if (c.Deadline == nil) != (c.Tick == nil) {
		errs = append(errs, errors.New("stream: one of Deadline and Tick is nil: a row that wants to be woken needs both"))
	}
	if (c.Journal == nil) != (c.Life == "") {
		errs = append(errs, errors.New("stream: Journal and Life belong together: both on an embedded broker, none on a real one"))
	}
	if c.MaxBatch < 0 {
		errs = append(errs, fmt.Errorf("stream: MaxBatch is %d: it may not be negative", c.MaxBatch))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if c.MaxBatch == 0 {
		c.MaxBatch = 2000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{cfg: c, table: string(goka.GroupTable(goka.Group(c.Group))), log: c.Log.With("group", c.Group), count: newMetrics(c.Group, c.Metrics),
		partitions: map[int32]*store.Partition{}, woken: make(chan struct{})}
	e.out.engine, e.out.touched = e, kadm.TopicsSet{}
	return e, nil
}

// Options put the engine under a goka processor. Others may follow, but none that sets the same.
func (e *Engine) Options() []goka.ProcessorOption {
	return []goka.ProcessorOption{
		goka.WithClientID(e.cfg.Kafka.ClientID),
		goka.WithHasher(kafka.NewHasher),
		goka.WithNilHandling(goka.NilProcess),         // ignored, a record without a value would vanish
		goka.WithPartitionChannelSize(e.cfg.MaxBatch), // a batch fits, so that handing it over does not switch goroutines
		goka.WithLogger(gokaLog{e.log}),
		goka.WithStorageBuilder(e.buildStorage),
		goka.WithProducerBuilder(e.buildProducer),
		goka.WithConsumerGroupBuilder(e.buildGroup),
		goka.WithConsumerSaramaBuilder(e.buildConsumer),
		goka.WithTopicManagerBuilder(e.buildTopics),
	}
}

// Run runs a goka processor that has an engine's Options until ctx ends. A stop that meets goka in its start is an error to it, without
// a type; here it is a stop, unless something else went wrong as well.
func Run(ctx context.Context, p *goka.Processor) error {
	err := p.Run(ctx)
	if err != nil && ctx.Err() != nil && strings.Contains(err.Error(), "1 error occurred") && strings.Contains(err.Error(), "context closed while waiting for startup tables") {
		return nil
	}
	return err
}

// transactionalID is stable on a real Kafka, where a new life fences the one before. An embedded broker forgets its open
// transactions without writing so; there an id must not come again.
func (e *Engine) transactionalID() string {
	id := e.cfg.Group + "-" + e.cfg.Instance
	if e.cfg.Life != "" {
		id += "-" + e.cfg.Life
	}
	return id
}

// Ready tells whether the state of every assigned partition is recovered and their records are being taken.
func (e *Engine) Ready() bool { return e.ready.Load() }

// WaitReady waits until Ready, or for the context.
func (e *Engine) WaitReady(ctx context.Context) error {
	for {
		e.mu.Lock()
		woken := e.woken
		e.mu.Unlock()
		if e.Ready() {
			return nil
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return fmt.Errorf("stream: group %s is not ready: %w", e.cfg.Group, ctx.Err())
		}
	}
}

// Halt ends the engine with the error once the step that calls it has failed: its batch is aborted, and its record waits for another member of the group.
func (e *Engine) Halt(err error) { e.halted.CompareAndSwap(nil, &err) }

func (e *Engine) setReady(ready bool) {
	if e.ready.Swap(ready) == ready {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.woken)
	e.woken = make(chan struct{})
}

// buildStorage answers the state of a partition. The group's own table takes part in transactions; others only follow.
func (e *Engine) buildStorage(topic string, partition int32) (storage.Storage, error) {
	if topic != e.table {
		return e.sound(e.cfg.Store.Partition(e.cfg.Group, topic, partition, nil), topic, partition)
	}
	p, err := e.sound(e.cfg.Store.Partition(e.cfg.Group, topic, partition, e.cfg.Deadline), topic, partition)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.partitions[partition] = p
	return p, nil
}

// sound empties a partition whose stored offset the changelog cannot have led to: beyond its end after a power loss of the
// broker, before its start when what lies between is gone. It is then read again from the start.
func (e *Engine) sound(p *store.Partition, topic string, partition int32) (*store.Partition, error) {
	at, ok, err := p.StoredOffset()
	if err != nil || !ok {
		return p, err
	}
	start, end, err := e.bounds(topic, partition)
	if err != nil {
		return nil, err
	}
	if at < end && at+1 >= start {
		return p, nil
	}
	e.log.Warn("the stored state does not fit its changelog; it is set aside and read again", "topic", topic, "partition", partition, "stored", at, "start", start, "end", end)
	return p, p.Reset()
}

func (e *Engine) current() *client {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.client
}

// gokaLog is goka's logger.
type gokaLog struct{ log *slog.Logger }

func (l gokaLog) Print(a ...any)                 { l.log.Debug("goka: " + fmt.Sprint(a...)) }
func (l gokaLog) Println(a ...any)               { l.log.Debug("goka: " + fmt.Sprint(a...)) }
func (l gokaLog) Printf(format string, a ...any) { l.log.Debug("goka: " + fmt.Sprintf(format, a...)) }

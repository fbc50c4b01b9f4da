package stream_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/lovoo/goka"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
	"oms/internal/store"
	"oms/internal/stream"
)

func TestMain(m *testing.M) {
	if child() {
		return
	}
	os.Exit(kafkatest.Main(m))
}

const (
	partitions = 4
	patience   = 60 * time.Second
	flushEvery = 40 * time.Millisecond // so often that kills find the state at all kinds of age
)

// raw leaves bytes alone.
type raw struct{}

func (raw) Encode(v any) ([]byte, error) { return v.([]byte), nil }
func (raw) Decode(b []byte) (any, error) { return b, nil }

// rig is a group that counts: a row is how many records its key has had (8 bytes), each record goes on to the output with the
// new count before it.
type rig struct {
	t        testing.TB
	broker   kafkatest.Broker
	group    string
	in, out  string
	dead     string
	producer *kgo.Client
	admin    *kadm.Client
	sent     map[string]int // records by key
}

func newRig(t testing.TB, b kafkatest.Broker) *rig {
	t.Helper()
	r := rigOf(t, b, kafkatest.Name("count"))
	r.ensure()
	return r
}

func rigOf(t testing.TB, b kafkatest.Broker, group string) *rig {
	t.Helper()
	r := named(b, group)
	r.t = t
	cl, err := b.NewProducer(kgo.MetadataMinAge(100*time.Millisecond), kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
		return func(rec *kgo.Record, n int) int {
			if rec.Partition > 0 { // a test that wants a wrong one says so, by number + 1
				return int(rec.Partition - 1)
			}
			return int(kafka.Partition(rec.Key, int32(n)))
		}
	})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	r.producer, r.admin = cl, kadm.NewClient(cl)
	return r
}

// named is a rig without a test, as a child process has it.
func named(b kafkatest.Broker, group string) *rig {
	return &rig{broker: b, group: group, in: group + ".in", out: group + ".out", dead: group + ".dlq", sent: map[string]int{}}
}

func (r *rig) table() string { return r.group + "-table" }

func (r *rig) ensure() {
	r.t.Helper()
	if _, err := kafka.EnsureTopics(r.t.Context(), r.admin, r.topics(), false); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) topics() []kafka.Topic {
	return []kafka.Topic{
		{Name: r.in, Partitions: partitions}, {Name: r.out, Partitions: partitions}, {Name: r.dead, Partitions: 1},
		{Name: r.table(), Partitions: partitions, Compact: true},
	}
}

// send produces n records over so many keys, numbered on from the last.
func (r *rig) send(n, keys int) {
	r.t.Helper()
	var recs []*kgo.Record
	for i := range n {
		k := "k" + strconv.Itoa(i%keys)
		recs = append(recs, &kgo.Record{Topic: r.in, Key: []byte(k), Value: []byte(fmt.Sprintf("%s#%d", k, r.sent[k]))})
		r.sent[k]++
	}
	r.produce(recs...)
}

func (r *rig) produce(recs ...*kgo.Record) {
	r.t.Helper()
	if err := r.producer.ProduceSync(r.t.Context(), recs...).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
}

// step is the group's callback.
type step func(e *stream.Engine, ctx goka.Context, value []byte)

func count(r *rig) step {
	return func(e *stream.Engine, ctx goka.Context, value []byte) {
		n, kept := e.Kept(ctx.Partition(), ctx.Key()).(*counted)
		if !kept {
			n = &counted{}
			if row, ok := ctx.Value().([]byte); ok && row != nil {
				n.n, n.before = binary.BigEndian.Uint64(row), row
			}
		}
		n.n++
		n.unwritable = n.unwritable || bytes.HasPrefix(value, []byte("unwritable"))
		if last := ctx.Key()[len(ctx.Key())-1]; last%2 == 1 { // a key has its row written in one of the two ways
			e.Keep(ctx.Partition(), ctx.Key(), n)
		} else {
			ctx.SetValue(binary.BigEndian.AppendUint64(nil, n.n))
		}
		ctx.Emit(goka.Stream(r.out), ctx.Key(), []byte(fmt.Sprintf("%d|%s", n.n, value)))
	}
}

// counted is a row in memory.
type counted struct {
	n          uint64
	before     []byte
	unwritable bool
}

func (c *counted) Encode() (before, value []byte, ms int64, err error) {
	if c.unwritable {
		return nil, nil, 0, errors.New("the row cannot be written")
	}
	before, c.before = c.before, binary.BigEndian.AppendUint64(nil, c.n)
	return before, c.before, time.Now().UnixMilli(), nil
}

// instance is a running member of the group.
type instance struct {
	t      testing.TB
	engine *stream.Engine
	store  *store.DB
	stop   context.CancelFunc
	done   chan struct{}
	err    error
}

// start runs a member with its state in dir. The change may alter the configuration.
func (r *rig) start(dir string, do step, change func(*stream.Config)) *instance {
	r.t.Helper()
	i, p, err := r.assemble(dir, kafkatest.Log(r.t), do, change)
	if err != nil {
		r.t.Fatal(err)
	}
	i.t = r.t
	ctx, cancel := context.WithCancel(context.Background())
	i.stop = cancel
	go func() {
		i.err = errors.Join(stream.Run(ctx, p), i.store.Close())
		close(i.done)
	}()
	r.t.Cleanup(func() { cancel(); <-i.done })
	return i
}

// assemble puts a member together, for whoever runs it.
func (r *rig) assemble(dir string, log *slog.Logger, do step, change func(*stream.Config)) (*instance, *goka.Processor, error) {
	c := stream.Config{Kafka: r.broker.Settings, Group: r.group, Inbox: r.in, DeadLetter: r.dead, Instance: "a", MaxBatch: 50, Log: log}
	if r.broker.Embedded != nil {
		c.Journal, c.Life = r.broker.Embedded.Journal(), r.broker.Embedded.Life()
	}
	if change != nil {
		change(&c)
	}
	db, err := store.Open(dir, store.Options{Log: log, FlushEvery: flushEvery})
	if err != nil {
		return nil, nil, err
	}
	c.Store = db
	e, err := stream.New(c)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	graph := goka.DefineGroup(goka.Group(r.group),
		goka.Input(goka.Stream(r.in), raw{}, func(ctx goka.Context, v any) {
			b, _ := v.([]byte)
			do(e, ctx, b)
		}),
		goka.Persist(raw{}), goka.Output(goka.Stream(r.out), raw{}), goka.Output(goka.Stream(r.dead), raw{}))
	p, err := goka.NewProcessor(r.broker.Brokers, graph, e.Options()...)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return &instance{engine: e, store: db, done: make(chan struct{})}, p, nil
}

// halt stops the member in order.
func (i *instance) halt() {
	i.t.Helper()
	i.stop()
	if err := i.wait(); err != nil {
		i.t.Fatalf("a stop in order: %v", err)
	}
}

// wait answers why the member ended.
func (i *instance) wait() error {
	i.t.Helper()
	select {
	case <-i.done:
		return i.err
	case <-time.After(patience):
		i.t.Fatal("the member does not end")
		return nil
	}
}

// read answers the committed records of a topic up to its end as it is now.
func (r *rig) read(topic string) []*kgo.Record {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	rd, err := r.broker.NewReader(ctx, kafka.From{}, topic)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rd.Close()
	listed, err := r.admin.ListEndOffsets(ctx, topic)
	if err = errors.Join(err, listed.Error()); err != nil {
		r.t.Fatal(err)
	}
	// Not where the committed records end: a real Kafka confirms a commit before its markers are everywhere.
	ends := kafka.Offsets{topic: {}}
	listed.Each(func(o kadm.ListedOffset) { ends[topic][o.Partition] = o.Offset })
	var all []*kgo.Record
	for !rd.Reached(ends) {
		if err := rd.Poll(ctx, func(rec *kgo.Record) error { all = append(all, rec); return nil }); err != nil {
			r.t.Fatal(err)
		}
	}
	return all
}

// awaitPassed waits until the group has committed everything that is in its inbox.
func (r *rig) awaitPassed(of ...*instance) {
	r.t.Helper()
	until := time.Now().Add(patience)
	for !r.passed() {
		for _, i := range of {
			select {
			case <-i.done:
				r.t.Fatalf("the member ended: %v", i.err)
			default:
			}
		}
		if time.Now().After(until) {
			r.t.Fatal("the group does not get through its inbox")
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (r *rig) passed() bool {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	at, err := r.admin.FetchOffsets(ctx, r.group)
	if err != nil {
		return false // a young broker knows neither group nor coordinator
	}
	last := map[int32]int64{}
	for _, rec := range r.read(r.in) {
		last[rec.Partition] = max(last[rec.Partition], rec.Offset+1)
	}
	for p, end := range last {
		if o, ok := at.Lookup(r.in, p); !ok || o.At < end {
			return false
		}
	}
	return true
}

// verify holds the exactly-once sentence: every record sent has had one step, in order, and the table is the fold of them.
func (r *rig) verify() {
	r.t.Helper()
	seen := map[string]int{}
	for _, rec := range r.read(r.out) {
		k := string(rec.Key)
		seen[k]++
		if want := fmt.Sprintf("%d|%s#%d", seen[k], k, seen[k]-1); string(rec.Value) != want {
			r.t.Fatalf("output %d of %s is %q, want %q", seen[k], k, rec.Value, want)
		}
	}
	if !maps.Equal(seen, r.sent) {
		r.t.Fatalf("outputs by key: %v, sent: %v", seen, r.sent)
	}
	table := map[string]int{}
	for _, rec := range r.read(r.table()) {
		table[string(rec.Key)] = int(binary.BigEndian.Uint64(rec.Value))
	}
	if !maps.Equal(table, r.sent) {
		r.t.Fatalf("table: %v, sent: %v", table, r.sent)
	}
}

// verifyStore compares a stopped member's own state with what was sent.
func (r *rig) verifyStore(dir string) {
	r.t.Helper()
	db, err := store.Open(dir, store.Options{Log: kafkatest.Log(r.t)})
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	have := map[string]int{}
	for p := range int32(partitions) {
		part := db.Partition(r.group, r.table(), p, nil)
		if err := part.Open(); err != nil {
			r.t.Fatal(err)
		}
		it, err := part.Iterator()
		if err != nil {
			r.t.Fatal(err)
		}
		for it.Next() {
			v, err := it.Value()
			if err != nil {
				r.t.Fatal(err)
			}
			have[string(it.Key())] = int(binary.BigEndian.Uint64(v))
		}
		it.Release()
	}
	if !maps.Equal(have, r.sent) {
		r.t.Fatalf("state: %v, sent: %v", have, r.sent)
	}
}

func stateDir(t testing.TB) string { return filepath.Join(t.TempDir(), "state") }

func record(topic, key, value string) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value)}
}

// await polls for a condition.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !is(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

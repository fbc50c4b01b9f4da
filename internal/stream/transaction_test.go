package stream_test

import (
	"encoding/binary"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lovoo/goka"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka/kafkatest"
	"oms/internal/stream"
)

func embedded(t testing.TB) kafkatest.Broker {
	e := kafkatest.Embedded(t)
	return kafkatest.Broker{Settings: e.Settings(), Embedded: e}
}

func TestOnlyTheLastValueOfAKeyReachesTheChangelog(t *testing.T) {
	r, dir := newRig(t, embedded(t)), stateDir(t)
	r.send(1000, 1)
	i := r.start(dir, count(r), func(c *stream.Config) { c.MaxBatch = 250 })
	r.awaitPassed(i)
	i.halt()
	r.verify()
	if n := len(r.read(r.table())); n < 4 || n > 20 {
		t.Fatalf("1,000 steps of one key in batches of 250 wrote %d rows to the changelog, want about 4", n)
	}
}

func TestAStopCommitsTheOpenBatch(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r, dir := newRig(t, b), stateDir(t)
		r.send(40, 10)
		entered, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		do := count(r)
		i := r.start(dir, func(e *stream.Engine, ctx goka.Context, value []byte) {
			once.Do(func() {
				close(entered)
				<-release
			})
			do(e, ctx, value)
		}, nil)
		<-entered
		i.stop()
		close(release)
		if err := i.wait(); err != nil {
			t.Fatal(err)
		}
		if n := len(r.read(r.out)); n == 0 {
			t.Fatal("the batch that was open at the stop left nothing")
		}
		i = r.start(dir, count(r), nil)
		r.awaitPassed(i)
		i.halt()
		r.verify()
		r.verifyStore(dir)
	})
}

func TestAnAbortedRowIsNotRecovered(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r, dir := newRig(t, b), stateDir(t)
		r.send(100, 10)
		i := r.start(dir, count(r), nil)
		r.awaitPassed(i)
		i.halt()
		// Every partition of the table ends in rows of an aborted transaction and its marker.
		cl, err := kgo.NewClient(b.Options(kgo.TransactionalID(kafkatest.Name("stranger")), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for p := range int32(partitions) {
			for k := range 10 {
				rec := &kgo.Record{Topic: r.table(), Partition: p, Key: []byte("k" + strconv.Itoa(k)), Value: binary.BigEndian.AppendUint64(nil, 999)}
				if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cl.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
			t.Fatal(err)
		}
		dir = stateDir(t)
		r.send(100, 10)
		i = r.start(dir, count(r), nil)
		r.awaitPassed(i)
		i.halt()
		r.verify()
		r.verifyStore(dir)
	})
}

func TestAnEmittedTimestampHeaderBecomesTheTimestamp(t *testing.T) {
	r, dir := newRig(t, embedded(t)), stateDir(t)
	r.send(1, 1)
	i := r.start(dir, func(e *stream.Engine, ctx goka.Context, value []byte) {
		ctx.Emit(goka.Stream(r.out), ctx.Key(), value, goka.WithCtxEmitHeaders(goka.Headers{stream.HeaderTimestamp: []byte("1234567890123"), "kept": []byte("yes")}))
	}, nil)
	r.awaitPassed(i)
	i.halt()
	out := r.read(r.out)
	if len(out) != 1 || !out[0].Timestamp.Equal(time.UnixMilli(1234567890123)) || len(out[0].Headers) != 1 || out[0].Headers[0].Key != "kept" {
		t.Fatalf("emitted: %+v", out[0])
	}
}

package stream_test

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/lovoo/goka"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
	"oms/internal/stream"
)

func headers(r *kgo.Record) map[string]string {
	h := map[string]string{}
	for _, x := range r.Headers {
		h[x.Key] = string(x.Value)
	}
	return h
}

// poisonous makes a step fail below the shell, in the way that the record's value names.
func poisonous(r *rig) step {
	do := count(r)
	return func(e *stream.Engine, ctx goka.Context, value []byte) {
		do(e, ctx, value) // what a failing step has said and written must not show
		switch {
		case bytes.HasPrefix(value, []byte("panic")):
			panic("the step does not bear " + string(value))
		case bytes.HasPrefix(value, []byte("fail")):
			ctx.Fail(errors.New("the step refuses " + string(value)))
		case bytes.HasPrefix(value, []byte("large")):
			ctx.Emit(goka.Stream(r.out), ctx.Key(), make([]byte, 9<<20))
		}
	}
}

func TestAPoisonRecordBecomesADeadLetterAndThePartitionGoesOn(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r, dir := newRig(t, b), stateDir(t)
		r.send(120, 10)
		poison := []string{"panic-1", "fail-1", "large-1", "panic-2", "unwritable-1"}
		for _, p := range poison {
			r.produce(&kgo.Record{Topic: r.in, Key: []byte("k3"), Value: []byte(p), Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte("t-" + p)}}})
			r.send(40, 10)
		}
		i := r.start(dir, poisonous(r), nil)
		r.awaitPassed(i)
		i.halt()
		r.verify()
		r.verifyStore(dir)
		dead := r.read(r.dead)
		if len(dead) != len(poison) {
			t.Fatalf("%d dead letters, want %d", len(dead), len(poison))
		}
		inbox := map[string]*kgo.Record{}
		for _, rec := range r.read(r.in) {
			inbox[string(rec.Value)] = rec
		}
		reasons := map[string]string{"panic-1": "does not bear", "panic-2": "does not bear", "fail-1": "refuses", "large-1": "MESSAGE_TOO_LARGE", "unwritable-1": "cannot be written"}
		for n, rec := range dead {
			if string(rec.Value) != poison[n] || string(rec.Key) != "k3" {
				t.Fatalf("dead letter %d is %q of %q, want %q of k3", n, rec.Value, rec.Key, poison[n])
			}
			at, h := inbox[poison[n]], headers(rec)
			if h[stream.HeaderOriginTopic] != r.in || h[stream.HeaderOriginPartition] != strconv.Itoa(int(at.Partition)) || h[stream.HeaderOriginOffset] != strconv.Itoa(int(at.Offset)) ||
				h[stream.HeaderAttempt] != "3" || h["trace"] != "t-"+poison[n] || !strings.Contains(h[stream.HeaderError], reasons[poison[n]]) {
				t.Fatalf("headers of %s at %s/%d/%d: %v", poison[n], r.in, at.Partition, at.Offset, h)
			}
		}
	})
}

func TestAKeyInAForeignPartitionBecomesADeadLetter(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r, dir := newRig(t, b), stateDir(t)
		own := kafka.Partition([]byte("stray"), partitions)
		r.produce(&kgo.Record{Topic: r.in, Key: []byte("stray"), Value: []byte("x"), Partition: (own+1)%partitions + 1})
		r.send(40, 10)
		i := r.start(dir, count(r), nil)
		r.awaitPassed(i)
		i.halt()
		r.verify()
		dead := r.read(r.dead)
		if len(dead) != 1 || !strings.Contains(headers(dead[0])[stream.HeaderError], "murmur2") {
			t.Fatalf("dead letters: %v", dead)
		}
	})
}

func TestARecordWithoutKeyOrValueReachesTheStep(t *testing.T) {
	r, dir := newRig(t, embedded(t)), stateDir(t)
	r.produce(&kgo.Record{Topic: r.in, Value: []byte("no key")}, &kgo.Record{Topic: r.in, Key: []byte("no value")})
	met := make(chan string, 2)
	i := r.start(dir, func(e *stream.Engine, ctx goka.Context, value []byte) {
		if ctx.Key() == "" || value == nil {
			met <- ctx.Key() + "|" + string(value)
		}
	}, nil)
	r.awaitPassed(i)
	i.halt()
	if a, b := <-met, <-met; a+b != "|no keyno value|" && a+b != "no value||no key" {
		t.Fatalf("met %q and %q", a, b)
	}
}

func TestAMemberThatMustNotDecideLeavesTheRecordToOthers(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r, dir, do := newRig(t, b), stateDir(t), errors.New("this one is for others")
		r.send(40, 10)
		counting := count(r)
		i := r.start(dir, func(e *stream.Engine, ctx goka.Context, value []byte) {
			counting(e, ctx, value)
			if ctx.Key() == "k7" {
				e.Halt(do)
				ctx.Fail(do)
			}
		}, nil)
		if err := i.wait(); !errors.Is(err, do) {
			t.Fatalf("it ended with %v", err)
		}
		i = r.start(dir, counting, nil)
		r.awaitPassed(i)
		i.halt()
		r.verify()
		r.verifyStore(dir)
		if dead := r.read(r.dead); len(dead) > 0 {
			t.Errorf("%d dead letters", len(dead))
		}
	})
}

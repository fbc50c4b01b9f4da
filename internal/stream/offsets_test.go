package stream_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lovoo/goka"

	"oms/internal/kafka/kafkatest"
	"oms/internal/stream"
)

func TestAGroupWhoseOffsetsAreGoneDoesNotReadItsInboxAgain(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r, dir := newRig(t, b), stateDir(t)
		r.send(40, 10)
		i := r.start(dir, count(r), nil)
		r.awaitPassed(i)
		i.halt()
		await(t, "the deletion of the group", func() bool {
			_, err := r.admin.DeleteGroup(t.Context(), r.group)
			return err == nil
		})
		if err := r.start(dir, count(r), nil).wait(); err == nil || !strings.Contains(err.Error(), stream.ErrOffsetsLost.Error()) {
			t.Fatalf("ended with %v, want %v", err, stream.ErrOffsetsLost)
		}
		r.verify()
	})
}

func TestABatchThatIsTooSlowForItsTransactionIsHalved(t *testing.T) {
	if testing.Short() {
		t.Skip("a transaction's time-out is 12 s")
	}
	r, dir := newRig(t, embedded(t)), stateDir(t)
	r.send(300, 1)
	do := count(r)
	i := r.start(dir, func(e *stream.Engine, ctx goka.Context, value []byte) {
		time.Sleep(45 * time.Millisecond) // 13.5 s for all
		do(e, ctx, value)
	}, func(c *stream.Config) { c.MaxBatch = 300 })
	r.awaitPassed(i)
	i.halt()
	r.verify()
	r.verifyStore(dir)
}

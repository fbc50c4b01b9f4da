package stream_test

import (
	"testing"

	"oms/internal/kafka/kafkatest"
)

func TestEveryRecordHasOneStepAcrossAStop(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r, dir := newRig(t, b), stateDir(t)
		r.send(300, 10)
		i := r.start(dir, count(r), nil)
		r.awaitPassed(i)
		i.halt()
		r.verify()
		r.verifyStore(dir)
		r.send(300, 20)
		i = r.start(dir, count(r), nil)
		if err := i.engine.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.awaitPassed(i)
		i.halt()
		r.verify()
		r.verifyStore(dir)
	})
}

func TestAStopAtAnyMomentOfTheStartIsAStop(t *testing.T) {
	r := newRig(t, embedded(t))
	for range 40 {
		r.start(stateDir(t), count(r), nil).halt() // at once: goka is somewhere in its start
	}
}

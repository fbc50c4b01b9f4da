package stream_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"oms/internal/kafka/kafkatest"
	"oms/internal/stream"
)

// The engine stops dead at each point of a transaction, once in its first and once in a later one, with records left to do.
func TestAStopDeadAtAnyPointLosesAndDoublesNothing(t *testing.T) {
	points := []string{stream.FaultBegin, stream.FaultMark, stream.FaultFlush, stream.FaultEnd, stream.FaultEnded, stream.FaultStored}
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		for _, point := range points {
			for _, nth := range []int32{1, 3} {
				t.Run(fmt.Sprintf("%s-%d", point, nth), func(t *testing.T) {
					r, dir := newRig(t, b), stateDir(t)
					r.send(300, 10)
					var hits atomic.Int32
					killed := errors.New("killed by the test")
					i := r.start(dir, count(r), func(c *stream.Config) {
						c.Fault = func(at string) error {
							if at == point && hits.Add(1) == nth {
								return killed
							}
							return nil
						}
					})
					if err := i.wait(); !errors.Is(err, killed) || !strings.Contains(err.Error(), point) {
						t.Fatalf("the engine ended with %v, want %v at %s", err, killed, point)
					}
					r.send(50, 10)
					i = r.start(dir, count(r), nil)
					r.awaitPassed(i)
					i.halt()
					r.verify()
					r.verifyStore(dir)
				})
			}
		}
	})
}

func TestTheStateIsReadAgainFromTheChangelog(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r, dir := newRig(t, b), stateDir(t)
		run := func() {
			t.Helper()
			i := r.start(dir, count(r), nil)
			if err := i.engine.WaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.awaitPassed(i)
			i.halt()
			r.verify()
			r.verifyStore(dir)
		}
		run() // on an empty table
		r.send(200, 10)
		run()
		old := t.TempDir()
		if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		r.send(200, 15)
		run()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		r.send(100, 15)
		run() // with its state directory deleted, on a table that ends in a marker
		if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(old))); err != nil {
			t.Fatal(err)
		}
		r.send(100, 15)
		run() // with an old copy of the directory put back
	})
}

package stream_test

import (
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"oms/internal/kafka/kafkatest"
	"oms/internal/stream"
)

// A member is stopped in the middle of a transaction for longer than its session and its transaction may last. Another one
// takes its partitions over and passes what it had open. Then it wakes up and goes on where it was.
func TestAZombieIsFencedAndDoublesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	b := kafkatest.Broker{Settings: kafkatest.Real(t)}
	for _, point := range []string{stream.FaultMark, stream.FaultEnd, stream.FaultEnded} {
		t.Run(point, func(t *testing.T) {
			t.Parallel() // they mostly wait for time-outs
			r, base := newRig(t, b), t.TempDir()
			r.send(300, 40)
			zombie := spawn(t, order{Group: r.group, Instance: "a", State: filepath.Join(base, "a"), Brokers: b.Brokers, Hold: point, HoldAt: 3})
			zombie.hear("holding")
			zombie.signal(syscall.SIGSTOP)
			r.send(300, 40)
			heir := spawn(t, order{Group: r.group, Instance: "b", State: filepath.Join(base, "b"), Brokers: b.Brokers})
			r.awaitPassed()
			r.verify()
			zombie.signal(syscall.SIGCONT)
			if _, err := zombie.in.Write([]byte("\n")); err != nil {
				t.Fatal(err)
			}
			r.send(300, 40)
			if point == stream.FaultEnd { // the others find out before they ask for a commit
				zombie.hear("reconnecting")
			}
			r.awaitPassed()
			r.verify()
			heir.stop() // the zombie is a member like any other again, and has all the work
			r.send(300, 40)
			r.awaitPassed()
			zombie.stop()
			r.verify()
			r.verifyStore(filepath.Join(base, "a"))
		})
	}
}

// A member is stopped in the middle of a transaction, and another process takes its name and its place at once.
func TestOfAZombieAndTheProcessThatTookItsNameOneEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	b := kafkatest.Broker{Settings: kafkatest.Real(t)}
	for _, point := range []string{stream.FaultMark, stream.FaultEnd} {
		t.Run(point, func(t *testing.T) {
			r, base := newRig(t, b), t.TempDir()
			r.send(300, 40)
			zombie := spawn(t, order{Group: r.group, Instance: "a", State: filepath.Join(base, "zombie"), Brokers: b.Brokers, Hold: point, HoldAt: 3})
			zombie.hear("holding")
			zombie.signal(syscall.SIGSTOP)
			heir := spawn(t, order{Group: r.group, Instance: "a", State: filepath.Join(base, "heir"), Brokers: b.Brokers})
			r.awaitPassed()
			r.verify()
			zombie.signal(syscall.SIGCONT)
			if _, err := zombie.in.Write([]byte("\n")); err != nil {
				t.Fatal(err)
			}
			// Each of them takes the name from the other once; who loses it a second time ends.
			var left, ended *process
			for until := time.Now().Add(patience); ended == nil; r.send(20, 40) {
				select {
				case <-zombie.done:
					left, ended = heir, zombie
				case <-heir.done:
					left, ended = zombie, heir
				case <-time.After(20 * time.Millisecond):
				}
				if time.Now().After(until) {
					t.Fatal("both of them live on under one name")
				}
			}
			ended.hear(stream.ErrFenced.Error())
			r.awaitPassed()
			left.alive()
			left.stop()
			r.verify()
		})
	}
}

// Without records nothing but the group tells them; the loser may hear it while it waits for its partitions.
func TestOfTwoIdleProcessesWithOneNameOneEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	b := kafkatest.Broker{Settings: kafkatest.Real(t)}
	for range 4 {
		r, base := newRig(t, b), t.TempDir()
		one := spawn(t, order{Group: r.group, Instance: "a", State: filepath.Join(base, "one"), Brokers: b.Brokers})
		two := spawn(t, order{Group: r.group, Instance: "a", State: filepath.Join(base, "two"), Brokers: b.Brokers})
		left, ended := one, two
		select {
		case <-one.done:
			left, ended = two, one
		case <-two.done:
		case <-time.After(patience):
			t.Fatal("both of them live on under one name")
		}
		ended.hear(stream.ErrFenced.Error())
		r.send(100, 40)
		r.awaitPassed()
		left.alive()
		left.stop()
		r.verify()
	}
}

// fleet is processes of one group that come and go; OMS_KILLS is how often one goes.
type fleet struct {
	r       *rig
	base    string
	members map[string]*process
	killed  int
	stopped int
}

func (f *fleet) join(name string) {
	f.members[name] = spawn(f.r.t, order{Group: f.r.group, Instance: name, State: filepath.Join(f.base, name), Brokers: f.r.broker.Brokers})
}

// change lets a member come, go in order, or die.
func (f *fleet) change(name string) {
	p := f.members[name]
	switch {
	case p == nil:
		f.join(name)
	case rand.IntN(2) == 0:
		p.alive()
		p.kill()
		f.killed++
		delete(f.members, name)
	default:
		p.alive()
		p.stop()
		f.stopped++
		delete(f.members, name)
	}
}

func TestProcessesThatComeAndGoAndDieLoseAndDoubleNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	t.Parallel() // it mostly waits for members that are missed
	r := newRig(t, kafkatest.Broker{Settings: kafkatest.Real(t)})
	f := &fleet{r: r, base: t.TempDir(), members: map[string]*process{}}
	names := []string{"a", "b", "c"}
	for _, n := range names {
		f.join(n)
	}
	for f.killed+f.stopped < kills(t, 10) {
		f.change(names[rand.IntN(len(names))])
		for until := time.Now().Add(rand.N(900 * time.Millisecond)); time.Now().Before(until); <-time.After(10 * time.Millisecond) {
			r.send(1+rand.IntN(20), 40)
		}
	}
	for _, n := range names {
		if f.members[n] == nil {
			f.join(n)
		}
	}
	r.awaitPassed()
	r.verify()
	f.members["b"].stop()
	f.members["c"].kill() // the last one has to wait until it is missed
	r.send(300, 40)
	r.awaitPassed()
	f.members["a"].stop()
	r.verify()
	r.verifyStore(filepath.Join(f.base, "a"))
	t.Logf("%d processes killed, %d stopped in order; %d inputs", f.killed+1, f.stopped+2, total(r.sent))
}

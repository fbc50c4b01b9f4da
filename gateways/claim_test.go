package gateways

import (
	"math/rand/v2"
	"testing"
)

func TestProgressIsTheLowestRequestThatHasNotEnded(t *testing.T) {
	for seed := range uint64(20) {
		dice := rand.New(rand.NewPCG(seed, 1))
		c := newClaim()
		var open []int64 // offsets begun and not ended, in any order
		ended := map[int64]bool{}
		next := int64(100)
		for range 5000 {
			if len(open) == 0 || dice.IntN(2) == 0 {
				next += 1 + dice.Int64N(3) // transaction markers leave gaps
				c.add(next, 7)
				if !c.begin() {
					t.Fatal("a claim that is not lost does not begin")
				}
				open = append(open, next)
				continue
			}
			i := dice.IntN(min(len(open), 200))
			c.end(open[i])
			ended[open[i]] = true
			open = append(open[:i], open[i+1:]...)
			at, _ := c.progress()
			for _, o := range open {
				if at.Offset > o {
					t.Fatalf("seed %d: progress %d passes %d, which has not ended", seed, at.Offset, o)
				}
			}
			if len(open) == 0 && at.Offset != next+1 {
				t.Fatalf("seed %d: all has ended, progress is %d, want %d", seed, at.Offset, next+1)
			}
			if at.Offset != 0 && (!ended[at.Offset-1] || at.Epoch != 7) {
				t.Fatalf("seed %d: progress %+v is not behind an ended request", seed, at)
			}
		}
	}
}

func TestALostClaimBeginsNothingAndIsIdleWhenTheLastActiveOneEnds(t *testing.T) {
	c := newClaim()
	for o := range int64(3) {
		c.add(o, 0)
	}
	c.begin()
	c.begin()
	c.end(0)
	c.lose()
	if c.begin() {
		t.Error("work began on a lost partition")
	}
	select {
	case <-c.idle:
		t.Fatal("idle with one active")
	default:
	}
	c.abandon()
	<-c.idle
	at, fresh := c.progress()
	if at.Offset != 1 || !fresh {
		t.Errorf("progress is %+v, fresh %v; want 1: what was abandoned has not ended", at, fresh)
	}
	c.committed(at)
	if _, fresh := c.progress(); fresh {
		t.Error("what is committed is fresh")
	}
}

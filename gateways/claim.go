package gateways

import (
	"sort"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// claim is the progress on one partition while it is ours. Requests end in any order; only what has ended without a gap before it is committed, so whatever has
// not ended is asked again by who owns the partition next.
type claim struct {
	mu      sync.Mutex
	entries []entry // by offset; those before first are ended
	first   int
	next    kgo.EpochOffset // to commit: the offset after the last ended one without a gap
	fresh   bool            // next has not been committed
	lost    bool            // the partition is no longer ours: nothing of it is begun any more
	active  int             // requests at a provider, or with a reply on its way to the log
	idle    chan struct{}   // closed when lost and nothing is active
}

type entry struct {
	offset int64
	epoch  int32
	ended  bool
}

func newClaim() *claim { return &claim{idle: make(chan struct{})} }

// add a record; offsets ascend.
func (c *claim) add(offset int64, epoch int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == len(c.entries) {
		c.entries, c.first = c.entries[:0], 0
	} else if c.first > 1024 && c.first > len(c.entries)/2 {
		c.entries, c.first = c.entries[:copy(c.entries, c.entries[c.first:])], 0
	}
	c.entries = append(c.entries, entry{offset: offset, epoch: epoch})
}

// begin tells whether work on a record may start.
func (c *claim) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost {
		return false
	}
	c.active++
	return true
}

// end of the work on a record that was begun; its effect is in the log.
func (c *claim) end(offset int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	open := c.entries[c.first:]
	i := sort.Search(len(open), func(i int) bool { return open[i].offset >= offset })
	open[i].ended = true
	for ; c.first < len(c.entries) && c.entries[c.first].ended; c.first++ {
		last := c.entries[c.first]
		c.next, c.fresh = kgo.EpochOffset{Epoch: last.epoch, Offset: last.offset + 1}, true
	}
	c.active--
	c.rest()
}

// abandon work that was begun; the record stays to be done.
func (c *claim) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active--
	c.rest()
}

// lose: nothing more is begun; what is active may still end.
func (c *claim) lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.lost {
		c.lost = true
		c.rest()
	}
}

func (c *claim) rest() {
	if c.lost && c.active == 0 {
		close(c.idle)
	}
}

// progress is what to commit, when there is something new.
func (c *claim) progress() (kgo.EpochOffset, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next, c.fresh
}

// committed: nothing new until more has ended.
func (c *claim) committed(at kgo.EpochOffset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == at {
		c.fresh = false
	}
}

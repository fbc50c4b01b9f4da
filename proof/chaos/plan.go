package chaos

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kind is one way to break something.
type Kind string

// Kinds of faults. What a network does needs roles in processes of their own, so it is broken on a real Kafka only.
const (
	Kill       Kind = "kill"        // signal 9 for one process
	KillTwice  Kind = "kill-twice"  // signal 9, and again while it starts
	KillAll    Kind = "kill-all"    // signal 9 for all of them at once
	KillBroker Kind = "kill-broker" // signal 9 for the real Kafka, which is away for a while
	Restart    Kind = "restart"     // SIGTERM, and started again
	Pause      Kind = "pause"       // SIGSTOP beyond the session time-out, and woken up in the middle of its work
	Cut        Kind = "cut"         // connections of a process to Kafka are closed, new ones refused
	Delay      Kind = "delay"       // bytes between a process and Kafka come late, unevenly
	HalfOpen   Kind = "half-open"   // no byte passes between a process and Kafka, and nobody closes
	SlowClose  Kind = "slow-close"  // the end of a connection is told seconds late; several ends are made

	ProviderSlow   Kind = "provider-slow"   // payments take up to a second longer
	ProviderWrong  Kind = "provider-wrong"  // half of the answers are no answers, though what was asked is done
	ProviderDead   Kind = "provider-dead"   // nobody listens at its address
	ProviderDown   Kind = "provider-down"   // it says 503 to everything
	ProviderSilent Kind = "provider-silent" // authorizations are done and never answered
	ProviderTwice  Kind = "provider-twice"  // answers come twice on their connection

	DiskFull  Kind = "disk-full"  // nothing more fits on the disk of a process
	StateLost Kind = "state-lost" // its rows are deleted
	StateOld  Kind = "state-old"  // its rows are those of the beginning
	BitFlip   Kind = "bit-flip"   // single bits of its rows' files are flipped
)

// Topologies of the system under test.
const (
	Embedded = "embedded" // all roles and the broker in one process
	Cluster  = "kafka"    // a real Kafka, and three processes of each role
)

var (
	networkKinds = []Kind{Cut, Delay, HalfOpen, SlowClose}
	diskKinds    = []Kind{DiskFull, StateLost, StateOld, BitFlip}

	// Kinds are all of them in the order of the report.
	Kinds = slices.Concat([]Kind{Kill, KillTwice, KillAll, KillBroker, Restart, Pause}, networkKinds, []Kind{ProviderSlow, ProviderWrong, ProviderDead, ProviderDown, ProviderSilent, ProviderTwice}, diskKinds)
)

func (k Kind) provider() bool { return strings.HasPrefix(string(k), "provider-") }

// without tells why a topology does not know a kind; empty: it does.
func (k Kind) without(topology string) string {
	switch {
	case topology == Cluster:
		return ""
	case slices.Contains(networkKinds, k):
		return "all roles share one process with the embedded broker: there is no network between them"
	case k == KillBroker || k == KillAll:
		return "the embedded broker and all roles are one process: that is " + string(Kill)
	}
	return ""
}

// ParseFaults reads "all", or kinds parted by commas.
func ParseFaults(list, topology string) ([]Kind, error) {
	var kinds []Kind
	if list == "all" {
		for _, k := range Kinds {
			if k.without(topology) == "" {
				kinds = append(kinds, k)
			}
		}
		return kinds, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		k := Kind(strings.TrimSpace(name))
		if !slices.Contains(Kinds, k) {
			return nil, fmt.Errorf("--faults: %q: want all, or some of %s", name, join(Kinds))
		}
		if why := k.without(topology); why != "" {
			return nil, fmt.Errorf("--faults: %s: not on topology %s: %s", k, topology, why)
		}
		if !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds, nil
}

func join(kinds []Kind) string {
	var names []string
	for _, k := range kinds {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// Names of all kinds, for people.
func Names() string { return join(Kinds) }

// Fault is one thing to do to one target.
type Fault struct {
	Kind   Kind          `json:"kind"`
	Target string        `json:"target"`         // a member, "all", "broker" or "provider"
	For    time.Duration `json:"for_ns"`         // how long it stays; 0: a moment
	Dice   uint64        `json:"dice"`           // what else is left to chance
	Part   string        `json:"part,omitempty"` // of faults of the disk: "state" or "views"
}

func (f Fault) String() string {
	s := string(f.Kind) + " " + f.Target
	if f.Part != "" {
		s += "/" + f.Part
	}
	if f.For > 0 {
		s += " for " + f.For.String()
	}
	return s
}

// Step is what happens at once, when so many orders have been placed.
type Step struct {
	At     int     `json:"at"`
	Faults []Fault `json:"faults"`
}

func (s Step) String() string {
	var all []string
	for _, f := range s.Faults {
		all = append(all, f.String())
	}
	return strings.Join(all, " + ")
}

// Plan is what will be done; a function of its seed, its topology, its kinds and the numbers of orders alone.
type Plan []Step

// NewPlan makes a step for every so many orders. Kinds come equally often, in an order by seed; every fifth step or so has two of them.
func NewPlan(seed uint64, topology string, kinds []Kind, orders, every int) Plan {
	h := fnv.New64a()
	h.Write([]byte(topology))
	dice := rand.New(rand.NewPCG(seed, h.Sum64()))
	var plan Plan
	var turns []Kind
	next := func() Kind {
		if len(turns) == 0 {
			turns = slices.Clone(kinds)
			dice.Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
		}
		k := turns[0]
		turns = turns[1:]
		return k
	}
	for at := every; at+every/2 <= orders && len(kinds) > 0; at += every {
		step := Step{At: at, Faults: []Fault{draw(dice, next(), topology)}}
		if dice.IntN(5) == 0 && len(kinds) > 1 {
			if second := draw(dice, next(), topology); apart(step.Faults[0], second) {
				step.Faults = append(step.Faults, second)
			} else { // its turn is yet to come
				turns = append([]Kind{second.Kind}, turns...)
			}
		}
		plan = append(plan, step)
	}
	return plan
}

// apart tells whether two faults can be told from each other while both last.
func apart(a, b Fault) bool {
	return a.Target != b.Target && (a.Target != "all" && b.Target != "all" || a.Kind.provider() || b.Kind.provider())
}

// draw throws the dice for one fault.
func draw(dice *rand.Rand, k Kind, topology string) Fault {
	between := func(from, to time.Duration) time.Duration {
		return (from + time.Duration(dice.Int64N(int64(to-from)))).Round(100 * time.Millisecond)
	}
	f := Fault{Kind: k, Dice: dice.Uint64()}
	members := names(topology, "")
	switch {
	case k.provider():
		f.Target, f.For = "provider", between(2*time.Second, 6*time.Second)
	case k == KillBroker:
		f.Target, f.For = "broker", []time.Duration{0, between(time.Second, 3*time.Second), between(14*time.Second, 16*time.Second)}[dice.IntN(3)] // the last: longer than a transaction and a membership may last
	case k == KillAll:
		f.Target = "all"
	case slices.Contains(diskKinds, k):
		f.Part = []string{"state", "views"}[dice.IntN(2)]
		if members = names(topology, f.Part); k == DiskFull {
			f.For = between(5*time.Second, 12*time.Second)
		}
	case k == Pause:
		f.For = between(11*time.Second, 18*time.Second) // sessions last 10 s
	case k == Cut || k == HalfOpen:
		f.For = between(time.Second, 15*time.Second)
	case k == Delay || k == SlowClose:
		f.For = between(3*time.Second, 8*time.Second)
	}
	f.Target = cmp.Or(f.Target, members[dice.IntN(len(members))])
	return f
}

// Text prints the plan for people.
func (p Plan) Text(w io.Writer) error {
	for i, s := range p {
		if _, err := fmt.Fprintf(w, "%4d  at order %d: %s\n", i+1, s.At, s); err != nil {
			return err
		}
	}
	return nil
}

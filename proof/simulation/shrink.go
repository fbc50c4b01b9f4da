package simulation

import (
	"fmt"
	"slices"
	"strings"
)

// Command is what repeats the run of a configuration.
func (c Config) Command() string {
	text := fmt.Sprintf("oms prove simulation --seed %d --orders %d", c.Seed, c.Orders)
	if c.Only != nil {
		text += " --only " + strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Only), " ", ","), "[]")
	}
	return text
}

// shrinkRuns bounds how often a failing run is repeated with fewer orders.
const shrinkRuns = 500

// Shrink looks for fewer orders that break the law that a failed run broke, and answers the smallest run found: leaving out any one of its orders makes it hold, unless
// the attempts were used up.
func Shrink(c Config, failed Result) (Config, Result) {
	only := c.Only
	if only == nil {
		for n := range c.Orders {
			only = append(only, n)
		}
	}
	law, runs := failed.Law(), 0
	fails := func(orders []int) bool {
		runs++
		r, err := Run(Config{Seed: c.Seed, Orders: c.Orders, Only: orders})
		if err != nil || r.Law() != law {
			return false
		}
		failed = r
		return true
	}
	for parts := 2; len(only) > 1 && runs < shrinkRuns; {
		size := (len(only) + parts - 1) / parts
		smaller := false
		for at := 0; at < len(only) && runs < shrinkRuns; at += size {
			if rest := slices.Concat(only[:at], only[min(at+size, len(only)):]); len(rest) > 0 && fails(rest) {
				only, parts, smaller = rest, max(2, parts-1), true
				break
			}
		}
		switch {
		case smaller:
		case size == 1:
			runs = shrinkRuns
		default:
			parts = min(2*parts, len(only))
		}
	}
	c.Only = only
	return c, failed
}

// Law that the run broke: I1 to I13; empty when it broke none.
func (r Result) Law() string {
	law, _, _ := strings.Cut(r.Violation, ":")
	return law
}

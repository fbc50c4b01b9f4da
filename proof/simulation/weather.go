package simulation

// weather is what a seed has in store. Shares are of the occasions that their comments name.
type weather struct {
	partitions int32 // of every topic
	members    int   // of every group
	batch      int64 // records in a transaction, at most
	products   int
	gapMS      int64 // from one order to the next, at most
	commitMS   int64 // that a transaction takes, at most
	hold       int64 // ms that the gateway goes on asking before it answers without an answer
	skewMS     int64 // that the clocks of processes differ by, at most

	faults
}

// faults are what stops when the run settles.
type faults struct {
	slowMS int64 // a slow message, at most

	crash     float64 // record of a batch: its member dies before it
	ending    float64 // transaction: its member dies before the end of it, after it, or after writing its state
	unknown   float64 // transaction: whether it was committed is not heard
	pause     float64 // transaction: its member stands still before its end, longer than the group waits
	wiped     float64 // death of a member: its state is gone
	lost      float64 // request of a client: it, or the answer to it, is lost
	twice     float64 // request of a client or reply of the gateway: written twice
	repeats   float64 // answer to a client: the client asks again
	unreached float64 // asking of a provider: it is not reached
	silent    float64 // asking of a provider: done, and not answered in time
	late      float64 // asking of a provider: done long after the gateway stopped waiting
	lies      float64 // reply of the gateway: of an amount that was not asked for
	gone      float64 // asking of a provider: the gateway dies when the provider has done it
}

// forecast draws a weather: some seeds are calm, some have one thing in plenty, most a bit of everything.
func forecast(d dice) weather {
	share := func(usual, worst float64) float64 {
		switch f := d.Float64(); {
		case f < .15:
			return 0
		case f < .85:
			return usual * d.Float64() * 2
		default:
			return worst
		}
	}
	w := weather{partitions: int32(d.between(1, 4)), members: int(d.between(1, 3)), batch: d.between(1, 40), products: int(d.between(2, 9)), gapMS: d.between(2, 120),
		commitMS: []int64{5, 30, 300, 3_000}[d.IntN(4)], hold: []int64{0, 0, 2_000, 5_000}[d.IntN(4)], skewMS: d.between(0, 400)}
	w.slowMS = []int64{0, 300, 3_000, 20_000}[d.IntN(4)]
	w.crash, w.ending, w.unknown, w.pause, w.wiped = share(.0006, .004), share(.004, .02), share(.003, .02), share(.001, .004), share(.3, 1)
	w.lost, w.twice, w.repeats = share(.05, .3), share(.05, .3), share(.08, .3)
	w.unreached, w.silent, w.late, w.gone, w.lies = share(.05, .3), share(.06, .4), share(.03, .2), share(.01, .05), share(.003, .05)
	return w
}

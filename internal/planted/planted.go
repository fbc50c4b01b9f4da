// Package planted is the list of bugs that can be put into the system to show that its checkers catch them: a checker that cannot fail proves nothing.
//
// Without the build tag "planted" On is the constant false, and the compiler leaves out what depends on it. With the tag, the one bug that was chosen is on.
package planted

// Bug is a planted bug.
type Bug string

// Machines are the bugs of border and machines. The simulation catches them: go test -tags planted ./proof/simulation -run Planted -v.
var Machines = []Bug{BorderForgets, PlacedAnew, LateStockKept, ReleasedTwice, ReleasedInPart, UndoneTwice, UnknownIsDeclined, LateMoneyKept, AskedUnderNewID, LessIsEnough, VersionKept,
	SequenceReused, ExpectedPriceHolds, OneMoreThanThereIs}

// What they do.
const (
	BorderForgets      Bug = "border-forgets"         // a client's command is done again when it is repeated
	PlacedAnew         Bug = "placed-anew"            // an order that is placed again is placed anew
	LateStockKept      Bug = "late-stock-kept"        // stock that comes for an order that is gone is not given back
	ReleasedTwice      Bug = "released-twice"         // an order gives its stock back twice
	ReleasedInPart     Bug = "released-in-part"       // of several lines of one product only the first is given back
	UndoneTwice        Bug = "undone-twice"           // a void or refund that is told twice is booked twice
	UnknownIsDeclined  Bug = "unknown-is-declined"    // no answer of the provider is taken for a decline
	LateMoneyKept      Bug = "late-money-kept"        // what is held or taken for an order that is gone is not undone
	AskedUnderNewID    Bug = "asked-under-new-id"     // asking the provider again is asking under another idempotency key
	LessIsEnough       Bug = "less-is-enough"         // an authorization of less than the total confirms the order
	VersionKept        Bug = "version-kept"           // a step that the provider's answer leads to does not move the row's version
	SequenceReused     Bug = "sequence-reused"        // the fact of a cancellation takes the number of the fact before it
	ExpectedPriceHolds Bug = "expected-price-holds"   // the price that the buyer expects is trusted instead of the catalogue's
	OneMoreThanThereIs Bug = "one-more-than-there-is" // one unit more than there is may be reserved
)

// Engine are the bugs of engine, store and broker that a test of internal/stream catches: go test -tags planted ./internal/stream -run Planted -v.
var Engine = []Bug{StateBeforeCommit, StateAhead, DeadlinesNotIndexed, DeadlineAskedOnce}

// What they do.
const (
	StateBeforeCommit   Bug = "state-before-commit"   // the overlay is written before the transaction is committed
	StateAhead          Bug = "state-ahead"           // the stored offset is one record ahead of the rows: a recovery leaves one out, and what it had counted is counted again
	DeadlinesNotIndexed Bug = "deadlines-not-indexed" // the index of deadlines is not written with the rows, but by the next recovery
	DeadlineAskedOnce   Bug = "deadline-asked-once"   // a deadline that its row ignored is not asked for again
)

// OtherPartitioner places keys by another hash than producers do; the test of internal/kafka that pins the hash catches it.
const OtherPartitioner Bug = "other-partitioner"

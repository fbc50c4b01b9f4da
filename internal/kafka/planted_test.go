//go:build planted

package kafka

import (
	"testing"

	"oms/internal/planted"
)

// What TestKeysGoWhereFranzGoAndGokaPutThem demands does not hold with the planted bug.
func TestPlantedPartitionerIsCaught(t *testing.T) {
	planted.Choose(planted.OtherPartitioner)
	t.Cleanup(func() { planted.Choose("") })
	why := misplaced()
	if why == "" {
		t.Fatal("no key goes where it should not")
	}
	t.Logf("%-22s caught by TestKeysGoWhereFranzGoAndGokaPutThem: %s", planted.OtherPartitioner, why)
}

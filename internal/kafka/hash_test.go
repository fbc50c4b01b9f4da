package kafka

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestKeysGoWhereFranzGoAndGokaPutThem(t *testing.T) {
	if why := misplaced(); why != "" {
		t.Fatal(why)
	}
}

// misplaced names a key that does not go where franz-go or goka put it; "" when all do.
func misplaced() string {
	random := rand.New(rand.NewPCG(1, 2))
	keys := make([][]byte, 20_000)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "ord_%d", i)
		if i%2 == 0 {
			keys[i] = make([]byte, i/2%70)
			for j := range keys[i] {
				keys[i][j] = byte(random.Uint32())
			}
		}
	}
	place := kgo.StickyKeyPartitioner(nil).ForTopic("any")
	h := NewHasher()
	for _, n := range []int32{1, 2, 3, 6, 7, 12, 48, 100, 1000} {
		for _, key := range keys {
			want := int32(place.Partition(&kgo.Record{Key: key}, int(n)))
			if got := Partition(key, n); got != want {
				return fmt.Sprintf("key %q of %d partitions: %d, franz-go puts it in %d", key, n, got, want)
			}
			h.Reset()
			h.Write(key[:len(key)/2])
			h.Write(key[len(key)/2:])
			goka := int32(h.Sum32())
			if goka < 0 {
				goka = -goka
			}
			if goka%n != want {
				return fmt.Sprintf("key %q of %d partitions: goka puts it in %d, franz-go in %d", key, n, goka%n, want)
			}
		}
	}
	return ""
}

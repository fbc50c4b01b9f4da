package kafka

import (
	"math"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// partitionFetch is the most that the embedded broker answers of one partition, unless its first batch is larger; of many partitions it answers less of each, so that an
// answer stays below what clients take (100 MiB).
const (
	partitionFetch = 1 << 20
	answerFetch    = 48 << 20
)

// boundByPartition makes the limit of a fetch one of each partition, and none of the answer. A broker of kfake that reaches the answer's limit in the middle of a
// partition leaves out which of the transactions in it were aborted, and a reader takes their records for committed.
func boundByPartition(c *kfake.Cluster) {
	c.ControlKey(kmsg.Fetch.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f := req.(*kmsg.FetchRequest)
		f.MaxBytes = math.MaxInt32
		partitions := 1
		for t := range f.Topics {
			partitions += len(f.Topics[t].Partitions)
		}
		most := int32(max(64<<10, min(partitionFetch, answerFetch/partitions)))
		for t := range f.Topics {
			for p := range f.Topics[t].Partitions {
				f.Topics[t].Partitions[p].PartitionMaxBytes = min(f.Topics[t].Partitions[p].PartitionMaxBytes, most)
			}
		}
		return nil, nil, false
	})
}

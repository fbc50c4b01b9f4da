package kafka

import (
	"math"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// partitionFetch is the most that the embedded broker answers of one partition, unless its first batch is larger.
const partitionFetch = 1 << 20

// boundByPartition makes the limit of a fetch one of each partition, and none of the answer. A broker of kfake that reaches the answer's limit in the middle of a
// partition leaves out which of the transactions in it were aborted, and a reader takes their records for committed.
func boundByPartition(c *kfake.Cluster) {
	c.ControlKey(kmsg.Fetch.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f := req.(*kmsg.FetchRequest)
		f.MaxBytes = math.MaxInt32
		for t := range f.Topics {
			for p := range f.Topics[t].Partitions {
				f.Topics[t].Partitions[p].PartitionMaxBytes = min(f.Topics[t].Partitions[p].PartitionMaxBytes, partitionFetch)
			}
		}
		return nil, nil, false
	})
}

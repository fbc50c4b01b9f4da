package stream

import "strconv"

// Headers of a dead letter, beside those of the record that it was. Who writes one from within a step uses the same.
const (
	HeaderOriginTopic     = "oms-origin-topic"
	HeaderOriginPartition = "oms-origin-partition"
	HeaderOriginOffset    = "oms-origin-offset"
	HeaderError           = "oms-error"
	HeaderAttempt         = "oms-attempt" // how often it was tried
)

// HeaderTimestamp on an emitted record becomes its timestamp (decimal milliseconds of the Unix epoch) and is not sent: goka
// has no other place for it.
const HeaderTimestamp = "oms-ts"

// maxErrorBytes of a reason travel with a dead letter; a stack trace may be long.
const maxErrorBytes = 4 << 10

// Origin is where a dead letter was met.
type Origin struct {
	Topic     string
	Partition int32
	Offset    int64
}

// DeadLetterHeaders say where a record came from, why it could not be taken, and how often that was tried.
func DeadLetterHeaders(o Origin, why string, attempt int) map[string][]byte {
	if len(why) > maxErrorBytes {
		why = why[:maxErrorBytes]
	}
	return map[string][]byte{
		HeaderOriginTopic:     []byte(o.Topic),
		HeaderOriginPartition: strconv.AppendInt(nil, int64(o.Partition), 10),
		HeaderOriginOffset:    strconv.AppendInt(nil, o.Offset, 10),
		HeaderError:           []byte(why),
		HeaderAttempt:         strconv.AppendInt(nil, int64(attempt), 10),
	}
}

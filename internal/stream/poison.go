package stream

import (
	"errors"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"

	"oms/internal/kafka"
)

// tries is how often a record is tried alone before it becomes a dead letter.
const tries = 3

// suspects narrow a batch that failed down to the record whose fault it is: the batches that follow are half as long, until
// the culprit fails alone.
type suspects struct {
	left      int                 // the culprit is among the next so many records; 0: nobody is suspected
	alone     map[kafka.Place]int // failures of single records
	condemned map[kafka.Place]string
}

// limit is how many records the next batch may have.
func (s *suspects) limit(most int) int {
	if s.left == 0 {
		return most
	}
	return max(1, min(most, (s.left+1)/2))
}

// passed clears records that were committed. What is known of others stays: after an abort another partition's may come first.
func (s *suspects) passed(batch []sarama.ConsumerMessage) {
	s.left = max(0, s.left-len(batch))
	if len(s.alone) == 0 {
		return
	}
	for i := range batch {
		at := placeOf(&batch[i])
		delete(s.alone, at)
		delete(s.condemned, at)
	}
}

func placeOf(m *sarama.ConsumerMessage) kafka.Place {
	return kafka.Place{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset}
}

// failed takes note of a batch that failed, whoever's fault it was: one that was too slow for its transaction is halved as well.
func (s *suspects) failed(batch []sarama.ConsumerMessage) { s.left = len(batch) }

// blame takes note of a batch whose own fault it may be.
func (s *suspects) blame(a *abortedError) {
	if len(a.batch) != 1 {
		return
	}
	if s.alone == nil {
		s.alone, s.condemned = map[kafka.Place]int{}, map[kafka.Place]string{}
	}
	at := placeOf(&a.batch[0])
	if s.alone[at]++; s.alone[at] >= tries {
		s.condemned[at] = a.err.Error()
	}
}

// errRow is a row that cannot be encoded: the record that made it so is at fault.
var errRow = errors.New("stream: a row cannot be written")

// ownFault tells whether a record was refused for what it is. What else may go wrong when sending concerns all records alike.
func ownFault(err error) bool {
	return errors.Is(err, errRow) || errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge) || errors.Is(err, kerr.InvalidRecord) || errors.Is(err, kerr.InvalidTimestamp)
}

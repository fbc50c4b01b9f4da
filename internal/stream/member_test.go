package stream

import (
	"context"
	"errors"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
)

// These hold an engine without a broker to what a race would need luck for.

func TestARecordThatFailsAloneIsCondemnedThoughOthersPassBetween(t *testing.T) {
	var s suspects
	poison := []sarama.ConsumerMessage{{Topic: "in", Partition: 1, Offset: 7}}
	for range tries {
		s.failed(poison)
		s.blame(&abortedError{own: true, batch: poison, err: errors.New("no")})
		s.passed([]sarama.ConsumerMessage{{Topic: "in", Partition: 2, Offset: 9}}) // after the abort another partition's record is polled first
	}
	if _, ok := s.condemned[placeOf(&poison[0])]; !ok {
		t.Errorf("failed alone %d times and is not condemned", tries)
	}
	if s.passed(poison); len(s.alone)+len(s.condemned) > 0 {
		t.Errorf("what is known of a record that has passed is kept: %v %v", s.alone, s.condemned)
	}
}

func TestANewAssignmentEndsTheSessionOfTheOneBefore(t *testing.T) {
	c := &client{changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.cancel = cancel
	c.assign([]int32{0, 1}) // its revocation was not told: one came already before the session's first transaction
	if ctx.Err() == nil {
		t.Error("the session goes on with partitions that others own")
	}
}

func TestARecordOfAnotherGenerationEndsTheBatch(t *testing.T) {
	e := &Engine{cfg: Config{Inbox: "in"}}
	s := newSession(e, nil, t.Context(), func() {}, map[int32]int64{0: 0})
	s.count, s.polled = 6, []*kgo.Record{{Topic: "in", Partition: 5}}
	s.convert()
	if err := s.hand(); !errors.Is(err, errCancelled) {
		t.Errorf("answered %v, want %v", err, errCancelled)
	}
}

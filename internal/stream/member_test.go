package stream

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka/kafkatest"
	"oms/internal/store"
)

// These hold the parts of an engine to what a race would need luck for.

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

func TestATransactionThatHasEndedIsNotLate(t *testing.T) {
	b := kafkatest.Embedded(t)
	db, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	e, err := New(Config{Kafka: b.Settings(), Group: "g", Inbox: "in", DeadLetter: "d", Instance: "a", Store: db, Journal: b.Journal(), Life: b.Life()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.shut()
	s := newSession(e, c, t.Context(), func() {}, nil)
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	s.began = s.began.Add(-time.Hour)
	if !s.late() {
		t.Error("one that is open for an hour is not late")
	}
	if err := s.commit(s.withoutOffsets); err != nil {
		t.Fatal(err)
	}
	if s.late() {
		t.Error("one that has ended is late")
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

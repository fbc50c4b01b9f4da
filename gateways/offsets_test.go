package gateways

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/gateways/payment"
	"oms/internal/kafka/kafkatest"
	"oms/schemas"
	"oms/topics"
)

// A broker forgets the offsets of a group that is away for a week. Its requests were asked then, under keys that providers have forgotten.
func TestOldRequestsAreNotAskedAgainByAGroupWithoutOffsets(t *testing.T) {
	r := newRig(t, kafkatest.Embedded(t).Settings())
	m := authorize(1, "a", "tok", "")
	b, err := schemas.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	old := &kgo.Record{Topic: topics.PaymentRequests.Name, Key: []byte(m.Key()), Value: b, Timestamp: time.Now().Add(-8 * 24 * time.Hour)}
	if err := r.cl.ProduceSync(t.Context(), old).FirstErr(); err != nil {
		t.Fatal(err)
	}
	asked := stub(func(_ context.Context, q payment.Request) (payment.Answer, error) {
		t.Errorf("%s is asked again", q.RequestID)
		return yes(q)
	})
	d, err := New(Config{Kafka: r.kafka, Log: kafkatest.Log(t), Providers: map[string]payment.Provider{"a": asked}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(t.Context()); !errors.Is(err, ErrOffsetsLost) {
		t.Fatalf("ended with %v, want %v", err, ErrOffsetsLost)
	}
}

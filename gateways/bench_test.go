package gateways

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/gateways/payment"
	"oms/internal/kafka/kafkatest"
	"oms/proof/sandbox"
	"oms/schemas"
	"oms/topics"
)

// cpu is the processor time of this process so far.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAuthorizations takes a full topic through dispatcher, HTTP, sandbox and ledger to replies in the log, all in this process on the embedded broker.
// cpu-µs/op is of all of it, the broker and the test's own reader included.
func BenchmarkAuthorizations(b *testing.B) {
	r := newRig(b, kafkatest.Embedded(b).Settings())
	p, _ := world(b, sandbox.Behaviour{})
	for i := range b.N {
		m := authorize(i, "sandbox", "tok", schemas.CapturePolicyAtPlacing)
		v, err := schemas.Encode(m)
		if err != nil {
			b.Fatal(err)
		}
		r.cl.Produce(context.Background(), &kgo.Record{Topic: topics.PaymentRequests.Name, Key: []byte(m.OrderID), Value: v}, nil)
	}
	if err := r.cl.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	before := cpu(b)
	b.ResetTimer()
	r.run(Config{Providers: map[string]payment.Provider{"sandbox": p}})
	r.until(fmt.Sprintf("%d replies", b.N), func() bool { return len(r.heard) >= b.N })
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkIdle sends one request at a time: from before its write to its reply at a reader.
func BenchmarkIdle(b *testing.B) {
	r := newRig(b, kafkatest.Embedded(b).Settings())
	p, _ := world(b, sandbox.Behaviour{})
	r.run(Config{Providers: map[string]payment.Provider{"sandbox": p}})
	r.ask(authorize(-1, "sandbox", "tok", ""))
	r.replies(1)
	var took []time.Duration
	b.ResetTimer()
	for i := range b.N {
		start := time.Now()
		r.ask(authorize(i, "sandbox", "tok", ""))
		r.until("the reply", func() bool { return len(r.heard) >= i+2 })
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

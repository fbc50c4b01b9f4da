package views

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/schemas"
)

// BenchmarkFold writes fetches as they come at full load: each order brings three rows, in three fetches, and three facts. An operation is one record.
func BenchmarkFold(b *testing.B) {
	d, err := openDisk(b.TempDir(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer d.close()
	v := &Views{disk: d, log: slog.New(slog.DiscardHandler), cards: map[string]card{}}
	v.metrics.register(nil, v)
	const perFetch = 600
	var fetches [][]*kgo.Record
	for i := range b.N/perFetch + 1 {
		fetches = append(fetches, fetchOf(b, i, perFetch))
	}
	v.gather.begin(kafka.Offsets{}, kafka.Offsets{})
	b.ReportAllocs()
	b.ResetTimer()
	for i, records := range fetches {
		f := newFetch()
		for _, rec := range records {
			v.take(f, rec)
		}
		if v.gather.add(f, kafka.Offsets{"orders-table": {0: int64(i + 1)}}) || i == len(fetches)-1 {
			if err := v.settle(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func fetchOf(b *testing.B, i, records int) (all []*kgo.Record) {
	add := func(m schemas.Message) { all = append(all, record(b, m)) }
	orders := records / 6
	for n := range orders {
		for age, status := range []schemas.OrderStatus{schemas.OrderStatusPending, schemas.OrderStatusPending, schemas.OrderStatusConfirmed} {
			if i < age {
				continue
			}
			id := fmt.Sprintf("ord_%020x", uint64((i-age)*orders+n)*0x9e3779b97f4a7c15)
			row := orderRow(id, int64(age+1), int64(1_700_000_000_000+i), status)
			row.Order.CustomerID = fmt.Sprintf("cus_%d", n)
			row.Order.Terms.PaymentProvider = "sandbox"
			row.Payments = make([]schemas.PaymentState, age/2)
			add(row)
			switch age {
			case 0:
				add(created(id, 1, 0, 1))
			case 1:
				add(paid(id, 2, 0, 1))
			default:
				add(confirmed(id, 3, 1, 2))
			}
		}
	}
	return all
}

package streambench_test

import (
	"testing"

	"oms/internal/kafka/kafkatest"
	"oms/internal/stream/streambench"
)

func measure(t testing.TB, records, keys int) {
	e := kafkatest.Embedded(t)
	all, err := streambench.Run(t.Context(), streambench.Config{Kafka: e.Settings(), Journal: e.Journal(), Life: e.Life(), Dir: t.TempDir(),
		Records: records, Keys: keys, Partitions: 8, Log: kafkatest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		t.Logf("%-12s %6d keys %8d records %6.2f s %8.0f steps/s", r.Name, keys, r.Records, r.Seconds, r.StepsPerSecond)
	}
	if len(all) == 2 {
		t.Logf("ratio %.2f", all[0].StepsPerSecond/all[1].StepsPerSecond)
	}
}

func TestBothSidesGetThrough(t *testing.T) { measure(t, 2000, 100) }

func BenchmarkTenThousandKeys(b *testing.B) { measure(b, 200_000, 10_000) }
func BenchmarkOneHotKey(b *testing.B)       { measure(b, 200_000, 1) }

package cluster

import (
	"fmt"
	"oms/internal/kafka"
	"os"
	"runtime"
	"testing"
)

func TestZZProfile(t *testing.T) {
	k := os.Getenv("ZZ_KAFKA")
	if k == "" {
		t.Skip()
	}
	r, err := Run(t.Context(), Config{Kafka: kafka.Settings{Brokers: []string{k}}, Build: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Println(r.Records, r.Seconds, r.Violations, "mallocs/rec", m.Mallocs/uint64(r.Records), "bytes/rec", m.TotalAlloc/uint64(r.Records), "heap", m.HeapAlloc>>20, "sys", m.Sys>>20)
}

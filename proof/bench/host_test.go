package bench

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/pprof/profile"
)

func TestDiskIsToldByDirectoryAndKafkasLogByTopic(t *testing.T) {
	dir := t.TempDir()
	for path, size := range map[string]int{
		"state/x/1.sst": 7, "views/x": 1, "kafka/journal/0": 3,
		"kafka/log/partitions/oms.order.events-0/0.dat": 10, "kafka/log/partitions/oms.order.events-11/500.dat": 20, "kafka/log/partitions/orders-table-2/0.dat": 5,
	} {
		file := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int64{"state": 7, "views": 1, "kafka": 3, "kafka: oms.order.events": 30, "kafka: orders-table": 5}
	if have := diskBytes(dir); !maps.Equal(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
}

func TestAProfileIsSharedOutByLabel(t *testing.T) {
	sample := func(spent int64, label, value string) *profile.Sample {
		s := &profile.Sample{Value: []int64{1, spent}}
		if label != "" {
			s.Label = map[string][]string{label: {value}}
		}
		return s
	}
	have := shares(&profile.Profile{Sample: []*profile.Sample{
		sample(20, "part", "broker"), sample(10, "part", "broker"), sample(40, "part", "group orders"), sample(20, "pebble", "compact"), sample(10, "", ""),
	}})
	if want := map[string]float64{"broker": 30, "group orders": 40, "pebble": 20, "runtime": 10}; !maps.Equal(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
}

package kafka

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func journalIn(t testing.TB) (*Journal, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	return journalAt(t, path), path
}

func journalAt(t testing.TB, path string) *Journal {
	t.Helper()
	j, err := openJournal(path, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestAnEntryIsReadBackAsItWasBegun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	rapid.Check(t, func(t *rapid.T) {
		os.Remove(path)
		j, err := openJournal(path, false)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		want := Transaction{ID: rapid.String().Draw(t, "id"), Group: rapid.String().Draw(t, "group"), Records: rapid.SliceOf(rapid.Custom(func(t *rapid.T) Place {
			return Place{rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "topic"), rapid.Int32Range(0, 2).Draw(t, "partition"), rapid.Int64Range(0, 9).Draw(t, "offset")}
		})).Draw(t, "records"), Offsets: map[string]map[int32]int64{"in": rapid.MapOf(rapid.Int32Min(0), rapid.Int64Min(0)).Draw(t, "offsets")}}
		if _, err := j.Begin(want); err != nil {
			t.Fatal(err)
		}
		again, err := openJournal(path, false)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		open, err := again.undone()
		if err != nil || len(open) != 1 {
			t.Fatal(open, err)
		}
		e := open[0]
		var got []Place
		for _, s := range e.spans {
			for i := range s.count {
				got = append(got, Place{s.topic, s.partition, s.from + i})
			}
		}
		order := func(a, b Place) int { return slices.Compare([]byte(fmt.Sprint(a)), []byte(fmt.Sprint(b))) }
		slices.SortFunc(got, order)
		slices.SortFunc(want.Records, order)
		if e.id != want.ID || e.group != want.Group || !slices.Equal(got, want.Records) || !maps.Equal(e.offsets["in"], want.Offsets["in"]) {
			t.Fatalf("%+v, not %+v", e, want)
		}
	})
}

func TestRecordsOfAPartitionThatFollowEachOtherAreOneSpan(t *testing.T) {
	var s spanner
	s.set([]Place{{"a", 0, 5}, {"b", 1, 9}, {"a", 0, 6}, {"a", 0, 7}, {"b", 1, 11}, {"a", 1, 8}})
	want := []span{{"a", 0, 5, 3}, {"b", 1, 9, 1}, {"b", 1, 11, 1}, {"a", 1, 8, 1}}
	if !slices.Equal(s.list, want) {
		t.Errorf("%v, not %v", s.list, want)
	}
}

func TestATornTailIsAnEntryThatWasNeverBegun(t *testing.T) {
	j, path := journalIn(t)
	begin := func() {
		if _, err := j.Begin(Transaction{ID: "x", Records: []Place{{"a", 0, 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	begin()
	whole := j.size
	begin()
	for size := j.size - 1; size >= whole; size-- {
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		if again := journalAt(t, path); len(again.open) != 1 || again.size != whole {
			t.Errorf("cut at byte %d: %d entries, %d bytes", size, len(again.open), again.size)
		}
	}
	if err := os.Truncate(path, whole+100); err != nil { // a tail of zeros
		t.Fatal(err)
	}
	if again := journalAt(t, path); len(again.open) != 1 || again.size != whole {
		t.Errorf("a tail of zeros: %d entries, %d bytes", len(again.open), again.size)
	}
}

func TestTheFileStaysShortThoughAnEntryIsNeverDone(t *testing.T) {
	j, path := journalIn(t)
	t0 := Transaction{ID: "orders-0", Group: "orders", Records: []Place{{"orders-table", 3, 7}}}
	kept, err := j.Begin(t0)
	if err != nil {
		t.Fatal(err)
	}
	for range 100_000 {
		seq, err := j.Begin(t0)
		if err == nil {
			err = j.Done(seq)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > 2*rewriteAt {
		t.Error(info.Size(), err)
	}
	j = journalAt(t, path)
	if open, err := j.undone(); err != nil || len(open) != 1 || open[0].seq != kept {
		t.Error(open, err)
	}
	if err := j.Done(kept); err != nil {
		t.Error(err)
	}
	if j.Done(kept) == nil {
		t.Error("an entry ends twice")
	}
}

// A transaction of 100 records in 12 partitions, begun and done.
func BenchmarkJournal(b *testing.B) {
	j, _ := journalIn(b)
	t := Transaction{ID: "orders-0-abcdefghijklm", Group: "orders", Offsets: map[string]map[int32]int64{"oms.order.commands": {0: 1e6, 1: 1e6}}}
	for i := range 100 {
		t.Records = append(t.Records, Place{"orders-table", int32(i % 12), int64(1e6 + i/12)})
	}
	for b.Loop() {
		seq, err := j.Begin(t)
		if err == nil {
			err = j.Done(seq)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

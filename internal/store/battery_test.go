package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/lovoo/goka/storage"
)

// each runs a test of goka's contract on ours and on goka's own two storages: so it is goka's contract, and not our idea of it.
func each(t *testing.T, run func(t *testing.T, s storage.Storage)) {
	t.Run("pebble", func(t *testing.T) { run(t, partition(t, openDB(t), "group", "topic", 0)) })
	t.Run("pebble, recovered", func(t *testing.T) {
		p := partition(t, openDB(t), "group", "topic", 0)
		must(t, p.MarkRecovered())
		run(t, p)
	})
	for name, build := range map[string]storage.Builder{"goka's memory": storage.MemoryBuilder(), "goka's leveldb": storage.DefaultBuilder(t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			s, err := build("topic", 0)
			must(t, err)
			must(t, s.Open())
			t.Cleanup(func() { s.Close() })
			run(t, s)
		})
	}
}

func TestARowIsThereFromSetToDelete(t *testing.T) {
	each(t, func(t *testing.T, s storage.Storage) {
		want := func(key, value string, there bool) {
			t.Helper()
			has, err := s.Has(key)
			must(t, err)
			v, err := s.Get(key)
			must(t, err)
			if has != there || (v != nil) != there || string(v) != value {
				t.Fatalf("row %q: has %v, value %q (nil: %v)", key, has, v, v == nil)
			}
		}
		want("a", "", false)
		must(t, s.Set("a", []byte("1")))
		want("a", "1", true)
		must(t, s.Set("a", []byte("2")), s.Set("empty", []byte{}))
		want("a", "2", true)
		want("empty", "", true)
		must(t, s.SetOffset(5))
		want("a", "2", true)
		want("empty", "", true)
		must(t, s.Delete("a"), s.Delete("never there"))
		want("a", "", false)
		must(t, s.SetOffset(6))
		want("a", "", false)
		must(t, s.Set("a", []byte("3")))
		want("a", "3", true)
	})
}

func TestANilValueIsRefused(t *testing.T) {
	p := partition(t, openDB(t), "group", "topic", 0)
	if err := p.Set("a", nil); err == nil {
		t.Error("a nil value was taken")
	}
	wantGet(t, p, "a", "")
}

func TestTheOffsetIsTheCallersDefaultUntilOneIsSet(t *testing.T) {
	each(t, func(t *testing.T, s storage.Storage) {
		for _, def := range []int64{-3, 0, 7} {
			if at, err := s.GetOffset(def); err != nil || at != def {
				t.Errorf("%d (%v), want %d", at, err, def)
			}
		}
		must(t, s.SetOffset(100))
		if at, err := s.GetOffset(-3); err != nil || at != 100 {
			t.Errorf("%d (%v), want 100", at, err)
		}
		must(t, s.MarkRecovered())
		must(t, s.SetOffset(101))
		if at, err := s.GetOffset(-3); err != nil || at != 101 {
			t.Errorf("%d (%v), want 101", at, err)
		}
	})
}

// walk collects the keys of an iterator, and checks each value.
func walk(t *testing.T, it storage.Iterator) (keys []string) {
	t.Helper()
	for it.Next() {
		key := string(it.Key())
		if v, err := it.Value(); err != nil || string(v) != "value of "+key {
			t.Errorf("%s has %q (%v)", key, v, err)
		}
		keys = append(keys, key)
	}
	must(t, it.Err())
	return keys
}

func TestAnIteratorGoesOverTheRowsInOrderAndOverNothingElse(t *testing.T) {
	each(t, func(t *testing.T, s storage.Storage) {
		for _, k := range []string{"key-2", "key-1", "key-3"} {
			must(t, s.Set(k, []byte("value of "+k)))
		}
		must(t, s.SetOffset(777))
		it, err := s.Iterator()
		must(t, err)
		defer it.Release()
		must(t, s.Set("key-4", []byte("later")), s.Delete("key-1"), s.SetOffset(778))
		if keys := walk(t, it); !slices.Equal(keys, []string{"key-1", "key-2", "key-3"}) {
			t.Errorf("keys %q: not the rows as they were", keys)
		}
		if v, err := it.Value(); it.Next() || it.Key() != nil || v != nil || err != nil {
			t.Errorf("after the end: %q %q %v", it.Key(), v, err)
		}
	})
}

func TestAnIteratorBeforeItsFirstRowHasNoValue(t *testing.T) {
	p := partition(t, openDB(t), "group", "topic", 0) // goka's memory panics
	must(t, p.Set("a", []byte("1")), p.SetOffset(1))
	it, err := p.Iterator()
	must(t, err)
	defer it.Release()
	if v, err := it.Value(); v != nil || err != nil || it.Key() != nil {
		t.Errorf("%q %q %v", it.Key(), v, err)
	}
}

func TestSeekStandsOnTheFirstRowAtOrAfterTheKey(t *testing.T) {
	each(t, func(t *testing.T, s storage.Storage) {
		for i := range 3 {
			must(t, s.Set(fmt.Sprintf("key-%d", i+1), []byte(fmt.Sprintf("value of key-%d", i+1))))
		}
		must(t, s.SetOffset(3))
		it, err := s.Iterator()
		must(t, err)
		defer it.Release()
		if !it.Seek([]byte("key-2")) || string(it.Key()) != "key-2" {
			t.Fatalf("on %q", it.Key())
		}
		if v, err := it.Value(); err != nil || string(v) != "value of key-2" {
			t.Errorf("%q %v", v, err)
		}
		if keys := walk(t, it); !slices.Equal(keys, []string{"key-3"}) {
			t.Errorf("behind it %q", keys)
		}
		if it.Seek([]byte("key-4")) || it.Key() != nil {
			t.Errorf("behind the last row stands %q", it.Key())
		}
	})
}

func TestARangeHasItsStartAndNotItsLimit(t *testing.T) {
	p := partition(t, openDB(t), "group", "topic", 0)
	for _, k := range []string{"a", "b", "c", "d\xff", "\xff\xff"} {
		must(t, p.Set(k, []byte("value of "+k)))
	}
	must(t, p.SetOffset(1))
	for _, c := range []struct {
		start, limit []byte
		want         []string
	}{
		{[]byte("b"), []byte("d"), []string{"b", "c"}},
		{[]byte("b"), nil, []string{"b", "c", "d\xff", "\xff\xff"}},
		{nil, []byte("b"), []string{"a"}},
		{nil, nil, []string{"a", "b", "c", "d\xff", "\xff\xff"}},
		{[]byte{}, []byte{}, []string{"a", "b", "c", "d\xff", "\xff\xff"}}, // a View makes these of empty strings
		{[]byte("aa"), []byte("ab"), nil},
		{[]byte("c"), []byte("a"), nil},
	} {
		it, err := p.IteratorWithRange(c.start, c.limit)
		must(t, err)
		if keys := walk(t, it); !slices.Equal(keys, c.want) {
			t.Errorf("%q to %q: %q, want %q", c.start, c.limit, keys, c.want)
		}
		it.Release()
	}
}

func TestAReleasedIteratorIsAtItsEnd(t *testing.T) {
	each(t, func(t *testing.T, s storage.Storage) {
		must(t, s.Set("key-1", []byte("1")), s.SetOffset(1))
		it, err := s.Iterator()
		must(t, err)
		it.Release()
		if it.Next() || it.Seek([]byte("key-1")) || it.Key() != nil {
			t.Error("it still stands on a row")
		}
	})
}

func TestGokaMergesIteratorsOfPartitions(t *testing.T) {
	db := openDB(t)
	var iters []storage.Iterator
	for n := range int32(3) {
		p := partition(t, db, "group", "topic", n)
		for i := range 4 {
			k := fmt.Sprintf("%d-%d", i, n)
			must(t, p.Set(k, []byte("value of "+k)))
		}
		must(t, p.SetOffset(4))
		it, err := p.Iterator()
		must(t, err)
		iters = append(iters, it)
	}
	merged := storage.NewMultiIterator(iters)
	keys := walk(t, merged)
	if len(keys) != 12 || !slices.IsSorted(keys) {
		t.Errorf("%q", keys)
	}
	if !merged.Seek([]byte("2-1")) || !merged.Next() || string(merged.Key()) != "2-1" {
		t.Errorf("sought 2-1, on %q", merged.Key())
	}
	merged.Release()
	merged.Release()
}

func TestWhatWasFollowedIsThereAfterClose(t *testing.T) {
	dir := t.TempDir()
	db := openIn(t, dir, small())
	p := partition(t, db, "group", "topic", 0)
	must(t, p.Set("a", []byte("1")), p.SetOffset(100), p.MarkRecovered(), p.Set("b", []byte("2")), p.SetOffset(101), p.Close(), p.Open())
	wantOffset(t, p, 101)
	must(t, db.Close())
	p = partition(t, openIn(t, dir, small()), "group", "topic", 0)
	wantOffset(t, p, 101)
	wantRows(t, p, map[string]string{"a": "1", "b": "2"})
}

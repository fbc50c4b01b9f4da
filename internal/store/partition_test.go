package store

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
)

func TestARowThatWasReadIsThePrivateCopyOfItsReader(t *testing.T) {
	db := openDB(t)
	p := partition(t, db, "g", "t", 0)
	spoil := func(state string) {
		t.Helper()
		v, err := p.Get("a")
		must(t, err)
		if string(v) != "value" {
			t.Fatalf("%s: the row is %q", state, v)
		}
		clear(v)
		wantGet(t, p, "a", "value")
	}
	must(t, p.Set("a", []byte("value")))
	spoil("in the transaction")
	must(t, p.SetOffset(1))
	spoil("followed")
	must(t, p.MarkRecovered())
	spoil("in a memtable")
	must(t, db.db.Flush())
	spoil("in a file")
	it, err := p.Iterator()
	must(t, err)
	defer it.Release()
	it.Next()
	v, err := it.Value()
	must(t, err)
	clear(it.Key())
	clear(v)
	if v, err := it.Value(); string(it.Key()) != "a" || string(v) != "value" || err != nil {
		t.Errorf("the iterator stands on %q=%q (%v)", it.Key(), v, err)
	}
}

func TestWhatIsNotCommittedIsSeenByItsPartitionOnlyAndGoneWithClose(t *testing.T) {
	db := openDB(t)
	p, q := partition(t, db, "g", "t", 0), partition(t, db, "g", "t", 1)
	must(t, p.Set("a", []byte("old")), p.Set("b", []byte("old")), db.Commit([]Written{{p, 5}}))
	must(t, p.Set("a", []byte("new")), p.Set("c", []byte("new")), p.Delete("b"))
	wantGet(t, p, "a", "new")
	wantGet(t, p, "b", "")
	wantGet(t, p, "c", "new")
	wantRows(t, p, map[string]string{"a": "old", "b": "old"})
	wantGet(t, q, "a", "")
	wantRows(t, q, map[string]string{})
	must(t, p.Close(), p.Open())
	wantOffset(t, p, 5)
	wantGet(t, p, "c", "")
	wantRows(t, p, map[string]string{"a": "old", "b": "old"})
}

func TestACommitIsInAllPartitionsOrInNone(t *testing.T) {
	db := openDB(t)
	p, q, r := partition(t, db, "g", "t", 0), partition(t, db, "g", "t", 1), partition(t, db, "h", "t", 0)
	must(t, p.Set("a", []byte("1")), q.Set("b", []byte("2")))
	must(t, db.Commit([]Written{{p, 10}, {q, 20}, {r, -1}}))
	wantOffset(t, p, 10)
	wantOffset(t, q, 20)
	wantOffset(t, r, -3)

	must(t, p.Set("a", []byte("3")), q.Set("b", []byte("4")), r.Set("c", []byte("5")))
	refused := func(parts ...Written) {
		t.Helper()
		if err := db.Commit(parts); err == nil {
			t.Fatal("the commit was taken")
		}
		wantGet(t, p, "a", "3") // the transaction is as it was
		wantRows(t, p, map[string]string{"a": "1"})
		wantOffset(t, p, 10)
		wantRows(t, q, map[string]string{"b": "2"})
	}
	refused(Written{p, 11}, Written{q, 21}, Written{r, -1}) // a row that is in no changelog
	must(t, r.Close())
	refused(Written{p, 11}, Written{q, 21}, Written{r, 1})
	must(t, db.Commit([]Written{{p, 11}, {q, 21}}))
	wantRows(t, p, map[string]string{"a": "3"})
	wantRows(t, q, map[string]string{"b": "4"})
}

// The flush loop and an iterator come at any moment, also between a row and its offset.
func TestARowIsNotWrittenBeforeItsOffset(t *testing.T) {
	db := openDB(t)
	p := partition(t, db, "g", "t", 0)
	must(t, p.Set("a", []byte("1")), p.SetOffset(1), p.Set("a", []byte("2")))
	p.flushFollowed()
	wantRows(t, p, map[string]string{"a": "1"})
	wantGet(t, p, "a", "2")
	must(t, p.MarkRecovered(), p.Close(), p.Open())
	wantGet(t, p, "a", "1")
	wantOffset(t, p, 1)
}

func TestRecoveryHoldsFewBytesOfLargeRowsInMemory(t *testing.T) {
	p := partition(t, openDB(t), "g", "t", 0)
	row, most := make([]byte, gatheredBytes/4), 0
	for i := range 20 {
		must(t, p.Set(string(rune('a'+i)), row), p.SetOffset(int64(i)))
		most = max(most, len(p.behind)*len(row))
	}
	if most == 0 || most >= gatheredBytes {
		t.Errorf("%d bytes were held at once, want some and less than %d", most, gatheredBytes)
	}
	must(t, p.MarkRecovered())
	wantOffset(t, p, 19)
	wantGet(t, p, "a", string(row))
}

func TestWhatWasFollowedStandsWhenATransactionFollows(t *testing.T) {
	db := openDB(t)
	p := partition(t, db, "g", "t", 0)
	must(t, p.Set("a", wakes(5, "")), p.Set("b", wakes(6, "")), p.SetOffset(1))
	must(t, p.Set("a", wakes(7, "")), db.Commit([]Written{{p, 2}}))
	wantOffset(t, p, 2)
	wantDue(t, p, 10, "b@6", "a@7")
	wantRows(t, p, map[string]string{"a": string(wakes(7, "")), "b": string(wakes(6, ""))})
}

func TestMarkersOfTransactionsOnlyMoveTheOffset(t *testing.T) {
	p := partition(t, openDB(t), "g", "t", 0)
	must(t, p.Set("a", []byte("1")), p.SetOffset(3), p.Delete(""), p.SetOffset(4), p.MarkRecovered())
	wantOffset(t, p, 4)
	wantRows(t, p, map[string]string{"a": "1"})
}

func TestPlacesWhoseNamesBeginAlikeDoNotMix(t *testing.T) {
	db := openDB(t)
	type place struct {
		owner, topic string
		n            int32
	}
	places := []place{{"a", "bc", 0}, {"ab", "c", 0}, {"a", "b", 0}, {"a", "b", 1}, {"a", "b", 256}, {"a", "b", 'd'}, {"a", "bd", 0}, {"", "ab", 0}, {"a", "", 0}, {"", "", 0}, {"a", "b\x00\x00\x00\x00d", 0}, {"a\x01b", "", 0}}
	parts := map[place]*Partition{}
	row := func(pl place) []byte { return wakes(9, fmt.Sprint(pl)) }
	for i, pl := range places {
		p := partition(t, db, pl.owner, pl.topic, pl.n)
		for _, k := range []string{"k", "d", "o", "t", "\x00", "\xff", "__offset"} {
			must(t, p.Set(k, row(pl)))
		}
		must(t, db.Commit([]Written{{p, int64(i)}}))
		parts[pl] = p
	}
	check := func(without map[place]bool) {
		t.Helper()
		for i, pl := range places {
			want := map[string]string{}
			if !without[pl] {
				for _, k := range []string{"k", "d", "o", "t", "\x00", "\xff", "__offset"} {
					want[k] = string(row(pl))
				}
				wantOffset(t, parts[pl], int64(i))
			} else {
				wantOffset(t, parts[pl], -3)
			}
			wantRows(t, parts[pl], want)
			if n := len(due(t, parts[pl], 9)); n != len(want) {
				t.Errorf("%q: %d rows are due, want %d", pl, n, len(want))
			}
		}
	}
	check(nil)
	without := map[place]bool{}
	for _, pl := range places[:len(places)/2] {
		must(t, parts[pl].Reset())
		without[pl] = true
		check(maps.Clone(without))
	}
}

func TestResetForgetsAlsoWhatIsNotCommitted(t *testing.T) {
	db := openDB(t)
	p := partition(t, db, "g", "t", 0)
	must(t, p.Set("a", wakes(5, "")), db.Commit([]Written{{p, 7}}), p.Set("b", wakes(6, "")), p.Reset())
	wantOffset(t, p, -3)
	wantGet(t, p, "a", "")
	wantGet(t, p, "b", "")
	wantRows(t, p, map[string]string{})
	wantDue(t, p, 100)
	must(t, p.Close(), p.Reset())
	if at, ok, err := p.StoredOffset(); ok || err != nil {
		t.Errorf("stored offset %d %v %v", at, ok, err)
	}
}

// calls are all of a partition's; those that come to nothing after Close say so.
func calls(p *Partition) map[string]func() error {
	one := func(err error, _ ...any) error { return err }
	return map[string]func() error{
		"Has":                func() error { _, err := p.Has("a"); return err },
		"Get":                func() error { _, err := p.Get("a"); return err },
		"Set":                func() error { return p.Set("a", []byte("1")) },
		"Delete":             func() error { return p.Delete("a") },
		"Delete of a marker": func() error { return p.Delete("") },
		"GetOffset":          func() error { _, err := p.GetOffset(-3); return err },
		"SetOffset":          func() error { return p.SetOffset(1) },
		"Iterator":           func() error { it, err := p.Iterator(); return one(err, it) },
		"IteratorWithRange":  func() error { it, err := p.IteratorWithRange([]byte("a"), []byte("b")); return one(err, it) },
		"DueBy":              func() error { _, err := p.DueBy(1, 1, func(Due) bool { return false }); return err },
		"Commit":             func() error { return p.db.Commit([]Written{{p, 1}}) },
	}
}

func TestEveryCallAfterCloseAnswersThatItIsClosed(t *testing.T) {
	check := func(t *testing.T, p *Partition) {
		for name, call := range calls(p) {
			if err := call(); !errors.Is(err, ErrClosed) {
				t.Errorf("%s answers %v", name, err)
			}
		}
		must(t, p.MarkRecovered(), p.Close(), p.Close())
		if p.Wake() != 0 {
			t.Errorf("Wake answers %d", p.Wake())
		}
	}
	t.Run("the partition", func(t *testing.T) {
		p := partition(t, openDB(t), "g", "t", 0)
		must(t, p.Set("a", wakes(9, "")), p.SetOffset(3), p.MarkRecovered(), p.Set("b", []byte("2")), p.Close())
		check(t, p)
		must(t, p.Open())
		wantOffset(t, p, 3)
	})
	t.Run("never opened", func(t *testing.T) { check(t, openDB(t).Partition("g", "t", 0, deadline)) })
	t.Run("the store", func(t *testing.T) {
		db := openDB(t)
		p := partition(t, db, "g", "t", 0)
		must(t, p.Set("a", wakes(9, "")), db.Close(), db.Close(), db.Commit(nil))
		check(t, p)
		if err := p.Open(); !errors.Is(err, ErrClosed) {
			t.Errorf("Open answers %v", err)
		}
		if err := p.Reset(); !errors.Is(err, ErrClosed) {
			t.Errorf("Reset answers %v", err)
		}
		if _, _, err := p.StoredOffset(); !errors.Is(err, ErrClosed) {
			t.Errorf("StoredOffset answers %v", err)
		}
	})
}

func TestAnIteratorThatOutlivesItsPartitionSaysSo(t *testing.T) {
	for name, end := range map[string]func(db *DB, p *Partition) error{
		"the partition closes": func(_ *DB, p *Partition) error { return p.Close() },
		"the store closes":     func(db *DB, _ *Partition) error { return db.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t)
			p := partition(t, db, "g", "t", 0)
			must(t, p.Set("a", []byte("1")), p.Set("b", []byte("2")), p.SetOffset(1))
			it, err := p.Iterator()
			must(t, err)
			if !it.Next() {
				t.Fatal("no row")
			}
			must(t, end(db, p))
			v, err := it.Value()
			if it.Next() || it.Seek([]byte("a")) || it.Key() != nil || v != nil || !errors.Is(err, ErrClosed) || !errors.Is(it.Err(), ErrClosed) {
				t.Errorf("it goes on: %q=%q %v, %v", it.Key(), v, err, it.Err())
			}
			it.Release()
			it.Release()
		})
	}
}

// goka sets offsets, reads and marks recovery from goroutines of its own, and closes without waiting for them.
func TestCallsFromManyGoroutinesRaceWithClose(t *testing.T) {
	for name, end := range map[string]func(db *DB, p *Partition) error{
		"the partition closes": func(_ *DB, p *Partition) error { return p.Close() },
		"the store closes":     func(db *DB, _ *Partition) error { return db.Close() },
		"both":                 func(db *DB, p *Partition) error { go p.Close(); return db.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				raceWithClose(t, end)
			}
		})
	}
}

func raceWithClose(t *testing.T, end func(*DB, *Partition) error) {
	t.Helper()
	db := openDB(t)
	p := partition(t, db, "g", "t", 0)
	all := calls(p)
	delete(all, "Commit") // the follower's goroutine writes, no transaction does
	all["MarkRecovered"] = p.MarkRecovered
	all["Wake"] = func() error { p.Wake(); return nil }
	all["flush"] = func() error { p.flushFollowed(); return nil }
	all["an iteration"] = func() error {
		it, err := p.Iterator()
		if err != nil {
			return err
		}
		defer it.Release()
		for it.Next() {
			if _, err := it.Value(); err != nil {
				return err
			}
		}
		return it.Err()
	}
	var running sync.WaitGroup
	var busy atomic.Int64
	for name, call := range all {
		running.Go(func() {
			busy.Add(1)
			for range 300 {
				if err := call(); errors.Is(err, ErrClosed) {
					return
				} else if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	for busy.Load() < int64(len(all)) {
		must(t, p.Set("b", wakes(9, "")), p.SetOffset(busy.Load()))
	}
	must(t, end(db, p))
	running.Wait()
	must(t, db.Close())
}

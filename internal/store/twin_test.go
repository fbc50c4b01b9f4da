package store

import (
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// twin is what a partition must be, in maps: rows as stored, as followed up to an offset, and as the transaction sees them.
type twin struct {
	stored, followed, open map[string]string
	at, followedAt         int64
}

func newTwin() *twin {
	return &twin{stored: map[string]string{}, followed: map[string]string{}, open: map[string]string{}, at: none, followedAt: none}
}

// settle makes the followed rows the stored ones.
func (w *twin) settle() {
	if w.followedAt != none {
		w.stored, w.at, w.followedAt = maps.Clone(w.followed), w.followedAt, none
	}
}

// forget takes back what has no offset.
func (w *twin) forget() {
	w.settle()
	w.followed, w.open = maps.Clone(w.stored), maps.Clone(w.stored)
}

func (w *twin) commit(at int64) {
	w.stored, w.at, w.followedAt = maps.Clone(w.open), at, none
	w.followed = maps.Clone(w.open)
}

func (w *twin) due(now int64) (all []Due) {
	for k, v := range w.stored {
		if ms, wants := deadline([]byte(v)); wants && ms <= now {
			all = append(all, Due{k, ms})
		}
	}
	slices.SortFunc(all, func(a, b Due) int {
		if a.DeadlineMS != b.DeadlineMS {
			return int(a.DeadlineMS - b.DeadlineMS)
		}
		return slices.Compare([]byte(a.Key), []byte(b.Key))
	})
	return all
}

// pair is a partition and its twin; a store has three of them, and commits go over some.
type pair struct {
	*Partition
	*twin
}

func (p pair) same(t *rapid.T) {
	for key, want := range p.open {
		if v, err := p.Get(key); err != nil || string(v) != want {
			t.Fatalf("%s: row %q is %q (%v), want %q", p.name, key, v, err, want)
		}
	}
	want := p.at
	if p.followedAt != none {
		want = p.followedAt
	}
	if at, err := p.GetOffset(none); err != nil || at != want {
		t.Fatalf("%s: offset %d (%v), want %d", p.name, at, err, want)
	}
}

var (
	drawKey = rapid.SampledFrom([]string{"a", "ab", "b", "\x00", "\xff", "d", "o", "t"})
	drawRow = rapid.Custom(func(t *rapid.T) []byte {
		return wakes(rapid.Int64Range(0, 12).Draw(t, "deadline"), rapid.StringN(0, 2, 4).Draw(t, "rest"))
	})
)

// machine is the state of one run: a store, reopened now and then.
type machine struct {
	dir   string
	fs    vfs.FS
	db    *DB
	pairs []pair
	at    int64 // every offset is a new one
}

func (m *machine) open(t *rapid.T) {
	opt := small()
	opt.fs = m.fs
	db, err := Open(m.dir, opt)
	must(t, err)
	m.db = db
	for i, place := range []struct {
		topic string
		n     int32
	}{{"t", 0}, {"t", 1}, {"tt", 0}} {
		p := partition(t, db, "g", place.topic, place.n)
		if len(m.pairs) <= i {
			m.pairs = append(m.pairs, pair{p, newTwin()})
		}
		m.pairs[i].Partition = p
	}
}

func (m *machine) pick(t *rapid.T) pair { return rapid.SampledFrom(m.pairs).Draw(t, "partition") }

func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"Set": func(t *rapid.T) {
			p, key, row := m.pick(t), drawKey.Draw(t, "key"), drawRow.Draw(t, "row")
			p.twin.open[key] = string(row)
			must(t, p.Set(key, row))
		},
		"Delete": func(t *rapid.T) {
			p, key := m.pick(t), drawKey.Draw(t, "key")
			delete(p.twin.open, key)
			must(t, p.Delete(key))
		},
		"Get": func(t *rapid.T) {
			p, key := m.pick(t), drawKey.Draw(t, "key")
			v, err := p.Get(key)
			want, there := p.twin.open[key]
			if err != nil || string(v) != want || (v != nil) != there {
				t.Fatalf("%s: row %q is %q (%v), want %q (%v)", p.name, key, v, err, want, there)
			}
		},
		"SetOffset": func(t *rapid.T) {
			p := m.pick(t)
			m.at++
			p.twin.followed, p.twin.followedAt = maps.Clone(p.twin.open), m.at
			must(t, p.SetOffset(m.at))
		},
		"MarkRecovered": func(t *rapid.T) {
			p := m.pick(t)
			p.settle()
			must(t, p.MarkRecovered())
		},
		"flush": func(t *rapid.T) {
			p := m.pick(t)
			p.settle()
			p.flushFollowed()
			must(t, m.db.db.Flush())
		},
		"Commit": m.commit,
		"Close": func(t *rapid.T) {
			p := m.pick(t)
			p.forget()
			must(t, p.Close(), p.Open())
		},
		"Close of the store": func(t *rapid.T) {
			for _, p := range m.pairs {
				p.forget()
			}
			must(t, m.db.Close())
			m.open(t)
		},
		"Reset": func(t *rapid.T) {
			p := m.pick(t)
			*p.twin = *newTwin()
			must(t, p.Reset())
		},
		"Iterator": func(t *rapid.T) {
			p := m.pick(t)
			p.settle()
			wantRows(t, p.Partition, p.twin.stored)
		},
		"DueBy": m.dueBy,
		"": func(t *rapid.T) {
			for _, p := range m.pairs {
				p.same(t)
				if wake, earliest := p.Wake(), p.due(never); len(earliest) > 0 && wake > earliest[0].DeadlineMS {
					t.Fatalf("%s: Wake is %d, but %v waits", p.name, wake, earliest[0])
				}
			}
		},
	}
}

func (m *machine) commit(t *rapid.T) {
	var parts []Written
	for _, p := range m.pairs {
		if rapid.Bool().Draw(t, "takes part") {
			m.at++
			p.twin.commit(m.at)
			parts = append(parts, Written{p.Partition, m.at})
		}
	}
	must(t, m.db.Commit(parts))
}

func (m *machine) dueBy(t *rapid.T) {
	p, now, limit := m.pick(t), rapid.Int64Range(0, 14).Draw(t, "now"), rapid.IntRange(0, 9).Draw(t, "limit")
	skipped := rapid.SliceOfNDistinct(drawKey, 0, 3, rapid.ID).Draw(t, "skipped")
	p.settle()
	got, err := p.DueBy(now, limit, func(d Due) bool { return slices.Contains(skipped, d.Key) })
	must(t, err)
	want := slices.DeleteFunc(p.due(now), func(d Due) bool { return slices.Contains(skipped, d.Key) })
	if want = want[:min(limit, len(want))]; !slices.Equal(got, want) {
		t.Fatalf("%s: due at %d are %v, want %v", p.name, now, got, want)
	}
	// Who skips a row asks again by himself: the wake is about the others.
	for _, d := range p.due(never) {
		if !slices.Contains(skipped, d.Key) && !slices.Contains(got, d) && p.Wake() > d.DeadlineMS {
			t.Fatalf("%s: Wake is %d, but %v waits", p.name, p.Wake(), d)
		}
	}
	_, err = p.DueBy(never, 0, nil) // answers nothing, and counts the skipped ones again
	must(t, err)
}

func TestAPartitionIsWhatItsTwinIs(t *testing.T) {
	dir := t.TempDir() // of the lock alone
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{dir: dir, fs: vfs.NewMem()}
		m.open(t)
		defer func() { _ = m.db.Close() }()
		t.Repeat(m.actions())
	})
}

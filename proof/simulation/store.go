package simulation

import (
	"cmp"
	"slices"
	"strings"

	"oms/schemas"
)

// store is what a member keeps of a partition's table: rows, the changelog offset that they stand for, and the index of deadlines, all of one moment. What was not
// flushed is lost with a killed process, as in a Pebble without a log of its own.
type store struct {
	rows    map[string][]byte
	offset  int64 // of the changelog; none: nothing is stored
	index   []due
	flushed map[string][]byte
	at      int64 // offset that flushed stands for
	dirty   map[string]bool
}

const none = int64(-1)

// due is a row that wants to be woken.
type due struct {
	ms  int64
	key string
}

func (a due) compare(b due) int {
	return cmp.Or(cmp.Compare(a.ms, b.ms), strings.Compare(a.key, b.key))
}

func newStore() *store {
	return &store{rows: map[string][]byte{}, offset: none, flushed: map[string][]byte{}, at: none, dirty: map[string]bool{}}
}

// put writes a row and its entry in the index, in the place of the earlier one.
func (s *store) put(key string, row []byte) {
	if ms, ok := schemas.Deadline(s.rows[key]); ok {
		if i, there := slices.BinarySearchFunc(s.index, due{ms, key}, due.compare); there {
			s.index = slices.Delete(s.index, i, i+1)
		}
	}
	s.rows[key], s.dirty[key] = row, true
	s.enter(key, row)
}

func (s *store) enter(key string, row []byte) {
	if ms, ok := schemas.Deadline(row); ok {
		d := due{ms, key}
		if i, there := slices.BinarySearchFunc(s.index, d, due.compare); !there {
			s.index = slices.Insert(s.index, i, d)
		}
	}
}

// flush makes safe what is written.
func (s *store) flush() {
	for key := range s.dirty {
		s.flushed[key] = s.rows[key]
	}
	s.at = s.offset
	clear(s.dirty)
}

// kill leaves what was flushed.
func (s *store) kill() {
	for key := range s.dirty {
		if old, there := s.flushed[key]; there {
			s.rows[key] = old
			s.enter(key, old)
		} else {
			delete(s.rows, key)
		}
	}
	s.offset = s.at
	clear(s.dirty)
}

// recover reads the changelog on from where the rows stand.
func (s *store) recover(changelog *partition) {
	for at := s.offset + 1; at < int64(len(changelog.records)); at++ {
		if r := changelog.records[at]; r.readable() {
			s.put(string(r.Key), r.Value)
		}
		s.offset = at
	}
}

// dueBy answers rows whose deadline is not after nowMS, earliest first, but for those asked for already. An entry that its row does not confirm is dropped.
func (s *store) dueBy(nowMS int64, asked map[string]int64) (found []due) {
	kept := s.index[:0]
	for i, d := range s.index {
		if d.ms > nowMS {
			kept = append(kept, s.index[i:]...)
			break
		}
		if asked[d.key] == d.ms {
			kept = append(kept, d)
			continue
		}
		if ms, ok := schemas.Deadline(s.rows[d.key]); ok && ms == d.ms {
			found, kept = append(found, d), append(kept, d)
		}
	}
	s.index = kept
	return found
}

// wake is when dueBy may find something new; false: never, as things stand.
func (s *store) wake(asked map[string]int64) (int64, bool) {
	for _, d := range s.index {
		if asked[d.key] != d.ms {
			return d.ms, true
		}
	}
	return 0, false
}

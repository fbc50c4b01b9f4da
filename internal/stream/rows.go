package stream

import "sync"

// Row is a row in memory while steps are taken on it.
type Row interface {
	// Encode answers the row's bytes as they were committed last (nil: there were none), as they are now, and the time of the changelog record (UTC, ms). What it
	// answers as now is taken for committed from then on: a batch that fails ends the session, and with it all that is in memory. An error fails the batch, as a step that
	// fails does.
	Encode() (before, value []byte, atMS int64, err error)
}

// recentBytes of encoded rows that a group remembers; in memory they are about four times as large. An order is asked for again within seconds, and then mostly not for days.
const recentBytes = 4 << 20

// shard holds the rows of one partition in one session; only that partition's goroutine writes it while steps run.
type shard struct {
	mu         sync.Mutex
	rows       map[string]row // of the open batch, as goka sets them
	kept       map[string]Row // of the open batch, in memory
	young, old map[string]Row // as committed: what was written last, and what was before that
	bytes      int            // of the young, encoded
}

func (s *shard) begin() {
	clear(s.rows)
	clear(s.kept)
}

// set takes a row from goka, past what is in memory.
func (s *shard) set(key string, r row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil {
		s.rows = map[string]row{}
	}
	s.rows[key] = r
	delete(s.young, key)
	delete(s.old, key)
}

func (s *shard) keep(key string, r Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = map[string]Row{}
	}
	s.kept[key] = r
}

func (s *shard) get(key string) Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rows := range []map[string]Row{s.kept, s.young, s.old} {
		if r, ok := rows[key]; ok {
			return r
		}
	}
	return nil
}

// remember a kept row of so many bytes; half of the bound is the young's.
func (s *shard) remember(key string, r Row, bytes, bound int) {
	if s.young == nil {
		s.young = map[string]Row{}
	}
	s.young[key] = r
	if s.bytes += bytes; s.bytes < bound/2 {
		return
	}
	s.young, s.old, s.bytes = s.old, s.young, 0
	clear(s.young)
}

// Keep has the row written under the key when the batch ends, with the bytes that it has then: however many steps one key takes in a batch, its row is encoded once. For a
// step on the row's partition, instead of goka's SetValue.
func (e *Engine) Keep(partition int32, key string, r Row) { e.out.shards[partition].keep(key, r) }

// Kept is the row in memory, as this batch or an earlier one has kept it; nil when it is for the state to answer.
func (e *Engine) Kept(partition int32, key string) Row { return e.out.shards[partition].get(key) }

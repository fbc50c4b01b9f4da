package kafka

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A killed broker leaves three kinds of damage, all of which its own load makes worse. They are mended in its files, before it
// opens them:
//
//   - It writes a batch to N.dat and then its entry to N.idx, and takes "in a transaction" from the latter alone. A kill in
//     between makes an unfinished record visible and shifts the meaning of every later entry. The entry is written.
//   - Its EndTxn writes a marker per partition and then the group's offsets, with nothing that would tell later that it had
//     begun. The journal does: an entry that is not done and has a commit marker anywhere gets one everywhere.
//   - Every other open transaction it aborts on load, in memory only: the next commit of the same transactional id, whose
//     producer id is a hash, commits the dead records with its own at the start after that. They get an abort marker.
//
// A marker is appended where the broker would have put it, so every record keeps its place. All of it may be killed anywhere
// and run again: what is already written leads to the same decision.
type mend struct {
	entries []entry
	fsync   bool
	log     *slog.Logger

	mu    sync.Mutex
	fates [][]fate // per entry, of its records in each partition
	parts []*tail

	step func() // called before each write, for tests
}

type fate int

const (
	unknown fate = iota // its records are not there any more
	open
	committed
	aborted
)

// mended is what there was to mend.
type mended struct {
	indexes, commits, aborts int // index files completed, markers appended
	committed                []bool
}

// tail is the end of a partition's log.
type tail struct {
	partition
	path    string // last segment with a batch in it
	size    int64  // bytes of whole batches in it
	batches int64
	next    int64 // offset
	leader  uint32
	open    []*txn
}

// txn is one transaction in one partition.
type txn struct {
	producer int64
	epoch    uint16
	fate     fate
	entry    int // of the journal; -1 none
}

// run mends the broker's directory and tells for each entry whether it is committed.
func (m *mend) run(dir string) (done mended, err error) {
	// What a clean stop saved of open transactions: they get their markers here, and nobody else is a member any more.
	if err := os.Remove(filepath.Join(dir, "session_state.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return done, err
	}
	dirs, err := partitionDirs(dir)
	if err != nil {
		return done, err
	}
	m.fates = make([][]fate, len(m.entries))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for p, dir := range dirs {
		g.Go(func() error {
			n, err := m.scan(p, dir)
			m.mu.Lock()
			done.indexes += n
			m.mu.Unlock()
			if err != nil {
				return fmt.Errorf("partition %s/%d: %w", p.topic, p.number, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return done, err
	}
	done.committed = m.decide()
	for _, t := range m.parts {
		for _, x := range t.open {
			commit := x.entry >= 0 && done.committed[x.entry]
			if err := m.end(t, x, commit); err != nil {
				return done, fmt.Errorf("partition %s/%d: %w", t.topic, t.number, err)
			}
			if commit {
				done.commits++
			} else {
				done.aborts++
			}
		}
	}
	return done, nil
}

// decide finds for each entry whether its commit had begun: the markers come before anything else.
func (m *mend) decide() []bool {
	commit := make([]bool, len(m.entries))
	for i, fates := range m.fates {
		no := false
		for _, f := range fates {
			commit[i] = commit[i] || f == committed
			no = no || f == aborted
		}
		if commit[i] && no {
			e := m.entries[i]
			m.log.Error("a transaction is committed in one partition and aborted in another; its records stay as they are", "id", e.id, "entry", e.seq)
		}
	}
	return commit
}

// scan reads a partition from its first batch to its last, completes its index files, and finds what is open at the end.
func (m *mend) scan(p partition, dir string) (indexes int, err error) {
	paths, err := segments(dir)
	if err != nil {
		return 0, err
	}
	s := scanner{tail: tail{partition: p}, open: map[int64]*txn{}, wants: m.wants(p)}
	for _, path := range paths {
		n, err := s.segment(path, m.index)
		if err != nil {
			return indexes, err
		}
		indexes += n
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, x := range s.found {
		m.fates[i] = append(m.fates[i], x.fate)
	}
	for _, x := range s.open {
		s.tail.open = append(s.tail.open, x)
	}
	if len(s.open) > 0 {
		m.parts = append(m.parts, &s.tail)
	}
	return indexes, nil
}

// wants answers, by offset, the entries with records in the partition: the first record of each is enough, since all it has
// there share one fate.
func (m *mend) wants(p partition) map[int64]int {
	wants := map[int64]int{}
	for i, e := range m.entries {
		for _, s := range e.spans {
			if s.topic == p.topic && s.partition == p.number {
				wants[s.from] = i
				break
			}
		}
	}
	return wants
}

type scanner struct {
	tail
	open  map[int64]*txn // by producer
	wants map[int64]int
	found map[int]*txn // by entry
	buf   []byte
}

// segment reads one file. index is told how many entries are there and handed those of all its batches.
func (s *scanner) segment(path string, index func(path string, all []byte) (bool, error)) (mended int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	var size, batches int64
	var entries []byte
	for {
		b, n, buf, err := readBatch(r, s.buf)
		if s.buf = buf; err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
		e := indexOf(b)
		entries = append(entries, e[:]...)
		size, batches = size+int64(n), batches+1
		s.next, s.leader = b.next, b.leader
		s.follow(b)
	}
	if batches > 0 {
		s.path, s.size, s.batches = path, size, batches
	}
	ok, err := index(strings.TrimSuffix(path, "dat")+"idx", entries)
	if ok {
		mended = 1
	}
	return mended, err
}

// follow keeps which transactions are open.
func (s *scanner) follow(b batch) {
	switch {
	case b.attrs&control != 0:
		if x := s.open[b.producer]; x != nil {
			if x.fate = aborted; b.commit {
				x.fate = committed
			}
			delete(s.open, b.producer)
		}
	case b.attrs&transactional != 0:
		x := s.open[b.producer]
		if x == nil {
			x = &txn{producer: b.producer, entry: -1, fate: open}
			s.open[b.producer] = x
		}
		x.epoch = b.epoch
		for at, i := range s.wants {
			if b.base <= at && at < b.next {
				if s.found == nil {
					s.found = map[int]*txn{}
				}
				x.entry, s.found[i] = i, x
			}
		}
	}
}

// index completes an index file that is shorter than its segment, and tells whether it was.
func (m *mend) index(path string, all []byte) (bool, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return false, err
	}
	defer f.Close()
	have, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	whole := have / indexEntry * indexEntry
	if whole >= int64(len(all)) {
		return false, nil // entries beyond the segment are cut off by the broker
	}
	m.before()
	_, err = f.WriteAt(all[whole:], whole)
	return true, m.synced(f, err)
}

// end appends the marker of a transaction, and its index entry after it: a kill in between is the first kind of damage.
func (m *mend) end(t *tail, x *txn, commit bool) error {
	b := marker(t.next, t.leader, x.producer, x.epoch, commit, time.Now())
	if err := m.writeAt(t.path, b, t.size); err != nil {
		return err
	}
	i := indexOf(batch{leader: t.leader, attrs: transactional | control})
	if err := m.writeAt(strings.TrimSuffix(t.path, "dat")+"idx", i[:], t.batches*indexEntry); err != nil {
		return err
	}
	t.size, t.batches, t.next = t.size+int64(len(b)), t.batches+1, t.next+1
	return nil
}

// writeAt writes at a place and cuts off what is behind it.
func (m *mend) writeAt(path string, b []byte, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	m.before()
	if err := f.Truncate(at); err != nil {
		return err
	}
	_, err = f.WriteAt(b, at)
	return m.synced(f, err)
}

func (m *mend) synced(f *os.File, err error) error {
	if err == nil && m.fsync {
		err = f.Sync()
	}
	return err
}

func (m *mend) before() {
	if m.step != nil {
		m.step()
	}
}

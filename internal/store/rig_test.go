package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" { // see kill_test.go
		child(dir)
		return
	}
	os.Exit(m.Run())
}

// small options: what a test writes reaches files.
func small() Options { return Options{CacheBytes: 1 << 20, MemTableBytes: 256 << 10} }

// openIn opens the store in dir; the test may close it earlier than at its end.
func openIn(t testing.TB, dir string, opt Options) *DB {
	t.Helper()
	db, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func openDB(t testing.TB) *DB {
	t.Helper()
	return openIn(t, t.TempDir(), small())
}

// fatal is what testing.TB and rapid.T have in common here.
type fatal interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func must(t fatal, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func partition(t fatal, db *DB, owner, topic string, n int32) *Partition {
	t.Helper()
	p := db.Partition(owner, topic, n, deadline)
	must(t, p.Open())
	return p
}

// A row of these tests is its deadline, 8 bytes, 0 for none, and any bytes behind.
func deadline(row []byte) (ms int64, ok bool) {
	if len(row) < 8 {
		return 0, false
	}
	ms = int64(binary.BigEndian.Uint64(row))
	return ms, ms > 0
}

func wakes(ms int64, rest string) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(ms)), rest...)
}

// rows are what an iterator shows.
func rows(t fatal, p *Partition) map[string]string {
	t.Helper()
	it, err := p.Iterator()
	must(t, err)
	defer it.Release()
	all := map[string]string{}
	for it.Next() {
		v, err := it.Value()
		must(t, err)
		all[string(it.Key())] = string(v)
	}
	must(t, it.Err())
	return all
}

func wantRows(t fatal, p *Partition, want map[string]string) {
	t.Helper()
	if got := rows(t, p); !maps.Equal(got, want) {
		t.Fatalf("rows %q, want %q", got, want)
	}
}

func wantGet(t fatal, p *Partition, key, want string) {
	t.Helper()
	if v, err := p.Get(key); err != nil || string(v) != want || (v == nil) != (want == "") {
		t.Fatalf("row %q is %q (%v), want %q", key, v, err, want)
	}
}

func wantOffset(t fatal, p *Partition, want int64) {
	t.Helper()
	if at, err := p.GetOffset(-3); err != nil || at != want {
		t.Fatalf("offset %d (%v), want %d", at, err, want)
	}
}

// due are the rows that DueBy answers, without a limit, as key@deadline.
func due(t fatal, p *Partition, now int64) []string {
	t.Helper()
	all, err := p.DueBy(now, 1<<30, func(Due) bool { return false })
	must(t, err)
	var names []string
	for _, d := range all {
		names = append(names, fmt.Sprintf("%s@%d", d.Key, d.DeadlineMS))
	}
	return names
}

func wantDue(t fatal, p *Partition, now int64, want ...string) {
	t.Helper()
	if got := due(t, p, now); !slices.Equal(got, want) {
		t.Fatalf("due at %d: %q, want %q", now, got, want)
	}
}

// faults collects what OnFault is told.
type faults struct {
	mu   sync.Mutex
	told []error
	one  chan struct{} // closed with the first
}

func newFaults() *faults { return &faults{one: make(chan struct{})} }

func (f *faults) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told = append(f.told, err); len(f.told) == 1 {
		close(f.one)
	}
}

func (f *faults) all() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.told)
}

// copyOf is a copy of a directory.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	for { // until no file came or went meanwhile: Pebble removes in the background what it no longer needs
		to := filepath.Join(t.TempDir(), "copy")
		before := filesOf(t, dir)
		if err := os.CopyFS(to, os.DirFS(dir)); err == nil && slices.Equal(before, filesOf(t, dir)) {
			return to
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// filesOf are the files under dir.
func filesOf(t testing.TB, dir string) (all []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	}))
	return all
}

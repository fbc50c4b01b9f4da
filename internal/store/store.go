// Package store keeps the state of stream processors: goka's storage on one Pebble per process.
//
// What a step writes waits in an overlay, seen by its own partition only, until the transaction that it belongs to is
// committed in Kafka; then it gathers in memory with what was committed before, and reaches Pebble together with the changelog offset
// and the deadline index, a partition at a time. There is no write-ahead log: the changelog topic is the log, and because values and
// the offset that they stand for travel in one batch, whatever a killed process leaves of a partition is an earlier whole state of it.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrClosed is the answer to every call after Close.
var ErrClosed = errors.New("store: closed")

// Options of a DB. Zero values take the defaults named.
type Options struct {
	CacheBytes    int64         // block cache, shared by all partitions; default 64 MiB
	MemTableBytes uint64        // one memtable; default 32 MiB, and at most six exist
	FlushEvery    time.Duration // bounds what a kill makes the next start read again from the changelog; default 30 s
	Log           *slog.Logger
	OnFault       func(error) // the disk is full or the files are damaged; called once, from any goroutine, and may not wait for the DB

	fs vfs.FS // of tests
}

// DB is the state of a process.
type DB struct {
	dir  string
	opt  Options
	db   *pebble.DB
	lock *os.File
	log  *slog.Logger

	stop   chan struct{}
	done   chan struct{}
	broken chan struct{} // closed with the first fault

	mu         sync.Mutex // before a Partition's mu
	closed     bool
	partitions map[*Partition]struct{} // open ones

	faultMu sync.Mutex // after a Partition's mu
	fault   error
}

// Names within the directory. The damage marker asks the next Open to set the data aside.
const (
	dataName   = "state"
	lockName   = "lock"
	damageName = "damaged"
)

// Open opens or creates the store in dir. A directory that another process holds is an error; damaged data is set aside next
// to it, and said so: everything in it can be read again from the changelog.
func Open(dir string, opt Options) (*DB, error) {
	if opt.CacheBytes == 0 {
		opt.CacheBytes = 64 << 20
	}
	if opt.MemTableBytes == 0 {
		opt.MemTableBytes = 32 << 20
	}
	if opt.FlushEvery == 0 {
		opt.FlushEvery = 30 * time.Second
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	db := &DB{dir: dir, opt: opt, lock: lock, log: opt.Log, stop: make(chan struct{}), done: make(chan struct{}), broken: make(chan struct{}), partitions: map[*Partition]struct{}{}}
	if err := db.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("store in %s: %w", dir, err), lock.Close())
	}
	go db.flushLoop()
	return db, nil
}

// lockFile takes the directory for this process; the kernel gives it back when the process ends, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another process is using this state directory (%s is locked)", path), f.Close())
	}
	return f, nil
}

func (db *DB) open() (err error) {
	data, marker := filepath.Join(db.dir, dataName), filepath.Join(db.dir, damageName)
	if _, err := os.Stat(marker); err == nil {
		if err := db.setAside(data, errors.New("damage was found while it was in use")); err != nil {
			return err
		}
		if err := os.Remove(marker); err != nil {
			return err
		}
	}
	db.db, err = pebble.Open(data, db.pebbleOptions())
	if err == nil || refused(err) {
		return oneLine(err)
	}
	if err := db.setAside(data, err); err != nil {
		return err
	}
	db.db, err = pebble.Open(data, db.pebbleOptions())
	return oneLine(err)
}

// refused tells a disk that refuses from wrong or missing files, of which Pebble does not mark all as corruption.
func refused(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && errno != syscall.ENOENT
}

// line is an error of Pebble without the lines that follow its first: they tell nothing.
type line struct{ error }

func (l line) Error() string {
	first, _, _ := strings.Cut(l.error.Error(), "\n")
	return first
}

func (l line) Unwrap() error { return l.error }

func oneLine(err error) error {
	if err == nil {
		return nil
	}
	return line{err}
}

// damaged tells that files in use are wrong or missing.
func damaged(err error) bool {
	return pebble.IsCorruptionError(err) || errors.Is(err, fs.ErrNotExist)
}

func (db *DB) setAside(data string, why error) error {
	if _, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	aside := fmt.Sprintf("%s.damaged-%s", data, time.Now().UTC().Format("20060102T150405.000"))
	db.log.Error("the state is damaged; it is set aside and read again from the changelog", "aside", aside, "error", why)
	return os.Rename(data, aside)
}

// l0Gathers tables lie over one another in the first level before they are compacted. Keys are spread by chance, so that rewrites most of the level below: with 8, as before,
// an order cost 0.18 ms of processor time where 700,000 were held, and 0.15 with 24. Filters spare lookups the depth.
const l0Gathers = 24

func (db *DB) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          db.opt.fs,
		DisableWAL:                  true,
		CacheSize:                   db.opt.CacheBytes,
		MemTableSize:                db.opt.MemTableBytes,
		MemTableStopWritesThreshold: 6, // a limit, not a measure: what gathers in all partitions must fit, or a flush waits for a disk that refuses
		L0CompactionThreshold:       l0Gathers,
		L0StopWritesThreshold:       3 * l0Gathers,
		LBaseMaxBytes:               16 * int64(db.opt.MemTableBytes),
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      pebbleLog{db},
		EventListener:               &pebble.EventListener{BackgroundError: db.failed, DataCorruption: func(i pebble.DataCorruptionInfo) { db.failed(i.Details) }},
	}
	// Larger tables and a larger first level are written fewer times over; the defaults are made for far smaller memtables.
	o.TargetFileSizes[0] = int64(db.opt.MemTableBytes) / 2
	// New keys are looked up as often as known ones: without filters each would read every level.
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	o.Levels[0].EnsureL0Defaults()
	for i := 1; i < len(o.Levels); i++ {
		o.Levels[i].EnsureL1PlusDefaults(&o.Levels[i-1])
	}
	return o
}

// failed notes the first fault of the disk. The state can be read again from the changelog, but not while the disk refuses.
func (db *DB) failed(err error) {
	db.faultMu.Lock()
	first := db.fault == nil
	if first {
		db.fault = fmt.Errorf("store in %s: %w", db.dir, oneLine(err))
		close(db.broken)
	}
	fault := db.fault
	db.faultMu.Unlock()
	if !first {
		return
	}
	if damaged(err) {
		if err := os.WriteFile(filepath.Join(db.dir, damageName), []byte(err.Error()+"\n"), 0o640); err != nil {
			db.log.Error("the damage could not be marked", "error", err)
		}
	}
	db.log.Error("the state store has failed", "error", fault)
	if db.opt.OnFault != nil {
		db.opt.OnFault(fault)
	}
}

// Fault is why the store takes no more writes, nil while it does: Pebble would let them wait until its disk takes them.
func (db *DB) Fault() error {
	db.faultMu.Lock()
	defer db.faultMu.Unlock()
	return db.fault
}

// check passes an error of Pebble on, and notes it.
func (db *DB) check(err error) error {
	if err != nil {
		db.failed(err)
	}
	return oneLine(err)
}

func (db *DB) flushLoop() {
	defer close(db.done)
	t := time.NewTicker(db.opt.FlushEvery)
	defer t.Stop()
	for {
		select {
		case <-db.stop:
			return
		case <-t.C:
			for _, p := range db.all() {
				p.flushFollowed()
			}
			// One flush at a time: Pebble tries one that fails for ever, and begins no third behind it, for which Close would wait in vain.
			if err := db.flush(); err != nil {
				return
			}
		}
	}
}

// flush makes durable what is written. Pebble's own Flush would wait until a full disk has room.
func (db *DB) flush() error {
	if err := db.Fault(); err != nil {
		return err
	}
	flushed, err := db.db.AsyncFlush()
	if err != nil {
		return db.check(err)
	}
	select {
	case <-flushed:
		return nil
	case <-db.broken:
		return db.Fault()
	}
}

func (db *DB) all() []*Partition {
	db.mu.Lock()
	defer db.mu.Unlock()
	all := make([]*Partition, 0, len(db.partitions))
	for p := range db.partitions {
		all = append(all, p)
	}
	return all
}

// Close makes everything durable that was committed, and gives the directory back. It may be called again.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	db.mu.Unlock()
	close(db.stop)
	<-db.done
	var errs []error
	for _, p := range db.all() {
		errs = append(errs, p.Close())
	}
	if db.Fault() == nil {
		errs = append(errs, db.flush())
	}
	return errors.Join(append(errs, db.db.Close(), db.lock.Close())...)
}

// pebbleLog is Pebble's logger.
type pebbleLog struct{ db *DB }

func (l pebbleLog) Infof(string, ...any) {} // a line per flush and compaction
func (l pebbleLog) Errorf(format string, a ...any) {
	l.db.log.Warn("state store: " + fmt.Sprintf(format, a...))
}

// Fatalf must not return: Pebble's own books are no longer right. What was committed is in the changelog.
func (l pebbleLog) Fatalf(format string, a ...any) {
	l.db.failed(fmt.Errorf(format, a...))
	os.Exit(1)
}

package views

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"oms/internal/kafka"
)

const (
	cacheBytes = 64 << 20
	// Pebble makes a table of a batch larger than half a memtable without filling one: what has gathered is such a batch, and is spared the search for each key's place.
	memTableBytes = 8 << 20
	// Larger tables and a larger first level are written fewer times over; the defaults are made for far smaller memtables.
	tableBytes     = 16 << 20
	baseLevelBytes = 512 << 20
	// Keys are spread by chance, so a compaction of the first level rewrites most of the one below: the more has gathered, the seldomer. Filters spare lookups the depth.
	l0Gathers = 24
)

// disk is the Pebble of the views. It has no log of its own: positions and what they stand for are in the same batches, so what a kill takes from memory is read
// again from Kafka.
type disk struct {
	dir string
	log *slog.Logger
	fs  vfs.FS // nil: the machine's

	mu     sync.RWMutex // held for reading while db is in use: Pebble panics when it is used after Close
	closed bool
	db     *pebble.DB

	faultMu sync.Mutex
	faulted error
	broken  chan struct{} // closed with the first fault
}

// Names within the directory. The damage marker asks the next start to set the data aside.
const (
	dataName   = "pebble"
	damageName = "damaged"
)

// openDisk opens or creates the data. Damaged data is set aside next to it, and said so: all of it can be read again from Kafka.
func openDisk(dir string, log *slog.Logger, fs vfs.FS) (*disk, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("views: %w", err)
	}
	d := &disk{dir: dir, log: log, fs: fs, broken: make(chan struct{})}
	data, marker := filepath.Join(dir, dataName), filepath.Join(dir, damageName)
	if _, err := os.Stat(marker); err == nil {
		if err := d.setAside(data, errors.New("damage was found while it was in use")); err != nil {
			return nil, err
		}
		if err := os.Remove(marker); err != nil {
			return nil, fmt.Errorf("views: %w", err)
		}
	}
	db, err := pebble.Open(data, d.options())
	if err != nil && !refused(err) {
		if err := d.setAside(data, err); err != nil {
			return nil, err
		}
		db, err = pebble.Open(data, d.options())
	}
	if err != nil {
		return nil, fmt.Errorf("views: opening %s: %w", data, err)
	}
	d.db = db
	return d, nil
}

// refused tells a disk that refuses from wrong or missing files, of which Pebble does not mark all as corruption.
func refused(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && errno != syscall.ENOENT
}

func (d *disk) setAside(data string, why error) error {
	if _, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	aside := fmt.Sprintf("%s.damaged-%s", data, time.Now().UTC().Format("20060102T150405.000"))
	d.log.Error("the views are damaged; they are set aside and built again from Kafka", "aside", aside, "error", why)
	if err := os.Rename(data, aside); err != nil {
		return fmt.Errorf("views: %w", err)
	}
	return nil
}

func (d *disk) options() *pebble.Options {
	o := &pebble.Options{
		FS:                          d.fs,
		DisableWAL:                  true,
		CacheSize:                   cacheBytes,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: 16, // a limit, not a measure: what has gathered must fit several times, or a flush waits for a disk that refuses
		L0CompactionThreshold:       l0Gathers,
		L0StopWritesThreshold:       3 * l0Gathers,
		LBaseMaxBytes:               baseLevelBytes,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      diskLog{d},
		EventListener:               &pebble.EventListener{BackgroundError: func(err error) { d.failed(err) }, DataCorruption: func(i pebble.DataCorruptionInfo) { d.failed(i.Details) }},
	}
	o.TargetFileSizes[0] = tableBytes
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(10) // the row of each new order is looked for before it is there
	o.Levels[0].EnsureL0Defaults()
	for i := 1; i < len(o.Levels); i++ {
		o.Levels[i].EnsureL1PlusDefaults(&o.Levels[i-1])
	}
	return o
}

// failed notes the first fault, after which nothing more is written, and answers it.
func (d *disk) failed(err error) error {
	d.faultMu.Lock()
	defer d.faultMu.Unlock()
	if d.faulted != nil {
		return d.faulted
	}
	d.faulted = fmt.Errorf("views in %s: %w", d.dir, err)
	if pebble.IsCorruptionError(err) || errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(filepath.Join(d.dir, damageName), []byte(err.Error()+"\n"), 0o640); err != nil {
			d.log.Error("views: the damage could not be marked", "error", err)
		}
	}
	close(d.broken)
	d.log.Error("the disk of the views has failed", "error", d.faulted)
	return d.faulted
}

func (d *disk) fault() error {
	d.faultMu.Lock()
	defer d.faultMu.Unlock()
	return d.faulted
}

// use runs a reading or writing function on the open data. Errors of Pebble among what it answers are faults of the disk: functions keep others to themselves.
func (d *disk) use(do func(db *pebble.DB) error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return ErrClosed
	}
	if err := do(d.db); err != nil {
		return d.failed(err)
	}
	return nil
}

// get answers a copy of the value; nil when there is none.
func (d *disk) get(key []byte) (value []byte, err error) {
	err = d.use(func(db *pebble.DB) error {
		value, err = lookup(db, key)
		return err
	})
	return value, err
}

func lookup(db pebble.Reader, key []byte) ([]byte, error) {
	raw, c, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return append([]byte{}, raw...), nil
}

// scan visits the keys from first up to, not including, end, in order, until visit answers false. Neither slice outlives the visit.
func (d *disk) scan(first, end []byte, visit func(key, value []byte) bool) error {
	return d.use(func(db *pebble.DB) error { return scan(db, first, end, visit) })
}

func scan(db pebble.Reader, first, end []byte, visit func(key, value []byte) bool) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: first, UpperBound: end})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(err, it.Close())
		}
		if !visit(it.Key(), value) {
			break
		}
	}
	return it.Close()
}

// snapshot runs a reading function on the data as of now.
func (d *disk) snapshot(read func(at pebble.Reader) error) error {
	return d.use(func(db *pebble.DB) error {
		s := db.NewSnapshot()
		return errors.Join(read(s), s.Close())
	})
}

// positions is where each partition is to be read from; a partition that was never read is not among them.
func (d *disk) positions() (kafka.Offsets, error) {
	at := kafka.Offsets{}
	err := d.scan([]byte{kindPosition}, []byte{kindPosition + 1}, func(key, value []byte) bool {
		if len(key) == 6 && len(value) == 8 && source(key[1]) < sources {
			name := following[key[1]].topic.Name
			if at[name] == nil {
				at[name] = map[int32]int64{}
			}
			at[name][int32(binary.BigEndian.Uint32(key[2:]))] = int64(binary.BigEndian.Uint64(value))
		}
		return true
	})
	return at, err
}

// flushEvery bounds what a killed process reads again; before comes ahead of each flush, and an error of it is the disk's fault. The answer is closed when it has ended.
func (d *disk) flushEvery(every time.Duration, stop <-chan struct{}, before func() error) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-stop:
				return
			case <-t.C:
				if before() != nil || d.use(d.flush) != nil { // noted as the disk's fault; Pebble tries for ever, and begins no third flush behind one that fails
					return
				}
			}
		}
	}()
	return done
}

func (d *disk) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	var err error
	if d.fault() == nil {
		err = d.flush(d.db)
	}
	return errors.Join(err, d.db.Close())
}

// flush makes durable what is written. Pebble's own Flush would wait until a full disk has room.
func (d *disk) flush(db *pebble.DB) error {
	flushed, err := db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-flushed:
		return nil
	case <-d.broken:
		return d.fault()
	}
}

// diskLog is Pebble's logger.
type diskLog struct{ d *disk }

func (l diskLog) Infof(string, ...any) {} // a line per flush and compaction
func (l diskLog) Errorf(format string, a ...any) {
	l.d.log.Warn("views: " + fmt.Sprintf(format, a...))
}

// Fatalf must not return: Pebble's own books are no longer right. Everything is in Kafka.
func (l diskLog) Fatalf(format string, a ...any) {
	_ = l.d.failed(fmt.Errorf(format, a...))
	os.Exit(1)
}

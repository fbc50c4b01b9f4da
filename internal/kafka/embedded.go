package kafka

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// embeddedPrefix begins the cluster id of every embedded broker, so that others can tell it from a real Kafka.
const embeddedPrefix = "oms-embedded-"

func isEmbedded(clusterID string) bool { return strings.HasPrefix(clusterID, embeddedPrefix) }

// EmbeddedConfig says where an embedded broker lives.
type EmbeddedConfig struct {
	Dir    string   // its data; created when missing
	Listen string   // loopback host:port for other processes; port 0 or an empty string: a free one
	Fsync  bool     // survive a power loss as well as a killed process: every batch and every journal entry is synced
	Tables []string // topics whose last value per key counts: compacted at start when that pays
	Log    *slog.Logger
}

// Embedded is a broker in this process, with its data on disk: the real protocol and real transactions, one goroutine, no
// replication. All transactional roles must live in its process and note their commits in its Journal.
type Embedded struct {
	cluster *kfake.Cluster
	gate    *gate
	journal *Journal
	lock    *os.File
	log     *slog.Logger
	id      string
	life    string
	close   sync.Once

	failed    chan struct{} // closed by the first write that the broker could not make
	failOnce  sync.Once
	failCause error
}

// StartEmbedded opens the broker's data. When it returns every transaction of earlier lives, however they ended, is whole or
// not at all, and others can connect.
func StartEmbedded(ctx context.Context, c EmbeddedConfig) (*Embedded, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	e := &Embedded{log: c.Log, failed: make(chan struct{}), life: strings.ToLower(rand.Text()[:13])}
	if err := e.start(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded broker in %s: %w", c.Dir, err), e.Close())
	}
	return e, nil
}

func (e *Embedded) start(ctx context.Context, c EmbeddedConfig) (err error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	if e.lock, err = lock(filepath.Join(c.Dir, "lock")); err != nil {
		return err
	}
	if e.gate, err = listen(ctx, c.Listen); err != nil {
		return err
	}
	if e.journal, err = openJournal(filepath.Join(c.Dir, "journal"), c.Fsync); err != nil {
		return err
	}
	undone, err := e.journal.undone()
	if err != nil {
		return err
	}
	files := filepath.Join(c.Dir, "log")
	m := mend{entries: undone, fsync: c.Fsync, log: c.Log}
	done, err := m.run(files)
	if err != nil {
		return err
	}
	if done.indexes+done.commits+done.aborts+len(undone) > 0 {
		c.Log.Info("embedded broker: mended after a kill", "undone", len(undone), "indexes", done.indexes, "commit markers", done.commits, "abort markers", done.aborts)
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(1), kfake.DataDir(files), kfake.ClusterID(embeddedPrefix + strings.ToLower(rand.Text()[:10])),
		kfake.ListenFn(e.gate.take), kfake.WithLogger(&brokerLog{e}), kfake.BrokerConfigs(brokerConfigs),
	}
	if c.Fsync {
		opts = append(opts, kfake.SyncWrites())
	}
	if e.cluster, err = kfake.NewCluster(opts...); err != nil {
		return err
	}
	boundByPartition(e.cluster)
	if e.id, err = e.Settings().ClusterID(ctx); err != nil {
		return err
	}
	if err := settle(ctx, e.Settings(), e.journal, undone, done.committed); err != nil {
		return err
	}
	if err := compact(ctx, e.Settings(), c.Tables, files, filepath.Join(c.Dir, "compaction.json"), c.Log); err != nil {
		return err
	}
	debug.FreeOSMemory() // opening holds the whole data directory in memory
	e.gate.Open()
	return nil
}

// brokerConfigs override the broker's defaults. Offsets of a group that was idle for a week must stay: without them its inbox
// would be taken from the start. What is removed of a topic leaves the disk by whole segments, which are 100 MiB by default.
var brokerConfigs = map[string]string{
	"offsets.retention.minutes": "2147483647",
	"message.max.bytes":         fmt.Sprint(MaxBatchBytes),
	"log.segment.bytes":         fmt.Sprint(segmentBytes),
}

// segmentBytes is the size from which a partition gets another segment.
const segmentBytes = 8 << 20

// ErrInUse says that the broker of a directory runs in another process.
var ErrInUse = errors.New("another process is using this directory")

// lock takes the directory for this process; the kernel gives it back when the process ends, however it ends. The file names the process, for a backup that wants to pause it.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w (%s is locked)", ErrInUse, path), f.Close())
	}
	pid := fmt.Appendln(nil, os.Getpid())
	_, err = f.WriteAt(pid, 0) // before the rest goes: a full disk has room for what is there
	if err := errors.Join(err, f.Truncate(int64(len(pid)))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Addr is the host:port at which other processes reach the broker.
func (e *Embedded) Addr() string { return e.gate.Addr().String() }

// ClusterID is kept with the data: a wiped directory is another cluster.
func (e *Embedded) ClusterID() string { return e.id }

// Life names this run of the broker; no other run has the same. It belongs into every transactional id.
func (e *Embedded) Life() string { return e.life }

// Journal is where a transaction is noted before its commit.
func (e *Embedded) Journal() *Journal { return e.journal }

// Failed is closed when the broker could not write to its disk. It goes on from memory then, and even confirms commits whose
// markers are not on the disk; so its journal refuses every Begin and Done from that moment, and the process must end. The
// next start decides what was open.
func (e *Embedded) Failed() <-chan struct{} { return e.failed }

// Err says why, once Failed is closed.
func (e *Embedded) Err() error {
	select {
	case <-e.failed:
		return e.failCause
	default:
		return nil
	}
}

func (e *Embedded) fail(cause string) {
	e.failOnce.Do(func() {
		e.failCause = fmt.Errorf("embedded broker: it cannot write its files (disk full or gone?), restart it when that is mended: %s", cause)
		e.journal.fail(e.failCause)
		close(e.failed)
	})
}

// Settings reach the broker from its own process, through memory.
func (e *Embedded) Settings() Settings {
	return Settings{Brokers: []string{e.Addr()}, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return e.gate.Dial(ctx) }}
}

// Close stops the broker in order. Transactions that are open are aborted at the next start.
func (e *Embedded) Close() (err error) {
	e.close.Do(func() {
		if e.cluster != nil {
			e.cluster.Close()
		}
		if e.gate != nil {
			err = errors.Join(err, e.gate.Close())
		}
		if e.journal != nil {
			err = errors.Join(err, e.journal.Close())
		}
		if e.lock != nil {
			err = errors.Join(err, e.lock.Close())
		}
	})
	return err
}

// brokerLog passes the broker's warnings on. They are also the only word that it has for a failed write, said before it answers
// the request that asked for it.
type brokerLog struct{ e *Embedded }

func (l *brokerLog) Logf(level kfake.LogLevel, format string, args ...any) {
	if level != kfake.LogLevelError && level != kfake.LogLevelWarn {
		return
	}
	text := fmt.Sprintf(format, args...)
	l.e.log.Warn("embedded broker: " + text)
	if strings.HasPrefix(format, "persist ") || strings.HasPrefix(format, "endTx: failed to persist") {
		l.e.fail(text)
	}
}

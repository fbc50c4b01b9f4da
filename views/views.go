// Package views is how the world reads us: a follower keeps rows, facts and indexes of the topics in Pebble, and HTTP answers from there.
//
// What fetches brought gathers in memory, where it is seen, and then goes into one Pebble batch (rows, facts, index entries and the positions after them), so the disk stands at
// one place of the log at any moment, whatever kills the process. This is why the tables are followed with a plain Kafka client and not with goka's views: those write row by row, and know no
// place where indexes could join in.
package views

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"oms/internal/kafka"
	"oms/internal/web"
	"oms/schemas"
)

// Config of the views.
type Config struct {
	Kafka   kafka.Settings
	Dir     string                // a directory of the views alone; each cluster gets its own below it
	Unseal  Opener                // opens personal data for those who may see it
	Cursors *web.Cursors          // signs places in lists; instances that share a balancer share its key
	Log     *slog.Logger          // nil: silent
	Metrics prometheus.Registerer // nil: none
}

// Opener opens what ingest sealed. seal.ErrErased says that the data's subject was erased, seal.ErrLost that its key is gone without anybody's wish.
type Opener interface {
	Open(sealed []byte) ([]byte, error)
}

// Views answers questions. It is safe for use by many goroutines.
type Views struct {
	cfg     Config
	log     *slog.Logger
	disk    *disk
	watch   watch
	metrics metrics

	gather     gather
	cards      map[string]card               // of orders written lately, as they are on disk; of the gather's turn, as the next
	key, row   []byte                        // of what is being written
	partitions [sources]atomic.Int32         // of each followed topic; 0: not known yet
	next       atomic.Pointer[kafka.Offsets] // where the views stand
	ready      atomic.Bool
	stop       chan struct{} // closed by Close: ends streams and waits
	stopping   sync.Once
	lost       sync.Once // logs the first lost key; the metric counts on
}

// ErrClosed is the answer after Close.
var ErrClosed = errors.New("views: closed")

// New opens the views as the last run left them. It asks the cluster for its id, since positions in one cluster's log mean nothing in another's.
func New(cfg Config) (*Views, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Cursors == nil || cfg.Unseal == nil {
		return nil, errors.New("views: cursors and an opener of sealed data are needed")
	}
	cluster, err := cfg.Kafka.ClusterID(context.Background()) // ends by itself
	if err != nil {
		return nil, fmt.Errorf("views: %w", err)
	}
	d, err := openDisk(filepath.Join(cfg.Dir, cluster), cfg.Log, nil)
	if err != nil {
		return nil, err
	}
	v := &Views{cfg: cfg, log: cfg.Log, disk: d, cards: map[string]card{}, stop: make(chan struct{})}
	v.gather.young = newFetch()
	v.metrics.register(cfg.Metrics, v)
	return v, nil
}

// Run follows the log until the context ends, or the disk fails. It asks Kafka again for as long as it takes.
func (v *Views) Run(ctx context.Context) error {
	defer v.Stopping()
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-v.disk.broken: // perhaps seen by a question
			cancel()
		case <-following.Done():
		}
	}()
	flushed := v.disk.flushEvery(30*time.Second, following.Done(), v.settle)
	defer func() { cancel(); <-flushed }()
	for {
		err := v.follow(following)
		if fault := v.disk.fault(); fault != nil {
			return fault
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, schemas.ErrNewer) {
			return fmt.Errorf("views: %w: run that build here too", err)
		}
		v.log.Warn("views: following is interrupted and begins again where it stood", "error", err)
		select {
		case <-following.Done():
		case <-time.After(time.Second):
		}
	}
}

// Ready tells whether everything that was in the log at the start has been read.
func (v *Views) Ready() bool { return v.ready.Load() }

// Lag is how many offsets the views are behind the end of the log, transaction markers included.
func (v *Views) Lag(ctx context.Context) (int64, error) {
	r, err := v.cfg.Kafka.NewReader(ctx, kafka.From{End: true}, followed()...)
	if err != nil {
		return 0, fmt.Errorf("views: %w", err)
	}
	defer r.Close()
	var lag int64
	var at kafka.Offsets
	if next := v.next.Load(); next != nil {
		at = *next
	}
	for topic, parts := range r.Next() {
		for p, end := range parts {
			lag += max(0, end-at[topic][p])
		}
	}
	return lag, nil
}

// Stopping ends event streams and waits, so that an HTTP server can be shut down; questions are still answered.
func (v *Views) Stopping() { v.stopping.Do(func() { close(v.stop) }) }

// Close gives the directory back. Run must have ended.
func (v *Views) Close() error {
	v.Stopping()
	if v.disk.fault() != nil {
		return v.disk.close()
	}
	return errors.Join(v.settle(), v.disk.close())
}

package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// compaction folds the tables of the embedded broker to the last value per key, by protocol, before anybody consumes: every
// live row is appended again, and then the log is cut before the first of these. A kill at any moment leaves each row's last
// value where it was or at the end or both, and a reader folds all of these to the same table. Nothing is ever cut that was
// not written again before.
type compaction struct {
	Settings
	adm  *kadm.Client
	cl   *kgo.Client // places records by hand
	dir  string      // the broker's files
	memo string      // file that keeps each partition's size after it was looked at last
	log  *slog.Logger

	sizes map[string]int64 // by "topic/partition", bytes
}

// compact looks at each partition that has doubled since the last look, and has more than a segment: space comes back by whole ones.
func compact(ctx context.Context, s Settings, tables []string, dir, memo string, log *slog.Logger) error {
	if len(tables) == 0 {
		return nil
	}
	cl, err := s.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	c := &compaction{Settings: s, adm: kadm.NewClient(cl), cl: cl, dir: dir, memo: memo, log: log, sizes: map[string]int64{}}
	c.remembered()
	sizes, err := c.measure(ctx)
	if err != nil {
		return err
	}
	for _, p := range sizes {
		if !slices.Contains(tables, p.Topic) || p.Size < segmentBytes || p.Size < 2*c.sizes[c.key(p)] {
			continue
		}
		if err := c.partition(ctx, partition{p.Topic, p.Partition}); err != nil {
			return fmt.Errorf("compacting %s/%d: %w", p.Topic, p.Partition, err)
		}
	}
	return c.remember(ctx, tables)
}

func (c *compaction) key(p kadm.DescribedLogDirPartition) string {
	return fmt.Sprintf("%s/%d", p.Topic, p.Partition)
}

func (c *compaction) measure(ctx context.Context) ([]kadm.DescribedLogDirPartition, error) {
	dirs, err := c.adm.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("sizes of partitions: %w", err)
	}
	var all []kadm.DescribedLogDirPartition
	dirs.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) { all = append(all, p) })
	})
	return all, nil
}

// remembered reads the memo. Without it every large partition is looked at once more.
func (c *compaction) remembered() {
	raw, err := os.ReadFile(c.memo)
	if err == nil {
		err = json.Unmarshal(raw, &c.sizes)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn("sizes of tables after their last compaction cannot be read; all large ones are looked at", "file", c.memo, "error", err)
	}
}

func (c *compaction) remember(ctx context.Context, tables []string) error {
	sizes, err := c.measure(ctx)
	if err != nil {
		return err
	}
	grown := false
	for _, p := range sizes {
		if slices.Contains(tables, p.Topic) && p.Size >= segmentBytes && (p.Size < c.sizes[c.key(p)] || p.Size >= 2*c.sizes[c.key(p)]) {
			c.sizes[c.key(p)], grown = p.Size, true
		}
	}
	if !grown {
		return nil
	}
	raw, err := json.Marshal(c.sizes)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.memo+".new", raw, 0o644); err != nil {
		return err
	}
	return os.Rename(c.memo+".new", c.memo)
}

// partition compacts one partition when more than half of its records are superseded.
func (c *compaction) partition(ctx context.Context, p partition) error {
	ends, err := flat(c.adm.ListEndOffsets(ctx, p.topic))
	if err != nil {
		return err
	}
	starts, err := flat(c.adm.ListStartOffsets(ctx, p.topic))
	if err != nil {
		return err
	}
	start, end := starts[p.topic][p.number], ends[p.topic][p.number]
	last := map[string]int64{} // key: offset of its last value
	var kept int64             // records without a key are nobody's earlier value
	if err := c.read(ctx, p, func(r *kgo.Record) error {
		if r.Key == nil {
			kept++
		} else {
			last[string(r.Key)] = r.Offset
		}
		return nil
	}); err != nil {
		return err
	}
	if live := kept + int64(len(last)); 2*live > end-start {
		return nil
	}
	if err := c.again(ctx, p, end, last); err != nil {
		return err
	}
	if err := syncAll(filepath.Join(c.dir, "partitions", partitionDir(p))); err != nil { // after a power loss the new rows must be there if the old are gone
		return err
	}
	cut := kadm.Offsets{}
	cut.AddOffset(p.topic, p.number, end, -1)
	deleted, err := c.adm.DeleteRecords(ctx, cut)
	if err == nil {
		err = deleted.Error()
	}
	if err != nil {
		return fmt.Errorf("cutting before offset %d: %w", end, err)
	}
	c.log.Info("embedded broker: compacted", "table", p.topic, "partition", p.number, "records", end-start, "rows", len(last))
	return nil
}

func (c *compaction) read(ctx context.Context, p partition, take func(*kgo.Record) error) error {
	r, err := c.newReader(ctx, From{}, func(q partition) bool { return p == q }, p.topic)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.ToEnd(ctx, take)
}

// again appends what is live before the end once more.
func (c *compaction) again(ctx context.Context, p partition, end int64, last map[string]int64) error {
	var mu sync.Mutex
	var failed error
	done := func(_ *kgo.Record, err error) {
		mu.Lock()
		defer mu.Unlock()
		failed = errors.Join(failed, err)
	}
	if err := c.read(ctx, p, func(r *kgo.Record) error {
		if r.Offset < end && (r.Key == nil || last[string(r.Key)] == r.Offset) {
			c.cl.Produce(ctx, &kgo.Record{Topic: p.topic, Partition: p.number, Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}, done)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := c.cl.Flush(ctx); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	return failed
}

package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"oms/internal/kafka"
)

// Config of a run.
type Config struct {
	Kafka     kafka.Settings
	Topics    []Topic
	OlderThan time.Duration
	Progress  func(string) // a line a second at most; nil: none

	step  func(string) error // tests: called between two steps with what was done; an error is a kill
	large int64              // tests: instead of maxFile
}

// Topic that may be archived once its group has taken what is in it.
type Topic struct{ Name, Group string }

// Done is what came of one partition.
type Done struct {
	Topic     string
	Partition int32
	Records   int64  // archived by this run
	Bytes     int64  // of its files
	Files     int    // of this run
	From      int64  // offset that the topic starts at now
	Stays     string // why what is there has to stay; empty: nothing is there
}

// maxFile is the size in bytes from which a partition gets another file; it is more than the header of one.
const maxFile = 128 << 20

// Take copies what the topics need no more into files, compares these with the topics, and only then removes it from the topics. A kill at any moment loses nothing: what was
// not listed is written again, and what was listed is compared again and removed.
func Take(ctx context.Context, c Config, dir string) (all []Done, err error) {
	lock, err := hold(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	cluster, err := c.Kafka.ClusterID(ctx)
	if err != nil {
		return nil, err
	}
	a, err := Open(dir, cluster)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	t := &taking{Config: c, Archive: a, said: time.Now()}
	if t.trim, err = c.Kafka.NewTrimmer(); err != nil {
		return nil, err
	}
	defer t.trim.Close()
	before := time.Now().Add(-c.OlderThan)
	for _, topic := range c.Topics {
		limits, err := t.trim.Limits(ctx, topic.Name, topic.Group, before)
		if err != nil {
			return all, err
		}
		for _, n := range slices.Sorted(maps.Keys(limits)) {
			done, err := t.partition(ctx, partition{topic.Name, n}, limits[n])
			if err != nil {
				return all, err
			}
			all = append(all, done)
		}
	}
	return all, nil
}

// hold takes the directory for this process, and makes an empty archive of one that is empty.
func hold(dir string) (lock *os.File, err error) {
	_, err = os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(dir, 0o700); err == nil {
			err = syncDir(filepath.Dir(filepath.Clean(dir)))
		}
	}
	if err == nil {
		lock, err = os.Open(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("archive: %s: another process is writing to it", dir), lock.Close())
	}
	found, err := os.ReadDir(dir)
	if err == nil && (len(found) == 0 || len(found) == 1 && found[0].Name() == sumsFile+".tmp") {
		err = put(filepath.Join(dir, sumsFile), nil)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("archive: %w", err), lock.Close())
	}
	return lock, nil
}

type taking struct {
	Config
	*Archive
	trim *kafka.Trimmer
	said time.Time
}

func (t *taking) did(what string) error {
	if t.step == nil {
		return nil
	}
	return t.step(what)
}

// partition is archived file by file. What was archived and is still there goes first: a run that was killed has left it, or a broker that was killed has brought it back.
func (t *taking) partition(ctx context.Context, p partition, limit *kafka.Limit) (done Done, err error) {
	done = Done{Topic: p.topic, Partition: p.number, From: limit.Start, Stays: limit.Why}
	for {
		end := t.end(p, len(t.files[p]))
		if end < done.From {
			return done, fmt.Errorf("archive: %s starts at offset %d, and %s has it up to %d: the records between are in neither, or this is not the archive of what came before", p, done.From, t.dir, end)
		}
		if done.From < end {
			if err := t.compare(ctx, p, done.From); err != nil {
				return done, err
			}
			if err := t.did("compared"); err != nil {
				return done, err
			}
		}
		if cut := min(end, limit.Offset); done.From < cut {
			if err := t.trim.Trim(ctx, p.topic, p.number, cut); err != nil {
				return done, err
			}
			done.From = cut
			if err := t.did("removed"); err != nil {
				return done, err
			}
		}
		if end >= limit.Offset {
			return done, nil
		}
		wrote, err := t.write(ctx, p, end, limit.Offset, &done)
		if err != nil || !wrote {
			return done, err
		}
	}
}

var errFull = errors.New("the file is full")

// write one file with what there is from an offset up to before another, and list it. false: there is no record.
func (t *taking) write(ctx context.Context, p partition, from, before int64, done *Done) (bool, error) {
	dir := t.path(fmt.Sprintf("%s/%d", p.topic, p.number))
	if err := makeDirs(t.dir, dir); err != nil {
		return false, err
	}
	r, err := t.Kafka.NewPartitionReader(ctx, kafka.From{Offsets: kafka.Offsets{p.topic: {p.number: from}}, Whole: []string{p.topic}}, p.topic, p.number)
	if err != nil {
		return false, err
	}
	defer r.Close()
	unnamed := filepath.Join(dir, "next.tmp")
	w, err := create(unnamed, t.cluster, file{partition: p, first: from})
	if err != nil {
		return false, fmt.Errorf("archive: %w", err)
	}
	records := int64(0)
	err = r.To(ctx, kafka.Offsets{p.topic: {p.number: before}}, func(rec *kafka.Record) error {
		if rec.Offset >= before {
			return nil
		}
		if w.size >= cmp.Or(t.large, maxFile) {
			return errFull
		}
		t.tell(func() string { return fmt.Sprintf("%s up to offset %d of %d", p, rec.Offset, before) })
		records++
		return w.add(rec)
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	if closing := w.close(); err != nil || closing != nil {
		return false, errors.Join(err, closing)
	}
	if records == 0 { // markers alone
		return false, os.Remove(unnamed)
	}
	if err := t.did("written"); err != nil {
		return false, err
	}
	if err := rename(unnamed, t.path(w.name())); err != nil {
		return false, err
	}
	if err := t.did("named"); err != nil {
		return false, err
	}
	if err := w.check(t.dir); err != nil {
		return false, err
	}
	if err := t.list(w.file); err != nil {
		return false, err
	}
	done.Records, done.Bytes, done.Files = done.Records+records, done.Bytes+w.size, done.Files+1
	if err := t.did("listed"); err != nil {
		return false, err
	}
	return true, t.sweep(dir, w.file)
}

// sweep removes what kills have left of other files with records of a listed one: what else they hold is still in the topic, or the files would not go on where it begins.
func (t *taking) sweep(dir string, listed file) error {
	found, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range found {
		f, ok := fileNamed(fmt.Sprintf("%s/%d/%s", listed.topic, listed.number, e.Name()))
		if !ok || f.first > listed.last || slices.ContainsFunc(t.files[listed.partition], func(g file) bool { return f.name() == g.name() }) {
			continue
		}
		if err := os.Remove(t.path(f.name())); err != nil {
			return err
		}
	}
	return nil
}

// makeDirs below a directory that is there, and waits until the disk has them.
func makeDirs(root, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return errors.Join(syncDir(root), syncDir(filepath.Dir(dir)))
}

func (t *taking) tell(line func() string) {
	if now := time.Now(); t.Progress != nil && now.Sub(t.said) >= time.Second {
		t.said = now
		t.Progress(line())
	}
}

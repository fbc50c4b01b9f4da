// Package archive keeps the beginnings of topics in files, so that the topics may let them go: whoever must read a topic from its first record on reads the files and then the
// topic.
//
// An archive is a directory. SHA256SUMS, which sha256sum -c understands, lists its files with their sums; what it does not list is what a kill has left of a file, and counts for
// nothing. A file is <topic>/<partition>/<first offset>-<last offset>.avro, and each partition's files follow one another without a gap.
package archive

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"oms/internal/kafka"
)

const sumsFile = "SHA256SUMS"

// Archive of one cluster.
type Archive struct {
	dir     string
	cluster string
	files   map[partition][]file // in order
	open    []*tail
}

// Open an archive that is there, to read it.
func Open(dir, cluster string) (*Archive, error) {
	a := &Archive{dir: dir, cluster: cluster, files: map[partition][]file{}}
	raw, err := os.ReadFile(a.path(sumsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("archive: %s is no archive: it has no %s", dir, sumsFile)
	} else if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	for n, line := range strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n") {
		if line == "" && n == 0 {
			break
		}
		sum, name, _ := strings.Cut(line, "  ")
		f, ok := fileNamed(name)
		if f.sum = sum; !ok || len(sum) != 64 {
			return nil, fmt.Errorf("archive: %s: line %d is %q, want a SHA-256, two spaces and the name of a file", a.path(sumsFile), n+1, line)
		}
		a.files[f.partition] = append(a.files[f.partition], f)
	}
	for p, files := range a.files {
		slices.SortFunc(files, func(f, g file) int { return cmp.Compare(f.first, g.first) })
		for i, f := range files {
			if want := a.end(p, i); f.first != want {
				return nil, fmt.Errorf("archive: %s: the files of %s have offsets up to %d and then from %d on: %s", a.path(sumsFile), p, want-1, f.first, f.name())
			}
		}
	}
	return a, nil
}

func (a *Archive) path(name string) string { return filepath.Join(a.dir, filepath.FromSlash(name)) }

// end is the offset behind the first n files of a partition.
func (a *Archive) end(p partition, n int) int64 {
	if n == 0 {
		return 0
	}
	return a.files[p][n-1].last + 1
}

// Ends is the offset behind the last record of each partition; those before it are all here.
func (a *Archive) Ends() kafka.Offsets {
	ends := kafka.Offsets{}
	for p, files := range a.files {
		if ends[p.topic] == nil {
			ends[p.topic] = map[int32]int64{}
		}
		ends[p.topic][p.number] = a.end(p, len(files))
	}
	return ends
}

// list a file, from when on it counts.
func (a *Archive) list(f file) error {
	a.files[f.partition] = append(a.files[f.partition], f)
	var all []file
	for _, files := range a.files {
		all = append(all, files...)
	}
	slices.SortFunc(all, func(f, g file) int { return cmp.Or(f.compare(g.partition), cmp.Compare(f.first, g.first)) })
	var b bytes.Buffer
	for _, f := range all {
		fmt.Fprintf(&b, "%s  %s\n", f.sum, f.name())
	}
	return put(a.path(sumsFile), b.Bytes())
}

// put a whole file in the place of another, or none.
func put(path string, b []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return rename(path+".tmp", path)
}

// rename waits until the disk has the name.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// tail is the records of a partition from an offset on.
type tail struct {
	*Archive
	files []file
	from  int64
	open  *reader
	head  *kafka.Record // of merged: the next one
}

func (a *Archive) tail(p partition, from int64) *tail {
	files := a.files[p]
	for len(files) > 0 && files[0].last < from {
		files = files[1:]
	}
	t := &tail{Archive: a, files: files, from: from}
	a.open = append(a.open, t)
	return t
}

// next record; io.EOF behind the last.
func (t *tail) next() (rec *kafka.Record, err error) {
	for {
		if t.open == nil {
			if len(t.files) == 0 {
				return nil, io.EOF
			}
			if t.open, err = t.files[0].open(t.dir, t.cluster); err != nil {
				return nil, err
			}
			t.files = t.files[1:]
		}
		rec, err = t.open.read()
		if errors.Is(err, io.EOF) {
			err = t.close()
		} else if err == nil && rec.Offset >= t.from {
			return rec, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (t *tail) close() error {
	if t.open == nil {
		return nil
	}
	err := t.open.close()
	t.open = nil
	return err
}

// Beginning is what a kafka.Reader that starts at the offsets, or at the first record of each partition, reads before the topics. Partitions advance together, by the times of
// their records, as far as these go: who reads them need not keep much of one until another has come as far.
func (a *Archive) Beginning(from kafka.Offsets) *kafka.Beginning {
	var tails []*tail
	for p := range a.files {
		tails = append(tails, a.tail(p, from[p.topic][p.number]))
	}
	return &kafka.Beginning{Ends: a.Ends(), Next: func() (*kafka.Record, error) {
		var oldest *tail
		for i := 0; i < len(tails); i++ {
			t := tails[i]
			if t.head == nil {
				var err error
				if t.head, err = t.next(); errors.Is(err, io.EOF) {
					tails = slices.Delete(tails, i, i+1)
					i--
					continue
				} else if err != nil {
					return nil, err
				}
			}
			if oldest == nil || t.head.Timestamp.Before(oldest.head.Timestamp) {
				oldest = t
			}
		}
		if oldest == nil {
			return nil, io.EOF
		}
		rec := oldest.head
		oldest.head = nil
		return rec, nil
	}}
}

// Close whatever is being read.
func (a *Archive) Close() (err error) {
	for _, t := range a.open {
		err = errors.Join(err, t.close())
	}
	return err
}

package archive

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"oms/internal/kafka"
)

// A file is an Avro object container file: its header names the schema, topic, partition and cluster, so that anything that reads Avro can read it without us.
const schemaText = `{"type":"record","name":"Record","namespace":"oms.archive","doc":"a record of a Kafka topic","fields":[
 {"name":"offset","type":"long"},
 {"name":"timestamp","type":"long","doc":"UTC, ms"},
 {"name":"key","type":["null","bytes"]},
 {"name":"value","type":["null","bytes"]},
 {"name":"headers","type":{"type":"array","items":{"type":"record","name":"Header","fields":[
  {"name":"key","type":"string"},
  {"name":"value","type":["null","bytes"]}]}}}]}`

var schema = avro.MustParse(schemaText)

// record in a file.
type record struct {
	Offset    int64    `avro:"offset"`
	Timestamp int64    `avro:"timestamp"`
	Key       []byte   `avro:"key"` // nil is null, and not empty
	Value     []byte   `avro:"value"`
	Headers   []header `avro:"headers"`
}

type header struct {
	Key   string `avro:"key"`
	Value []byte `avro:"value"`
}

// blockBytes is what of a file is compressed at once.
const blockBytes = 256 << 10

// The header of a file says what is in it.
const (
	metaCluster   = "oms.cluster"
	metaTopic     = "oms.topic"
	metaPartition = "oms.partition"
	metaFirst     = "oms.first_offset"
)

// file is one of an archive: all committed records of a partition from one offset to another. The first may be that of a transaction's marker, which is no record.
type file struct {
	partition
	first, last int64
	sum         string // SHA-256, in hexadecimal digits
}

// partition of a topic.
type partition struct {
	topic  string
	number int32
}

func (p partition) String() string { return fmt.Sprintf("%s/%d", p.topic, p.number) }

func (p partition) compare(q partition) int {
	return cmp.Or(cmp.Compare(p.topic, q.topic), cmp.Compare(p.number, q.number))
}

const suffix = ".avro"

// name of the file, below the archive's directory.
func (f file) name() string {
	return fmt.Sprintf("%s/%d/%020d-%020d%s", f.topic, f.number, f.first, f.last, suffix)
}

// fileNamed is the file of a name, without its sum.
func fileNamed(name string) (f file, ok bool) {
	parts := strings.Split(strings.TrimSuffix(name, suffix), "/")
	if len(parts) != 3 {
		return f, false
	}
	number, err1 := strconv.ParseInt(parts[1], 10, 32)
	from, to, _ := strings.Cut(parts[2], "-")
	first, err2 := strconv.ParseInt(from, 10, 64)
	last, err3 := strconv.ParseInt(to, 10, 64)
	f = file{partition: partition{parts[0], int32(number)}, first: first, last: last}
	return f, err1 == nil && err2 == nil && err3 == nil && first >= 0 && last >= first && f.name() == name
}

func (f file) meta(cluster string) map[string][]byte {
	return map[string][]byte{metaCluster: []byte(cluster), metaTopic: []byte(f.topic), metaPartition: strconv.AppendInt(nil, int64(f.number), 10), metaFirst: strconv.AppendInt(nil, f.first, 10)}
}

// writer of a file that has no name yet.
type writer struct {
	file
	f    *os.File
	sum  hash.Hash
	size int64
	ocf  *ocf.Writer
}

// create starts a file that holds what comes from f.first on.
func create(path, cluster string, f file) (*writer, error) {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	w := &writer{file: f, f: out, sum: sha256.New()}
	w.last = -1
	if w.ocf, err = ocf.NewWriter(w, schema, ocf.WithCodec(ocf.MustZstdCodec(nil, nil)), ocf.WithBlockBytes(blockBytes), ocf.WithMetadata(f.meta(cluster))); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return w, nil
}

// Write is for the container's writer.
func (w *writer) Write(b []byte) (int, error) {
	n, err := w.f.Write(b)
	w.sum.Write(b[:n])
	w.size += int64(n)
	return n, err
}

func (w *writer) add(r *kafka.Record) error {
	headers := make([]header, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = header{h.Key, h.Value}
	}
	w.last = r.Offset
	return w.ocf.Encode(&record{r.Offset, r.Timestamp.UnixMilli(), r.Key, r.Value, headers})
}

// close waits until the disk has the file.
func (w *writer) close() error {
	err := errors.Join(w.ocf.Close(), w.f.Sync(), w.f.Close())
	w.file.sum = hex.EncodeToString(w.sum.Sum(nil))
	return err
}

// check demands that a file is what was written.
func (f file) check(dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(f.name()))
	r, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	defer r.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.sum {
		return fmt.Errorf("archive: %s is damaged: its SHA-256 is %s, and was %s", path, got, f.sum)
	}
	return nil
}

// reader of a file.
type reader struct {
	file
	path string
	f    *os.File
	ocf  *ocf.Reader
	next int64 // offset that the next record has, or a higher one
}

// open a file once it was checked.
func (f file) open(dir, cluster string) (*reader, error) {
	if err := f.check(dir); err != nil {
		return nil, err
	}
	r := &reader{file: f, path: filepath.Join(dir, filepath.FromSlash(f.name())), next: f.first}
	var err error
	if r.f, err = os.Open(r.path); err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	if r.ocf, err = ocf.NewReader(bufio.NewReaderSize(r.f, blockBytes)); err == nil {
		err = r.owned(cluster)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("archive: %s: %w", r.path, err), r.close())
	}
	return r, nil
}

// owned demands that the file is what its name says, and of this cluster.
func (r *reader) owned(cluster string) error {
	meta := r.ocf.Metadata()
	for name, want := range r.meta(cluster) {
		if got := meta[name]; !bytes.Equal(got, want) {
			return fmt.Errorf("its header has %s %q, want %q", name, got, want)
		}
	}
	return nil
}

// read the next record; io.EOF behind the last.
func (r *reader) read() (*kafka.Record, error) {
	var rec record
	switch err := r.ocf.Decode(&rec); {
	case errors.Is(err, io.EOF) && r.next == r.last+1:
		return nil, io.EOF
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("archive: %s ends before offset %d, want %d", r.path, r.next, r.last+1)
	case err != nil:
		return nil, fmt.Errorf("archive: %s behind offset %d: %w", r.path, r.next-1, err)
	case rec.Offset < r.next || rec.Offset > r.last:
		return nil, fmt.Errorf("archive: %s has offset %d where one from %d to %d was to come", r.path, rec.Offset, r.next, r.last)
	}
	r.next = rec.Offset + 1
	headers := make([]kafka.Header, len(rec.Headers))
	for i, h := range rec.Headers {
		headers[i] = kafka.Header{Key: h.Key, Value: h.Value}
	}
	return &kafka.Record{Topic: r.topic, Partition: r.number, Offset: rec.Offset, Timestamp: time.UnixMilli(rec.Timestamp), Key: rec.Key, Value: rec.Value, Headers: headers}, nil
}

func (r *reader) close() error {
	err := r.f.Close()
	if r.ocf != nil {
		err = errors.Join(err, r.ocf.Close())
	}
	return err
}

// same tells whether two records are one and the same.
func same(a, b *kafka.Record) bool {
	return a.Offset == b.Offset && a.Timestamp.UnixMilli() == b.Timestamp.UnixMilli() && sameBytes(a.Key, b.Key) && sameBytes(a.Value, b.Value) &&
		slices.EqualFunc(a.Headers, b.Headers, func(g, h kafka.Header) bool { return g.Key == h.Key && sameBytes(g.Value, h.Value) })
}

func sameBytes(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

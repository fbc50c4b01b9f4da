package kafka

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A lab is an embedded broker with two output topics of six partitions each, and an input topic for each of two groups. Every
// state that a kill can leave is made by copying its directory at rest and cutting files off where the kill would have.
type lab struct {
	t   *testing.T
	dir string
	e   *Embedded
	s   Settings
	cl  *kgo.Client // places records by hand

	sessions []*kgo.GroupTransactSession
}

var bg = context.Background()

func openLab(t *testing.T, dir string) *lab {
	t.Helper()
	e, err := StartEmbedded(bg, EmbeddedConfig{Dir: dir, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	cl, err := e.Settings().NewProducer(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, dir: dir, e: e, s: e.Settings(), cl: cl}
	t.Cleanup(l.close)
	_, err = EnsureTopics(bg, kadm.NewClient(cl), []Topic{{Name: "out.a", Partitions: 6}, {Name: "out.b", Partitions: 6}, {Name: "in0", Partitions: 2}, {Name: "in1", Partitions: 2}}, false)
	l.must(err)
	return l
}

func (l *lab) close() {
	for _, s := range l.sessions {
		s.Close() // it leaves what is open open
	}
	l.sessions = nil
	l.cl.Close()
	l.must(l.e.Close())
}

func (l *lab) adm() *kadm.Client { return kadm.NewClient(l.cl) }

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// output is a record for the p-th of the twelve output partitions.
func output(p int, value string) *kgo.Record {
	return &kgo.Record{Topic: []string{"out.a", "out.b"}[p/6], Partition: int32(p % 6), Value: []byte(value)}
}

// foreign writes a record outside transactions into every output partition.
func (l *lab) foreign(value string) {
	for p := range 12 {
		l.must(l.cl.ProduceSync(bg, output(p, value)).FirstErr())
	}
}

// transact runs a transaction of group g up to its journal entry: ten inputs read, a record in each output partition. It
// answers the entry's number and the end.
func (l *lab) transact(g int, id string) (seq uint64, end func(commit bool)) {
	l.t.Helper()
	in, group := fmt.Sprintf("in%d", g), fmt.Sprintf("g%d", g)
	for i := range 10 {
		l.must(l.cl.ProduceSync(bg, &kgo.Record{Topic: in, Partition: int32(i % 2), Value: []byte("x")}).FirstErr())
	}
	s, err := kgo.NewGroupTransactSession(l.s.Options(kgo.TransactionalID(id), kgo.ConsumerGroup(group), kgo.ConsumeTopics(in),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	l.must(err)
	l.sessions = append(l.sessions, s)
	offsets := map[string]map[int32]int64{in: {}}
	for n := 0; n < 10; {
		s.PollFetches(bg).EachRecord(func(r *kgo.Record) { offsets[in][r.Partition] = r.Offset + 1; n++ })
	}
	l.must(s.Begin())
	var out []*kgo.Record
	for p := range 12 {
		out = append(out, output(p, "T|"+id))
	}
	l.must(s.Client().ProduceSync(bg, out...).FirstErr())
	var places []Place
	for _, r := range out {
		places = append(places, Place{r.Topic, r.Partition, r.Offset})
	}
	seq, err = l.e.Journal().Begin(Transaction{id, places, group, offsets})
	l.must(err)
	return seq, func(commit bool) {
		done, err := s.End(bg, kgo.TransactionEndTry(commit))
		if err != nil || done != commit {
			l.t.Fatal(done, err)
		}
	}
}

// image copies the directory of an idle broker: what a kill at this instant would leave.
func image(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// take puts files of one image into another; those the first does not have go.
func take(t *testing.T, to, from string, names ...string) {
	t.Helper()
	for _, n := range names {
		raw, err := os.ReadFile(filepath.Join(from, n))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, n), raw, 0o644)
		} else if os.IsNotExist(err) {
			err = os.RemoveAll(filepath.Join(to, n))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// state is all that is not in a partition.
var state = []string{"journal", "log/groups.log", "log/pids.log"}

// segmentOf answers the only segment of an output partition and its batches with their places in the file.
func segmentOf(t *testing.T, dir string, p int) (path string, batches []batch, starts []int64) {
	t.Helper()
	r := output(p, "")
	paths, err := segments(filepath.Join(dir, "log", "partitions", fmt.Sprintf("%s-%d", r.Topic, r.Partition)))
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	raw, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for b, at := bufio.NewReader(bytes.NewReader(raw)), int64(0); ; {
		x, n, _, err := readBatch(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return paths[0], batches, starts
		}
		batches, starts, at = append(batches, x), append(starts, at), at+int64(n)
	}
}

// cut takes the last n batches, markers all of them, off an output partition.
func cut(t *testing.T, dir string, p, n int) {
	t.Helper()
	path, batches, starts := segmentOf(t, dir, p)
	k := len(batches) - n
	for _, b := range batches[k:] {
		if b.attrs&control == 0 {
			t.Fatalf("partition %d does not end in %d markers", p, n)
		}
	}
	if n > 0 {
		truncate(t, path, starts[k])
		truncate(t, strings.TrimSuffix(path, "dat")+"idx", int64(k)*indexEntry)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// seen is what a read_committed reader sees of the outputs: how often each value, and all of a partition in order.
func (l *lab) seen() map[string]int {
	l.t.Helper()
	r, err := l.s.NewReader(bg, From{}, "out.a", "out.b")
	l.must(err)
	defer r.Close()
	n := map[string]int{}
	l.must(r.ToEnd(bg, func(rec *kgo.Record) error { n[string(rec.Value)]++; return nil }))
	return n
}

// offsets are those that a group has committed, summed over its input: 10 after its transaction, 0 before.
func (l *lab) offsets(g int) (sum int64) {
	l.t.Helper()
	all, err := l.adm().FetchOffsets(bg, fmt.Sprintf("g%d", g))
	if err == nil {
		all.Each(func(o kadm.OffsetResponse) { sum += o.At })
	}
	return sum
}

// base answers images of two transactions that are in the journal: before either ends, and after both, a's markers first.
// Records of others lie between the records and the markers.
func base(t *testing.T) (before, after string) {
	l := openLab(t, t.TempDir())
	l.foreign("F0")
	_, end0 := l.transact(0, "a")
	_, end1 := l.transact(1, "b")
	l.foreign("F1")
	before = image(t, l.dir)
	end0(true)
	end1(true)
	return before, image(t, l.dir)
}

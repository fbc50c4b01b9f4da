package kafka

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// When this fails after a new version of the broker, segment.go and mend.go must learn its format before the version is taken.
func TestTheBrokersFilesAreWhatTheMendTakesThemFor(t *testing.T) {
	l := openLab(t, t.TempDir())
	l.foreign("plain")
	_, end := l.transact(0, "committed")
	end(true)
	_, end = l.transact(1, "aborted")
	end(false)
	var commits, aborts int
	for p := range 12 {
		path, batches, starts := segmentOf(t, l.dir, p)
		data, err := os.ReadFile(path)
		l.must(err)
		index, err := os.ReadFile(strings.TrimSuffix(path, "dat") + "idx")
		l.must(err)
		if len(index) != len(batches)*indexEntry || len(batches) != 5 {
			t.Fatalf("%s: %d bytes of index for %d batches", path, len(index), len(batches))
		}
		for i, b := range batches {
			want, got := indexOf(b), index[i*indexEntry:][:indexEntry]
			if got[0] != want[0] || !bytes.Equal(got[2:6], want[2:6]) || got[14] != want[14] {
				t.Errorf("index entry %d of %s is %x; the mend would write %x", i, path, got, want)
			}
			if b.attrs&control == 0 {
				continue
			}
			if b.commit {
				commits++
			} else {
				aborts++
			}
			raw := data[starts[i]:]
			raw = raw[:12+binary.BigEndian.Uint32(raw[8:])]
			at := time.UnixMilli(int64(binary.BigEndian.Uint64(raw[27:])))
			if ours := marker(b.base, b.leader, b.producer, b.epoch, b.commit, at); !bytes.Equal(raw, ours) {
				t.Errorf("marker %d of %s is %x; the mend would write %x", i, path, raw, ours)
			}
		}
	}
	if commits != 12 || aborts != 12 {
		t.Errorf("%d commit and %d abort markers", commits, aborts)
	}
}

func TestAWriteThatTheBrokerCouldNotMakeStopsTheJournalAndIsMadeGoodAtTheNextStart(t *testing.T) {
	l := openLab(t, t.TempDir())
	_, err := EnsureTopics(bg, l.adm(), []Topic{{Name: "tiny", Partitions: 2, Config: map[string]string{"segment.bytes": "1"}}}, false)
	l.must(err)
	cl, err := kgo.NewClient(l.s.Options(kgo.TransactionalID("x"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	l.must(err)
	defer cl.Close()
	l.must(cl.BeginTransaction())
	l.must(cl.ProduceSync(bg, &kgo.Record{Topic: "tiny", Partition: 0}, &kgo.Record{Topic: "tiny", Partition: 1}).FirstErr())
	// Each batch begins a segment: the marker of partition 1 finds a directory where its file should be.
	blocked := filepath.Join(l.dir, "log", "partitions", "tiny-1", "1.dat")
	l.must(os.Mkdir(blocked, 0o755))
	seq, err := l.e.Journal().Begin(Transaction{ID: "x", Records: []Place{{"tiny", 0, 0}, {"tiny", 1, 0}}})
	l.must(err)
	l.must(cl.EndTransaction(bg, kgo.TryCommit)) // the broker says that all is well
	if err := l.e.Journal().Done(seq); err == nil {
		t.Error("Done takes the transaction for committed")
	}
	if _, err := l.e.Journal().Begin(Transaction{ID: "y"}); err == nil {
		t.Error("Begin lets the next one commit")
	}
	<-l.e.Failed()
	if l.e.Err() == nil {
		t.Error("nobody says why")
	}
	cl.Close()
	dir := image(t, l.dir) // killed
	l.must(os.Remove(filepath.Join(dir, "log", "partitions", "tiny-1", "1.dat")))
	l = openLab(t, dir)
	r, err := l.s.NewReader(bg, From{}, "tiny")
	l.must(err)
	defer r.Close()
	n := 0
	l.must(r.ToEnd(bg, func(*kgo.Record) error { n++; return nil }))
	if n != 2 {
		t.Errorf("%d of 2 records of the transaction are visible", n)
	}
}

package kafka

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestATransactionThatAKillCutShortIsWholeOrNotAtAllAfterTheStart(t *testing.T) {
	before, after := base(t)
	for _, c := range []struct {
		name    string
		cut     func(p int) int // markers missing at the end of partition p: 1 is b's, 2 both
		a, b    bool            // what must be visible, everywhere
		groups  bool            // the groups' offsets were written
		aborted int             // abort markers appended
	}{
		{"only Done is missing", func(int) int { return 0 }, true, true, true, 0},
		{"all markers, no offsets", func(int) int { return 0 }, true, true, false, 0},
		{"no markers", func(int) int { return 2 }, false, false, false, 24},
		{"b lacks one marker", func(p int) int { return is(p == 7) }, true, true, false, 0},
		{"b has one marker", func(p int) int { return is(p != 7) }, true, true, false, 0},
		{"torn in the middle of a", func(p int) int { return 1 + is(p%2 == 0) }, true, false, false, 12},
		{"two undone, both torn", func(p int) int { return p / 4 }, true, true, false, 0},
		{"one marker in all", func(p int) int { return 1 + is(p != 11) }, true, false, false, 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := image(t, after)
			take(t, dir, before, state...)
			if c.groups {
				take(t, dir, after, "log/groups.log")
			}
			for p := range 12 {
				cut(t, dir, p, c.cut(p))
			}
			l := openLab(t, dir)
			l.check(map[string]bool{"a": c.a, "b": c.b})
			if open, err := l.e.journal.undone(); err != nil || len(open) != 0 {
				t.Error("entries still open:", open, err)
			}
			for p := range 12 { // every record is where it was, and every transaction has its marker
				_, batches, _ := segmentOf(t, dir, p)
				_, was, _ := segmentOf(t, after, p)
				if len(batches) != len(was) || !slices.EqualFunc(batches[:4], was[:4], func(x, y batch) bool { return x.base == y.base && x.producer == y.producer }) {
					t.Errorf("partition %d: %v, was %v", p, batches, was)
				}
			}
		})
	}
}

// check compares what is visible of each transaction with what should be, and its group's offsets with that.
func (l *lab) check(visible map[string]bool) {
	l.t.Helper()
	seen := l.seen()
	for g, id := range []string{"a", "b"} {
		records, moved := seen["T|"+id], l.offsets(g)
		if want := visible[id]; records != 12*is(want) || moved != int64(10*is(want)) {
			l.t.Errorf("transaction %s, visible %v: %d of 12 records, offsets at %d of 10", id, want, records, moved)
		}
	}
	if seen["F0"] != 12 || seen["F1"] != 12 {
		l.t.Error("records of others:", seen)
	}
}

func is(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestTheMendMayBeKilledBeforeAnyOfItsWrites(t *testing.T) {
	before, after := base(t)
	torn := image(t, after)
	take(t, torn, before, state...)
	for p := range 12 {
		cut(t, torn, p, p/4)
	}
	for n := 1; ; n++ { // killed before the n-th write
		dir := image(t, torn)
		writes := kill(t, dir, n)
		l := openLab(t, dir)
		l.check(map[string]bool{"a": true, "b": true})
		l.close()
		if writes < n {
			if n < 20 {
				t.Errorf("only %d writes were seen", writes)
			}
			return
		}
	}
}

// kill runs the mend up to its n-th write, and answers how many it came to.
func kill(t *testing.T, dir string, n int) (writes int) {
	t.Helper()
	j, err := openJournal(filepath.Join(dir, "journal"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	undone, err := j.undone()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if r := recover(); r != nil && r != "killed" {
			panic(r)
		}
	}()
	m := mend{entries: undone, log: slog.New(slog.DiscardHandler), step: func() {
		if writes++; writes == n {
			panic("killed")
		}
	}}
	if _, err := m.run(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	return writes
}

func TestOffsetsThatAnotherMemberMovedOnStay(t *testing.T) {
	_, after := base(t)
	l := openLab(t, image(t, after)) // both are undone, all else is there
	l.close()
	for name, at := range map[string]int64{"further": 7, "not so far": 3} {
		t.Run(name, func(t *testing.T) {
			dir := image(t, after)
			l := openLab(t, dir)
			l.must(l.adm().CommitAllOffsets(bg, "g0", offsetsOf("in0", at)))
			l.close()
			take(t, dir, after, "journal")
			l = openLab(t, dir)
			if got, want := l.offsets(0), 2*max(at, 5); got != want {
				t.Errorf("offsets at %d, not %d", got, want)
			}
		})
	}
}

func offsetsOf(topic string, at int64) kadm.Offsets {
	o := kadm.Offsets{}
	o.AddOffset(topic, 0, at, -1)
	o.AddOffset(topic, 1, at, -1)
	return o
}

func TestARecordWhoseIndexEntryIsMissingStaysInItsTransaction(t *testing.T) {
	before, _ := base(t)
	if err := os.Remove(filepath.Join(before, "journal")); err != nil { // killed before Begin
		t.Fatal(err)
	}
	for p := range 12 {
		path, _, starts := segmentOf(t, before, p)
		truncate(t, strings.TrimSuffix(path, "dat")+"idx", int64(len(starts)-2)*indexEntry-3) // b's and a foreign one, and a part of a's
	}
	if got := unmended(t, image(t, before)); got["T|b"] != 12 {
		t.Error("the broker has learned to live without its index; the mend may go:", got)
	}
	l := openLab(t, before)
	l.check(nil)
}

// unmended is what a reader sees of a directory that the broker opens as it is.
func unmended(t *testing.T, dir string) map[string]int {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(filepath.Join(dir, "log")))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := &lab{t: t, s: Settings{Brokers: c.ListenAddrs()}}
	return l.seen()
}

func TestADeadTransactionStaysDeadThoughItsIDCommitsAgain(t *testing.T) {
	produce := func(l *lab, value string) *kgo.Client {
		cl, err := kgo.NewClient(l.s.Options(kgo.TransactionalID("stable"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		l.must(err)
		l.t.Cleanup(cl.Close)
		l.must(cl.BeginTransaction())
		l.must(cl.ProduceSync(bg, output(0, value)).FirstErr())
		return cl
	}
	l := openLab(t, t.TempDir())
	produce(l, "dead")
	l = openLab(t, image(t, l.dir))
	l.must(produce(l, "alive").EndTransaction(bg, kgo.TryCommit))
	want := map[string]int{"alive": 1}
	if got := l.seen(); !maps.Equal(got, want) {
		t.Error("after the first kill:", got)
	}
	l = openLab(t, image(t, l.dir))
	if got := l.seen(); !maps.Equal(got, want) {
		t.Error("after the second:", got)
	}
}

func TestACleanStopWithAnOpenTransactionBlocksNobody(t *testing.T) {
	dir := t.TempDir()
	l := openLab(t, dir)
	l.transact(0, "a")
	_, end := l.transact(1, "b")
	end(true) // its Done is missing
	l.close()
	l = openLab(t, dir)
	l.foreign("F0")
	l.foreign("F1")
	l.check(map[string]bool{"b": true})
}

func TestATransactionOverSeveralSegmentsIsEndedInTheLast(t *testing.T) {
	for _, commits := range []bool{false, true} { // its commit had begun: output partition 0 has the marker
		l := openLab(t, t.TempDir())
		_, err := EnsureTopics(bg, l.adm(), []Topic{{Name: "tiny", Partitions: 1, Config: map[string]string{"segment.bytes": "1"}}}, false)
		l.must(err)
		cl, err := kgo.NewClient(l.s.Options(kgo.TransactionalID("x"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		l.must(err)
		t.Cleanup(cl.Close)
		l.must(cl.BeginTransaction())
		records := []*kgo.Record{output(0, "x"), {Topic: "tiny"}, {Topic: "tiny"}, {Topic: "tiny"}}
		var places []Place
		for _, r := range records {
			l.must(cl.ProduceSync(bg, r).FirstErr())
			places = append(places, Place{r.Topic, r.Partition, r.Offset})
		}
		_, err = l.e.Journal().Begin(Transaction{ID: "x", Records: places})
		l.must(err)
		dir := image(t, l.dir)
		if commits {
			l.must(cl.EndTransaction(bg, kgo.TryCommit))
			take(t, dir, l.dir, "log/partitions/out.a-0/0.dat", "log/partitions/out.a-0/0.idx")
		}
		l = openLab(t, dir)
		r, err := l.s.NewReader(bg, From{}, "tiny", "out.a")
		l.must(err)
		n := 0
		l.must(r.ToEnd(bg, func(*kgo.Record) error { n++; return nil }))
		r.Close()
		if want := len(records) * is(commits); n != want {
			t.Errorf("%d records are visible, not %d", n, want)
		}
	}
}

package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
)

func TestMain(m *testing.M) { os.Exit(kafkatest.Main(m)) }

// rig is a topic of two partitions with a group that has taken all of it.
type rig struct {
	t     *testing.T
	s     kafka.Settings
	topic string
	group string
	cl    *kgo.Client
}

func newRig(t *testing.T, s kafka.Settings) *rig {
	t.Helper()
	r := &rig{t: t, s: s, topic: kafkatest.Name("inbox"), group: kafkatest.Name("group")}
	var err error
	r.cl, err = s.NewProducer(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	must(t, err)
	t.Cleanup(r.cl.Close)
	_, err = kafka.EnsureTopics(t.Context(), kadm.NewClient(r.cl), []kafka.Topic{{Name: r.topic, Partitions: 2, Config: map[string]string{"retention.ms": "-1"}}}, false)
	must(t, err)
	return r
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// write records of every kind, some of them in transactions, of which one is aborted.
func (r *rig) write(from, to int) {
	r.t.Helper()
	ctx := context.Background()
	var all []*kgo.Record
	for i := from; i < to; i++ {
		rec := &kgo.Record{Topic: r.topic, Partition: int32(i % 2), Key: fmt.Appendf(nil, "key_%d", i), Value: bytes.Repeat([]byte{byte(i)}, 100+i%1000), Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)),
			Headers: []kgo.RecordHeader{{Key: "n", Value: fmt.Append(nil, i)}, {Key: "n", Value: []byte{}}, {Key: "", Value: nil}}}
		switch i % 7 {
		case 0:
			rec.Key, rec.Headers = nil, nil
		case 1:
			rec.Key = []byte{}
		case 2:
			rec.Value = nil
		case 3:
			rec.Value = []byte{}
		}
		all = append(all, rec)
	}
	half := len(all) / 2
	must(r.t, r.cl.ProduceSync(ctx, all[:half]...).FirstErr())
	for _, commit := range []bool{true, false, true} {
		cl, err := kgo.NewClient(r.s.Options(kgo.TransactionalID(kafkatest.Name("txn")), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		must(r.t, err, cl.BeginTransaction())
		n := (len(all) - half) / 3
		must(r.t, cl.ProduceSync(ctx, all[half:half+n]...).FirstErr(), cl.EndTransaction(ctx, kgo.TransactionEndTry(commit)))
		cl.Close()
		half += n
	}
}

// take commits up to an offset before the ends, for a group.
func (r *rig) take(group string, less int64) {
	r.t.Helper()
	adm := kadm.NewClient(r.cl)
	ends, err := adm.ListEndOffsets(r.t.Context(), r.topic)
	must(r.t, err, ends.Error())
	at := kadm.Offsets{}
	ends.Each(func(o kadm.ListedOffset) { at.AddOffset(o.Topic, o.Partition, o.Offset-less, -1) })
	must(r.t, adm.CommitAllOffsets(r.t.Context(), group, at))
}

func (r *rig) config() Config {
	return Config{Kafka: r.s, Topics: []Topic{{r.topic, r.group}}, large: 1500} // a file for each block
}

func (r *rig) archive(c Config, dir string) []Done {
	r.t.Helper()
	done, err := Take(r.t.Context(), c, dir)
	must(r.t, err)
	return done
}

// all reads the topic, behind what the archive has, if there is one.
func (r *rig) all(dir string) (all []*kafka.Record, err error) {
	r.t.Helper()
	from := kafka.From{Whole: []string{r.topic}}
	if dir != "" {
		id, err := r.s.ClusterID(r.t.Context())
		must(r.t, err)
		a, err := Open(dir, id)
		if err != nil {
			return nil, err
		}
		defer a.Close()
		from.Before = a.Beginning(nil)
	}
	in, err := r.s.NewReader(r.t.Context(), from, r.topic)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	in.MaxPoll = 50
	err = in.ToEnd(r.t.Context(), func(rec *kafka.Record) error {
		all = append(all, rec)
		return nil
	})
	slices.SortStableFunc(all, func(a, b *kafka.Record) int { return int(a.Partition - b.Partition) })
	return all, err
}

func (r *rig) has(dir string, want []*kafka.Record) {
	r.t.Helper()
	got, err := r.all(dir)
	must(r.t, err)
	if !slices.EqualFunc(got, want, same) {
		r.t.Errorf("%d records, want %d", len(got), len(want))
		for i := range min(len(got), len(want)) {
			if !same(got[i], want[i]) {
				r.t.Fatalf("the first that differs:\n%+v\nwant\n%+v", got[i], want[i])
			}
		}
	}
}

// starts of the topic's partitions.
func (r *rig) starts() []int64 { return r.offsets(kadm.NewClient(r.cl).ListStartOffsets) }

func (r *rig) ends() []int64 { return r.offsets(kadm.NewClient(r.cl).ListEndOffsets) }

func (r *rig) offsets(list func(context.Context, ...string) (kadm.ListedOffsets, error)) (all []int64) {
	r.t.Helper()
	listed, err := list(r.t.Context(), r.topic)
	must(r.t, err, listed.Error())
	for p := range int32(2) {
		o, _ := listed.Lookup(r.topic, p)
		all = append(all, o.Offset)
	}
	return all
}

// files of an archive, and what else is in it.
func filesIn(t *testing.T, dir string) (files, others []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); d.IsDir() {
			return err
		} else if strings.HasSuffix(rel, suffix) {
			files = append(files, rel)
		} else {
			others = append(others, rel)
		}
		return err
	}))
	return files, others
}

func TestWhatIsArchivedLeavesTheTopicAndIsReadBeforeIt(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r, dir := newRig(t, b.Settings), filepath.Join(t.TempDir(), "archive")
		r.write(0, 4000)
		r.take(r.group, 0)
		want, err := r.all("")
		must(t, err)
		var said []string
		c := r.config()
		c.Progress = func(line string) { said = append(said, line) }
		var records, files int
		for _, d := range r.archive(c, dir) {
			records, files = records+int(d.Records), files+d.Files
			if d.From == 0 || d.Stays != "it is the last record" {
				t.Errorf("%+v", d)
			}
		}
		if records < len(want)-2 || files < 4 { // a partition that does not end in a marker keeps its last record
			t.Errorf("%d of %d records in %d files", records, len(want), files)
		}
		if left, err := r.all(""); err != nil || len(left) != len(want)-records {
			t.Errorf("%v: the topic has %d records", err, len(left))
		}
		r.has(dir, want)
		if n := r.archive(c, dir); n[0].Files+n[1].Files != 0 {
			t.Errorf("again: %+v", n)
		}
		if _, others := filesIn(t, dir); len(others) != 1 {
			t.Errorf("there is more than files and their sums: %s", others)
		}
		r.write(4000, 6000)
		r.take(r.group, 0)
		want, err = r.all(dir)
		must(t, err)
		r.archive(c, dir)
		r.has(dir, want)
	})
}

func TestWhatSomebodyNeedsStays(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r, dir := newRig(t, b.Settings), t.TempDir()
		stays := func(c Config, why string, from ...int64) {
			t.Helper()
			for _, d := range r.archive(c, dir) {
				if !strings.Contains(d.Stays, why) || d.From != from[d.Partition] {
					t.Errorf("%+v, want %q from %d on", d, why, from)
				}
			}
			if got := r.starts(); !slices.Equal(got, from) {
				t.Errorf("the topic starts at %d, want %d", got, from)
			}
		}
		stays(r.config(), "", 0, 0) // empty
		for i := range 200 {
			must(t, r.cl.ProduceSync(t.Context(), &kgo.Record{Topic: r.topic, Partition: int32(i % 2), Value: []byte("v"), Timestamp: time.Now().Add(-time.Duration(200-i) * time.Hour)}).FirstErr())
		}
		stays(r.config(), "group "+r.group+" has taken nothing", 0, 0)
		r.take(r.group, 95)
		stays(r.config(), "group "+r.group+" has not taken it", 5, 5)
		r.take(r.group, 0)
		stranger := kafkatest.Name("stranger")
		r.take(stranger, 60)
		stays(r.config(), "group "+stranger+" has not taken it", 40, 40)
		r.take(stranger, 0)
		c := r.config()
		c.OlderThan = 50*time.Hour + 30*time.Minute
		stays(c, "it is younger than", 75, 75)
		stays(r.config(), "it is the last record", 99, 99)
	})
}

// errKilled is how a run ends between two steps.
var errKilled = errors.New("killed")

func TestAKillBetweenTwoStepsLosesAndDoublesNothing(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		for _, step := range []string{"written", "named", "listed", "compared", "removed"} {
			for nth, large := range map[int][2]int64{1: {0, 1500}, 3: {1500, 0}} { // what was not listed gets another name
				t.Run(fmt.Sprint(step, nth), func(t *testing.T) {
					r, dir := newRig(t, b.Settings), t.TempDir()
					r.write(0, 3000)
					r.take(r.group, 0)
					want, err := r.all("")
					must(t, err)
					c, n := r.config(), 0
					c.large = large[0]
					c.step = func(done string) error {
						if done == step {
							if n++; n == nth {
								return errKilled
							}
						}
						return nil
					}
					if _, err := Take(t.Context(), c, dir); !errors.Is(err, errKilled) {
						t.Fatal(err)
					}
					r.has(dir, want)
					r.write(3000, 4000)
					r.take(r.group, 0)
					want, err = r.all(dir)
					must(t, err)
					c.large, c.step = large[1], nil
					r.archive(c, dir)
					r.has(dir, want)
					files, others := filesIn(t, dir)
					sums, err := os.ReadFile(filepath.Join(dir, sumsFile))
					must(t, err)
					if got := strings.Count(string(sums), "\n"); got != len(files) || len(others) != 1 {
						t.Errorf("%d files are listed, %d there, beside %s", got, len(files), others)
					}
				})
			}
		}
	})
}

func TestADamagedArchiveIsRefused(t *testing.T) {
	r, dir := newRig(t, kafkatest.Embedded(t).Settings()), t.TempDir()
	r.write(0, 3000)
	r.take(r.group, 0)
	r.archive(r.config(), dir)
	files, _ := filesIn(t, dir)
	victim := filepath.Join(dir, files[1])
	good, err := os.ReadFile(victim)
	must(t, err)
	refused := func(what string, b []byte, why ...string) {
		t.Helper()
		must(t, os.WriteFile(victim, b, 0o600))
		_, err := r.all(dir)
		for _, want := range append(why, victim) {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", what, err, want)
			}
		}
	}
	for _, at := range []int{0, 10, 200, len(good) / 2, len(good) - 1} {
		bad := bytes.Clone(good)
		bad[at] ^= 0x10
		refused("a flipped bit", bad, "is damaged")
		refused("a cut file", good[:at], "is damaged")
	}
	other, err := os.ReadFile(filepath.Join(dir, files[0]))
	must(t, err)
	refused("another file", other, "is damaged")
	must(t, os.Remove(victim))
	if _, err := r.all(dir); err == nil || !strings.Contains(err.Error(), victim) {
		t.Errorf("a file is gone: %v", err)
	}
	must(t, os.WriteFile(victim, good, 0o600))

	sums := filepath.Join(dir, sumsFile)
	raw, err := os.ReadFile(sums)
	must(t, err)
	lines := strings.SplitAfter(string(raw), "\n")
	for what, c := range map[string]struct{ sums, why string }{
		"a line is gone":        {strings.Join(lines[1:], ""), "have offsets up to"},
		"a line is there twice": {string(raw) + lines[1], "have offsets up to"},
		"a line is cut":         {string(raw[:len(raw)-20]), "want a SHA-256"},
		"the end is gone":       {strings.Join(lines[:len(lines)-2], ""), "the records between are in neither"},
		"a name leads outside":  {strings.Repeat("0", 64) + "  ../x/0/00000000000000000000-00000000000000000001.avro\n", "want a SHA-256"},
	} {
		must(t, os.WriteFile(sums, []byte(c.sums), 0o600))
		if _, err := r.all(dir); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %q", what, err, c.why)
		}
	}
	must(t, os.Remove(sums))
	for range 2 {
		if _, err := Take(t.Context(), r.config(), dir); err == nil || !strings.Contains(err.Error(), "it has no SHA256SUMS") {
			t.Errorf("without a list: %v", err)
		}
	}
	must(t, os.WriteFile(sums, raw, 0o600))
	if _, err := Open(dir, "another"); err != nil {
		t.Fatal(err)
	}
}

func TestAnotherClustersArchiveIsRefused(t *testing.T) {
	r, dir := newRig(t, kafkatest.Embedded(t).Settings()), t.TempDir()
	r.write(0, 100)
	r.take(r.group, 0)
	r.archive(r.config(), dir)
	a, err := Open(dir, "another")
	must(t, err)
	if _, err := a.Beginning(nil).Next(); err == nil || !strings.Contains(err.Error(), metaCluster) {
		t.Errorf("%v", err)
	}
	// Not the archive of what came before.
	if _, err := Take(t.Context(), r.config(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "the records between are in neither") {
		t.Errorf("%v", err)
	}
	lock, err := hold(dir)
	must(t, err)
	if _, err := Take(t.Context(), r.config(), dir); err == nil || !strings.Contains(err.Error(), "another process is writing") {
		t.Errorf("%v", err)
	}
	must(t, lock.Close())
}

// A log that was put back from a copy goes on in another way than the one that was archived.
func TestAnotherLifeOfTheClusterIsFoundOut(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r, dir := newRig(t, b.Settings), t.TempDir()
		r.write(0, 1000)
		r.take(r.group, 0)
		c := r.config()
		c.step = func(done string) error { // archived, and still there
			if done == "compared" {
				return errKilled
			}
			return nil
		}
		if _, err := Take(t.Context(), c, dir); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		id, err := r.s.ClusterID(t.Context())
		must(t, err)
		a, err := Open(dir, id)
		must(t, err)
		defer a.Close()
		must(t, a.Compare(t.Context(), r.s, kafka.Offsets{r.topic: {0: 0, 1: 0}}))
		lie := func(want string, change func() []*kafka.Record) {
			t.Helper()
			p := partition{r.topic, 0}
			f, was := a.files[p][0], a.files[p]
			w, err := create(a.path(f.name()), id, f)
			must(t, err)
			for _, rec := range change() {
				must(t, w.add(rec))
			}
			must(t, w.close(), os.Rename(a.path(f.name()), a.path(w.name())))
			a.files[p] = []file{w.file}
			err = a.Compare(t.Context(), r.s, kafka.Offsets{r.topic: {0: 0, 1: 0}})
			if err == nil || !strings.Contains(err.Error(), p.String()) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
			a.files[p] = was
		}
		all, err := r.all("")
		must(t, err)
		own := slices.DeleteFunc(slices.Clone(all), func(rec *kafka.Record) bool { return rec.Partition != 0 })
		lie("disagree at offset 7: they have different records", func() []*kafka.Record {
			other := *own[7]
			other.Headers = append(slices.Clone(other.Headers), kafka.Header{})
			return append(append(slices.Clone(own[:7]), &other), own[8:]...)
		})
		lie("disagree at offset 7: only one of them", func() []*kafka.Record { return slices.Delete(slices.Clone(own), 7, 8) })
		lie("disagree at offset 100000: the topic has no record there", func() []*kafka.Record {
			beyond := *own[0]
			beyond.Offset = 100_000
			return append(slices.Clone(own), &beyond)
		})
	})
}

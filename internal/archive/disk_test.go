package archive

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
)

// The embedded broker notes where its topics start only when it is stopped in order. What it has brought back after a kill is in the archive, and the next run removes it again; where
// its partitions end it must not forget, or the groups would wait at offsets that are long to come.
func TestTheEmbeddedBrokerGivesTheDiskBackAndStartsAgainWhereItWas(t *testing.T) {
	data, dir := t.TempDir(), t.TempDir()
	e, err := kafka.StartEmbedded(t.Context(), kafka.EmbeddedConfig{Dir: data, Log: kafkatest.Log(t)})
	must(t, err)
	r := newRig(t, e.Settings())
	const segment = 8 << 10
	value := fmt.Sprint(segment)
	_, err = kadm.NewClient(r.cl).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "segment.bytes", Value: &value}}, r.topic)
	must(t, err)
	for from := 0; from < 4000; from += 500 {
		r.write(from, from+500)
	}
	r.take(r.group, 0)
	want, err := r.all("")
	must(t, err)
	ends, before := r.ends(), r.disk(data)
	r.archive(r.config(), dir)
	starts := r.starts()
	if after := r.disk(data); after > 4*segment || before < 4*after {
		t.Errorf("the topic has %d bytes on disk, and had %d", after, before)
	}

	killed := t.TempDir()
	must(t, os.CopyFS(killed, os.DirFS(data)), e.Close())
	for p := range 2 { // a kill between the two files of a segment that is removed
		must(t, os.WriteFile(filepath.Join(killed, "log", "partitions", fmt.Sprintf("%s-%d", r.topic, p), "0.idx"), make([]byte, 1500), 0o600))
	}
	again := func(data string) *rig {
		t.Helper()
		r := *r
		r.s = kafkatest.EmbeddedAt(t, data).Settings()
		var err error
		r.cl, err = r.s.NewProducer()
		must(t, err)
		t.Cleanup(r.cl.Close)
		if got := r.ends(); !slices.Equal(got, ends) {
			t.Errorf("the partitions end at %d, want %d", got, ends)
		}
		r.has(dir, want)
		return &r
	}
	if stopped := again(data); !slices.Equal(stopped.starts(), starts) {
		t.Errorf("after a stop the partitions start at %d, want %d", stopped.starts(), starts)
	}
	after := again(killed)
	if got := after.starts(); got[0] >= starts[0] && got[1] >= starts[1] {
		t.Errorf("after a kill the partitions start at %d, as before: nothing has come back, so this proves nothing", got)
	}
	if done := after.archive(after.config(), dir); done[0].Files+done[1].Files != 0 || !slices.Equal(after.starts(), starts) {
		t.Errorf("%+v, the partitions start at %d", done, after.starts())
	}
	after.has(dir, want)
}

// disk is how many bytes the topic's files have.
func (r *rig) disk(data string) (bytes int64) {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "log", "partitions", r.topic+"-*", "*.dat"))
	must(r.t, err)
	for _, f := range files {
		info, err := os.Stat(f)
		must(r.t, err)
		bytes += info.Size()
	}
	return bytes
}

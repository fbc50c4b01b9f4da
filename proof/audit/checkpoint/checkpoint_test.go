package checkpoint

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

type thing struct {
	N     int64
	U     uint64
	Flag  bool
	Name  string
	Raw   []byte
	List  []int32
	ByKey map[string]*int64
}

func (t *thing) fields(c *Codec) {
	Number(c, &t.N)
	Number(c, &t.U)
	Bool(c, &t.Flag)
	Text(c, &t.Name)
	Bytes(c, &t.Raw)
	List(c, &t.List, func(n *int32) { Number(c, n) })
	Map(c, t.ByKey, func(k *string) { Text(c, k) }, func(v **int64) {
		if *v == nil {
			*v = new(int64)
		}
		Number(c, *v)
	})
}

func newThing() *thing { return &thing{ByKey: map[string]*int64{}} }

func sample() *thing {
	one, two := int64(1), int64(-2)
	return &thing{N: -1 << 63, U: 1<<64 - 1, Flag: true, Name: "name", Raw: bytes.Repeat([]byte{7}, 1<<20), List: []int32{1, -1, 1 << 30}, ByKey: map[string]*int64{"one": &one, "two": &two}}
}

func TestWhatWasSavedIsLoaded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := Load(file, newThing().fields); !errors.Is(err, ErrNone) {
		t.Fatalf("without a file: %v", err)
	}
	for _, want := range []*thing{sample(), newThing()} {
		if err := Save(file, want.fields); err != nil {
			t.Fatal(err)
		}
		got := newThing()
		if err := Load(file, got.fields); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: %+v", err, got)
		}
	}
	if left, _ := filepath.Glob(file + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Every byte of a checkpoint counts: whichever is wrong or missing, the file is refused.
func TestADamagedFileIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	want := sample()
	want.Raw = []byte{1, 2, 3}
	if err := Save(file, want.fields); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Load(file, newThing().fields); err == nil || !strings.Contains(err.Error(), "remove the file") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		refused("a flipped bit", bad)
		refused("a cut file", good[:i])
	}
	refused("a longer file", append(bytes.Clone(good), 0))
	refused("another file", []byte("{}\n"))
}

func TestASaveThatFailsLeavesTheOldFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := Save(file, sample().fields); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := Save(file, func(c *Codec) { c.Fail(broken) }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	got := newThing()
	if err := Load(file, got.fields); err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("%v: the old file is gone", err)
	}
	if left, _ := filepath.Glob(file + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := Save(filepath.Join(file, "below"), sample().fields); err == nil {
		t.Error("a file below a file was saved")
	}
}

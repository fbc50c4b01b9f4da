package seal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func open(t testing.TB, cfg Config) *Keys {
	t.Helper()
	k, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

func sealed(t testing.TB, k *Keys, subject, plain string) []byte {
	t.Helper()
	b, err := k.Seal(subject, []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func opens(t testing.TB, k *Keys, b []byte, want string) {
	t.Helper()
	if got, err := k.Open(b); err != nil || string(got) != want {
		t.Errorf("opened %q, %v; want %q", got, err, want)
	}
}

func TestWhatIsSealedOpensAlsoAfterARestartAndInAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	k := open(t, Config{Dir: dir})
	a, b := sealed(t, k, "default/cus_1", "Main Street 1"), sealed(t, k, "default/ord_1", "")
	other := open(t, Config{Dir: dir})
	opens(t, other, a, "Main Street 1")
	opens(t, other, b, "")
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, Config{Dir: dir})
	opens(t, again, a, "Main Street 1")
	opens(t, again, sealed(t, again, "default/cus_1", "x"), "x")
}

func TestAnErasedSubjectIsClosedForEverybody(t *testing.T) {
	dir := t.TempDir()
	k, other := open(t, Config{Dir: dir}), open(t, Config{Dir: dir})
	mine := [][]byte{sealed(t, k, "gone", "a"), sealed(t, other, "gone", "b"), sealed(t, k, "gone", "c")}
	kept := sealed(t, k, "kept", "d")
	opens(t, other, mine[0], "a")
	if n, err := other.Erase("gone"); err != nil || n != 2 {
		t.Fatalf("erased %d keys, %v; want one of each process", n, err)
	}
	for i, b := range mine {
		for _, keys := range []*Keys{k, other, open(t, Config{Dir: dir})} {
			if _, err := keys.Open(b); !errors.Is(err, ErrErased) {
				t.Errorf("%d: %v, want ErrErased", i, err)
			}
		}
	}
	opens(t, other, kept, "d")
	opens(t, k, sealed(t, k, "gone", "new data"), "new data") // under a new key, since the process saw that its own is gone
	if n, err := k.Erase("never was"); err != nil || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestALostKeyIsToldFromAnErasedOne(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"no file":     os.Remove,
		"no slot":     func(path string) error { return os.Truncate(path, 0) },
		"half a slot": func(path string) error { return os.Truncate(path, slotBytes/2) },
		"zeros":       func(path string) error { return os.WriteFile(path, make([]byte, slotBytes), 0o600) },
		"half of it zeros": func(path string) error {
			return errors.Join(os.Truncate(path, slotBytes/2), os.Truncate(path, slotBytes))
		},
	} {
		dir := t.TempDir()
		k := open(t, Config{Dir: dir})
		b := sealed(t, k, "a", "text")
		if err := lose(k.path(placeIn(b).segment)); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Open(b); !errors.Is(err, ErrLost) || errors.Is(err, ErrErased) {
			t.Errorf("%s: %v, want ErrLost", name, err)
		}
	}
}

func TestNothingOfAKeyIsLeftAfterItsErasure(t *testing.T) {
	dir := t.TempDir()
	k := open(t, Config{Dir: dir})
	b := sealed(t, k, "gone", "a")
	path := k.path(placeIn(b).segment)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Erase("gone"); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil || len(after) != len(before) {
		t.Fatalf("%d bytes, %v", len(after), err)
	}
	if !bytes.Equal(after[1:slotBytes], make([]byte, slotBytes-1)) {
		t.Errorf("the slot holds %x", after)
	}
}

func TestFilesShowNeitherSubjectsNorKeys(t *testing.T) {
	dir := t.TempDir()
	k := open(t, Config{Dir: dir})
	b := sealed(t, k, "default/cus_marked", "Marked Street")
	key, err := k.read(placeIn(b))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := os.ReadFile(k.path(placeIn(b).segment))
	if bytes.Contains(raw, []byte("marked")) || bytes.Contains(raw, key) || bytes.Contains(b, []byte("Marked")) {
		t.Error("something is readable")
	}
	for _, path := range []string{filepath.Join(dir, "master"), k.path(placeIn(b).segment)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
	}
}

func TestTamperingIsSeen(t *testing.T) {
	k := open(t, Config{Dir: t.TempDir()})
	a, b := sealed(t, k, "a", "text a"), sealed(t, k, "b", "text b")
	swapped := append(bytes.Clone(b[:headBytes]), a[headBytes:]...)
	for name, bad := range map[string][]byte{"another key's head": swapped, "a cut": a[:len(a)-1], "nothing": nil, "a bent byte": append(bytes.Clone(a[:len(a)-1]), a[len(a)-1]^1), "another version": append([]byte{9}, a[1:]...)} {
		if got, err := k.Open(bad); err == nil || errors.Is(err, ErrErased) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	// A slot that is copied over another one opens neither.
	path := k.path(placeIn(a).segment)
	raw, _ := os.ReadFile(path)
	copy(raw[slotBytes:], raw[:slotBytes])
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Open(b); err == nil {
		t.Error("a moved key opens")
	}
}

func TestAMasterKeyThatDoesNotFitIsRefusedAtTheStart(t *testing.T) {
	dir := t.TempDir()
	k := open(t, Config{Dir: dir})
	sealed(t, k, "a", "b")
	if _, err := Open(Config{Dir: dir, Master: make([]byte, 32)}); err == nil || !strings.Contains(err.Error(), "master key") {
		t.Errorf("another master key: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "master")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("no master key: %v", err)
	}
	if _, err := Open(Config{Dir: t.TempDir(), Master: []byte("short")}); err == nil {
		t.Error("a short master key was taken")
	}
}

func TestATornTailHarmsNothing(t *testing.T) {
	dir := t.TempDir()
	k := open(t, Config{Dir: dir})
	a := sealed(t, k, "a", "text")
	path := k.path(placeIn(a).segment)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, slotBytes/2)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	again := open(t, Config{Dir: dir})
	opens(t, again, a, "text")
	opens(t, again, sealed(t, again, "a", "more"), "more")
	if n, err := again.Erase("a"); err != nil || n != 2 {
		t.Errorf("erased %d, %v", n, err)
	}
}

func TestNewKeysUnderLoadAreAllThere(t *testing.T) {
	for _, durable := range []bool{false, true} {
		dir := t.TempDir()
		k := open(t, Config{Dir: dir, Sync: durable})
		const workers, each = 16, 100
		var wg sync.WaitGroup
		all := make([][][]byte, workers)
		for w := range workers {
			wg.Go(func() {
				for i := range each {
					b, err := k.Seal(fmt.Sprintf("ord_%d_%d", w, i), []byte(fmt.Sprint(w, i)))
					if err != nil {
						t.Error(err)
						return
					}
					all[w] = append(all[w], b)
				}
			})
		}
		wg.Wait()
		again := open(t, Config{Dir: dir})
		used := map[place]bool{}
		for w := range all {
			for i, b := range all[w] {
				opens(t, again, b, fmt.Sprint(w, i))
				if at := placeIn(b); used[at] {
					t.Errorf("%s was given twice", at)
				} else {
					used[at] = true
				}
			}
		}
		if len(used) != workers*each {
			t.Errorf("%d keys, want %d", len(used), workers*each)
		}
	}
}

func TestSegmentsRollOver(t *testing.T) {
	k := open(t, Config{Dir: t.TempDir()})
	first := sealed(t, k, "a", "first")
	k.writer.used = segmentSlots
	second := sealed(t, k, "b", "second")
	if placeIn(first).segment == placeIn(second).segment {
		t.Error("a full segment was written on")
	}
	opens(t, k, first, "first")
	opens(t, k, second, "second")
}

func TestProcessesThatStartAtOnceGetOneSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "secret")
	got := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = Secret(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, b := range got {
		if len(b) != secretBytes || !bytes.Equal(b, got[0]) {
			t.Errorf("%x and %x", b, got[0])
		}
	}
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Secret(path); err == nil {
		t.Error("a damaged secret was taken")
	}
}

// A killed process has told of no sealed data whose key is not in its file.
func TestKillLosesNoKeyOfWhatWasSealed(t *testing.T) {
	if dir := os.Getenv("OMS_SEAL_CHILD"); dir != "" {
		k := open(t, Config{Dir: dir})
		for i := 0; ; i++ {
			fmt.Printf("%x\n", sealed(t, k, fmt.Sprint("ord_", i), "text"))
		}
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestKillLosesNoKeyOfWhatWasSealed$")
	child.Env = append(os.Environ(), "OMS_SEAL_CHILD="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var told [][]byte
	for len(told) < 500 {
		var b []byte
		if _, err := fmt.Fscanf(out, "%x\n", &b); err != nil {
			t.Fatal(err)
		}
		told = append(told, b)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	k := open(t, Config{Dir: dir})
	for _, b := range told {
		opens(t, k, b, "text")
	}
}

func BenchmarkSealNewSubject(b *testing.B) {
	for _, durable := range []bool{false, true} {
		b.Run(fmt.Sprint("sync=", durable), func(b *testing.B) {
			k := open(b, Config{Dir: b.TempDir(), Sync: durable})
			plain := make([]byte, 200)
			var n atomic.Int64
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := k.Seal(fmt.Sprint("ord_", n.Add(1)), plain); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	k := open(b, Config{Dir: b.TempDir()})
	s := sealed(b, k, "a", strings.Repeat("x", 200))
	for b.Loop() {
		if _, err := k.Open(s); err != nil {
			b.Fatal(err)
		}
	}
}

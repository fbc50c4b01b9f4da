package store

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// fullDisk refuses to write files of a kind, from now on.
type fullDisk struct {
	now     atomic.Bool
	refused atomic.Int64
	after   time.Duration // it takes so long to refuse
}

func (d *fullDisk) fs(base vfs.FS, kind string) vfs.FS {
	return errorfs.Wrap(base, errorfs.InjectorFunc(func(op errorfs.Op) error {
		writes := op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
		if !writes || !d.now.Load() || !strings.Contains(filepath.Base(op.Path), kind) {
			return nil
		}
		time.Sleep(d.after) // what a slow disk does; most tests have a fast one
		d.refused.Add(1)
		return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
	}))
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come in 20 s", what)
		}
	}
}

func TestAFullDiskIsToldOnceAndTheStateBeforeItStands(t *testing.T) {
	dir, told := t.TempDir(), newFaults()
	var disk fullDisk
	opt := small()
	opt.fs, opt.OnFault, opt.FlushEvery = disk.fs(vfs.Default, ".sst"), told.add, time.Millisecond
	db := openIn(t, dir, opt)
	p := partition(t, db, "g", "t", 0)
	follower := partition(t, db, "g", "t", 1)
	must(t, p.Set("a", wakes(1, "")), db.Commit([]Written{{p, 1}}))
	p.flushFollowed()
	must(t, db.db.Flush())

	disk.now.Store(true)
	must(t, p.Set("a", wakes(2, "")), follower.Set("b", []byte("1")), follower.SetOffset(1))
	if err := db.Commit([]Written{{p, 2}}); err != nil && db.Fault() == nil {
		t.Fatal(err)
	}
	eventually(t, "a third refusal", func() bool { return disk.refused.Load() >= 3 })
	if all := told.all(); len(all) != 1 || !strings.HasPrefix(all[0].Error(), "store in "+dir+": ") || !strings.HasSuffix(all[0].Error(), "no space left on device") {
		t.Errorf("told %q", all)
	}
	if db.Fault() == nil {
		t.Error("the store knows of no fault")
	}
	if err := db.Commit([]Written{{p, 3}}); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("a commit after the fault answers %v", err)
	}
	if err := follower.MarkRecovered(); follower.followed != none && err == nil {
		t.Error("what was followed could not be written, and nothing is said")
	}
	must(t, db.Close())

	disk.now.Store(false)
	again := openIn(t, dir, small())
	if aside, _ := filepath.Glob(filepath.Join(dir, "state.damaged-*")); len(aside) != 0 {
		t.Errorf("a full disk was taken for damage: %q", aside)
	}
	p = partition(t, again, "g", "t", 0)
	wantOffset(t, p, 1)
	wantDue(t, p, 9, "a@1")
}

func TestADiskThatIsFullOnlyAtTheEndDoesNotKeepTheStoreFromClosing(t *testing.T) {
	told := newFaults()
	var disk fullDisk
	opt := small()
	opt.fs, opt.OnFault = disk.fs(vfs.Default, ".sst"), told.add
	db := openIn(t, t.TempDir(), opt)
	p, q := partition(t, db, "g", "t", 0), partition(t, db, "g", "t", 1)
	must(t, p.Set("a", wakes(1, "")), db.Commit([]Written{{p, 1}}))
	disk.now.Store(true)
	for range 2 {
		if err := q.Reset(); err == nil || !strings.Contains(err.Error(), "no space left on device") {
			t.Errorf("Reset answers %v", err)
		}
	}
	must(t, db.Close()) // the fault was told
	eventually(t, "the word of the fault", func() bool { return len(told.all()) == 1 })

	disk.now.Store(false)
	db = openIn(t, t.TempDir(), opt)
	p = partition(t, db, "g", "t", 0)
	must(t, p.Set("a", wakes(1, "")), db.Commit([]Written{{p, 1}}))
	disk.now.Store(true)
	if err := db.Close(); err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("Close answers %v", err)
	}
}

// Pebble asks to end the process when its list of files cannot be written; the data stands as it was before.
func TestAListOfFilesThatCannotBeWrittenEndsTheProcessWithAWord(t *testing.T) {
	dir := t.TempDir()
	must(t, openIn(t, dir, small()).Close())
	c := startChild(t, "manifest", dir)
	c.until(t, "open")
	for c.lines.Scan() { // to its end
	}
	_ = c.cmd.Wait()
	if said := c.stderr.String(); c.cmd.ProcessState.ExitCode() != 1 || strings.Count(said, "fault: ") != 1 || !strings.Contains(said, "no space left on device") || strings.Contains(said, "goroutine") {
		t.Errorf("%v, it said: %s", c.cmd.ProcessState, said)
	}
	db := openIn(t, dir, small())
	for n := range int32(killParts) {
		p := partition(t, db, "g", "t", n)
		at, err := p.GetOffset(0)
		must(t, err)
		wantKilled(t, p, n, at)
	}
}

// Flushes that are asked for while the first one is refused slowly must not queue behind it: Pebble would hold the next caller until there is room.
func TestADiskThatIsSlowToRefuseDoesNotKeepTheStoreFromClosing(t *testing.T) {
	told := newFaults()
	disk := fullDisk{after: 50 * time.Millisecond}
	opt := small()
	opt.fs, opt.OnFault, opt.FlushEvery = disk.fs(vfs.Default, ".sst"), told.add, time.Millisecond
	db := openIn(t, t.TempDir(), opt)
	p := partition(t, db, "g", "t", 0)
	disk.now.Store(true)
	must(t, p.Set("a", wakes(1, "")), db.Commit([]Written{{p, 1}}))
	eventually(t, "the word of the fault", func() bool { return db.Fault() != nil })
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	select {
	case err := <-closed:
		must(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the store does not close")
	}
}

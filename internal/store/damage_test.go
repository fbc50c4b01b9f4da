package store

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const damageRows = 300

// wholeState is the directory of a closed store with several files. Each row wants to be woken at the offset of its record.
func wholeState(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	db := openIn(t, dir, small())
	p := partition(t, db, "g", "t", 0)
	for at := range int64(3) {
		for i := range damageRows {
			must(t, p.Set(fmt.Sprintf("k%03d", i), wakes(at+1, strings.Repeat("x", 100+i%7))))
		}
		must(t, db.Commit([]Written{{p, at + 1}}), db.db.Flush())
	}
	must(t, db.Close())
	return dir
}

// damages are what can happen to a file; nil takes it away.
func damages() map[string]func([]byte) []byte {
	all := map[string]func([]byte) []byte{
		"empty":  func([]byte) []byte { return nil },
		"longer": func(b []byte) []byte { return append(b, "garbage"...) },
		"zeros":  func(b []byte) []byte { clear(b); return b },
		"gone":   nil,
	}
	dice := rand.New(rand.NewPCG(3, 4))
	for i := range 6 {
		all[fmt.Sprintf("flipped %d", i)] = func(b []byte) []byte {
			if len(b) > 0 {
				b[dice.IntN(len(b))] ^= byte(1 + dice.IntN(255))
			}
			return b
		}
		all[fmt.Sprintf("cut %d", i)] = func(b []byte) []byte { return b[:dice.IntN(len(b)+1)] }
	}
	return all
}

// oneState fails the test unless rows, deadlines and offset of a partition are those of one moment, or reading them is refused.
func oneState(t *testing.T, p *Partition) (refused error) {
	t.Helper()
	at, err := p.GetOffset(0)
	if err != nil {
		return err
	}
	it, err := p.Iterator()
	if err != nil {
		return err
	}
	defer it.Release()
	n := 0
	for ; it.Next(); n++ {
		row, err := it.Value()
		if err != nil {
			return err
		}
		if ms, _ := deadline(row); ms != at {
			t.Errorf("at offset %d row %s is from %d", at, it.Key(), ms)
		}
	}
	if err := it.Err(); err != nil {
		return err
	}
	due, err := p.DueBy(at, 2*damageRows, func(Due) bool { return false })
	if err != nil {
		return err
	}
	if want := damageRows * int(min(at, 1)); n != want || len(due) != want {
		t.Errorf("at offset %d there are %d rows and %d deadlines, want %d", at, n, len(due), want)
	}
	return nil
}

func TestDamagedFilesAreSetAsideOrRefusedNeverBelieved(t *testing.T) {
	whole := wholeState(t)
	for _, file := range filesOf(t, filepath.Join(whole, dataName)) {
		rel, err := filepath.Rel(whole, file)
		must(t, err)
		for name, do := range damages() {
			t.Run(filepath.Base(file)+" "+name, func(t *testing.T) {
				dir := copyOf(t, whole)
				path := filepath.Join(dir, rel)
				b, err := os.ReadFile(path)
				must(t, err, os.Remove(path))
				if do != nil {
					must(t, os.WriteFile(path, do(b), 0o640))
				}
				wantNeverBelieved(t, dir)
			})
		}
	}
}

// wantNeverBelieved opens a damaged directory as two starts would: what the first refuses to read, the second sets aside.
func wantNeverBelieved(t *testing.T, dir string) {
	t.Helper()
	told := newFaults()
	opt := small()
	opt.OnFault = told.add
	db := openIn(t, dir, opt)
	refused := oneState(t, partition(t, db, "g", "t", 0))
	must(t, db.Close())
	fault := db.Fault() // Pebble itself may meet damage that the reading did not
	if fault == nil {
		must(t, refused)
		return
	}
	eventually(t, "the word of the fault", func() bool { return len(told.all()) > 0 })
	if said := fault.Error(); len(told.all()) != 1 || strings.Contains(said, "\n") || !strings.Contains(said, dir) {
		t.Errorf("the fault is not one line that names the directory, told once: %q %q", said, told.all())
	}
	var log strings.Builder
	opt = small()
	opt.Log = slog.New(slog.NewTextHandler(&log, nil))
	db = openIn(t, dir, opt)
	p := partition(t, db, "g", "t", 0)
	wantOffset(t, p, -3)
	wantRows(t, p, map[string]string{})
	if aside, _ := filepath.Glob(filepath.Join(dir, "state.damaged-*")); len(aside) != 1 || !strings.Contains(log.String(), "the state is damaged; it is set aside and read again from the changelog") {
		t.Errorf("set aside: %q; said: %s", aside, log.String())
	}
	must(t, p.Set("a", []byte("1")), db.Commit([]Written{{p, 1}}), db.Close())
	p = partition(t, openIn(t, dir, small()), "g", "t", 0)
	wantOffset(t, p, 1) // the marker asks once
}

func TestADiskThatRefusesIsNotTakenForDamage(t *testing.T) {
	if os.Getuid() == 0 {
		t.Log("root may read everything: a directory in the place of a file refuses it as well")
	}
	dir := wholeState(t)
	options, err := filepath.Glob(filepath.Join(dir, dataName, "OPTIONS-*"))
	must(t, err, os.Remove(options[0]), os.Mkdir(options[0], 0o750))
	db, err := Open(dir, small())
	if err == nil {
		t.Fatal("opened", db.Close())
	}
	if !strings.Contains(err.Error(), "is a directory") || strings.Contains(err.Error(), "\n") {
		t.Errorf("it says %q", err)
	}
	must(t, os.Remove(options[0]))
	if aside, _ := filepath.Glob(filepath.Join(dir, "state.damaged-*")); len(aside) != 0 {
		t.Errorf("set aside: %q", aside)
	}
	p := partition(t, openIn(t, dir, small()), "g", "t", 0)
	wantOffset(t, p, 3)
}

// A state that does not fit its changelog fits by numbers again once the changelog has grown: it must not come back.
func TestAResetSurvivesAKill(t *testing.T) {
	dir := wholeState(t)
	db := openIn(t, dir, small())
	must(t, db.Partition("g", "t", 0, deadline).Reset())
	killed := openIn(t, copyOf(t, dir), small()) // what a kill would leave
	wantOffset(t, partition(t, killed, "g", "t", 0), -3)
	must(t, oneState(t, partition(t, db, "g", "t", 0)))
}

func TestOneDirectoryHasOneProcess(t *testing.T) {
	dir := t.TempDir()
	holder := startChild(t, "hold", dir)
	holder.until(t, "open")
	db, err := Open(dir, small())
	if err == nil {
		t.Fatal("two processes have the directory", db.Close())
	}
	if !strings.Contains(err.Error(), "another process is using this state directory") || strings.Contains(err.Error(), "\n") {
		t.Errorf("it says %q", err)
	}
	holder.kill()
	openIn(t, dir, small()) // the kernel gave it back
	if _, err := Open(dir, small()); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a second store of this process: %v", err)
	}
}

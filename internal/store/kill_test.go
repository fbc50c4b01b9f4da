package store

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The test binary is also the process that is killed: what it shall do, and in which directory.
const (
	childTask = "OMS_STORE_CHILD"
	childDir  = "OMS_STORE_DIR"
)

func child(dir string) {
	opt := small()
	opt.FlushEvery = 2 * time.Millisecond
	var full fullDisk
	if os.Getenv(childTask) == "manifest" {
		opt.fs = full.fs(vfs.Default, "MANIFEST")
		opt.OnFault = func(err error) { fmt.Fprintln(os.Stderr, "fault:", err) }
	}
	db, err := Open(dir, opt)
	if err != nil {
		panic(err)
	}
	fmt.Println("open")
	switch os.Getenv(childTask) {
	case "hold":
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "manifest":
		full.now.Store(true)
		fallthrough
	case "commit":
		commitForever(db)
	}
}

const (
	killParts = 3
	killKeys  = 40
)

// killRow is what the i-th commit writes into partition n; nil deletes.
func killRow(n int32, i int64) (key string, row []byte) {
	key = fmt.Sprintf("k%d", (i*int64(n+1))%killKeys)
	if i%7 == 3 {
		return key, nil
	}
	return key, wakes(i+1, strings.Repeat("x", int(i%3000)))
}

// stop ends the child for an error that is none of the disk's; the end after a fault is the store's to make.
func stop(db *DB, err error) {
	if db.Fault() != nil {
		select {}
	}
	panic(err)
}

// commitForever goes on from the offsets it finds, in all partitions at once; one follows its changelog instead.
func commitForever(db *DB) {
	var parts [killParts + 1]*Partition
	var at [killParts + 1]int64
	for n := range parts {
		parts[n] = db.Partition("g", "t", int32(n), deadline)
		if err := parts[n].Open(); err != nil {
			panic(err)
		}
		var err error
		if at[n], err = parts[n].GetOffset(0); err != nil {
			panic(err)
		}
	}
	put := func(n int32) {
		at[n]++
		p, i := parts[n], at[n]
		key, row := killRow(n, i)
		var err error
		if i%2 == 0 {
			if _, err := p.Get(key); err != nil {
				panic(err)
			}
		}
		if row == nil {
			err = p.Delete(key)
		} else {
			err = p.Set(key, row)
		}
		if err != nil {
			stop(db, err)
		}
	}
	for {
		var written []Written
		for n := range int32(killParts) {
			put(n)
			written = append(written, Written{parts[n], at[n]})
		}
		if err := db.Commit(written); err != nil {
			stop(db, err)
		}
		put(killParts)
		if err := parts[killParts].SetOffset(at[killParts]); err != nil {
			stop(db, err)
		}
	}
}

// running is a child.
type running struct {
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	stderr strings.Builder
}

func startChild(t *testing.T, task, dir string) *running {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	r := &running{cmd: exec.Command(self)}
	r.cmd.Env = append(os.Environ(), childTask+"="+task, childDir+"="+dir)
	r.cmd.Stderr = &r.stderr
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	_, err = r.cmd.StdinPipe()
	must(t, err)
	out, err := r.cmd.StdoutPipe()
	must(t, err)
	r.lines = bufio.NewScanner(out)
	must(t, r.cmd.Start())
	t.Cleanup(r.kill)
	return r
}

func (r *running) until(t *testing.T, line string) {
	t.Helper()
	for r.lines.Scan() {
		if r.lines.Text() == line {
			return
		}
	}
	_ = r.cmd.Wait()
	t.Fatalf("the child ended before it said %q: %s", line, r.stderr.String())
}

func (r *running) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

func TestAKillLeavesAnEarlierWholeStateOfEachPartition(t *testing.T) {
	dir := t.TempDir()
	last, moved := [killParts + 1]int64{}, 0
	for range 12 {
		c := startChild(t, "commit", dir)
		c.until(t, "open")
		time.Sleep(time.Duration(20+rand.IntN(120)) * time.Millisecond) // the moment of the kill
		c.kill()
		if !strings.Contains(fmt.Sprint(c.cmd.ProcessState), "killed") {
			t.Fatalf("the child ended by itself: %v %s", c.cmd.ProcessState, c.stderr.String())
		}
		db := openIn(t, dir, small())
		for n := range int32(killParts + 1) {
			p := partition(t, db, "g", "t", n)
			at, err := p.GetOffset(0)
			must(t, err)
			if at < last[n] {
				t.Errorf("partition %d: offset %d after %d was on the disk", n, at, last[n])
			}
			if at > last[n] {
				moved++
			}
			last[n] = at
			wantKilled(t, p, n, at)
		}
		must(t, db.Close())
	}
	if moved < 2*(killParts+1) {
		t.Errorf("the state moved only %d times, to %v: too little to mean anything", moved, last)
	}
	t.Logf("offsets at the end: %v", last)
}

// wantKilled checks rows and deadlines of a partition against what its commits up to the offset have written.
func wantKilled(t *testing.T, p *Partition, n int32, at int64) {
	t.Helper()
	want, waiting := map[string]string{}, 0
	for i := int64(1); i <= at; i++ {
		if key, row := killRow(n, i); row == nil {
			delete(want, key)
		} else {
			want[key] = string(row)
		}
	}
	waiting = len(want)
	wantRows(t, p, want)
	all, err := p.DueBy(never, 2*killKeys, func(Due) bool { return false })
	must(t, err)
	for _, d := range all {
		if ms, _ := deadline([]byte(want[d.Key])); ms != d.DeadlineMS {
			t.Errorf("partition %d: %s is due at %d, its row says %d", n, d.Key, d.DeadlineMS, ms)
		}
	}
	if len(all) != waiting {
		t.Errorf("partition %d at %d: %d deadlines, want %d", n, at, len(all), waiting)
	}
}

package backup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// paused is a shop that writes nothing: one that does not run, and cannot be started until release, or one that was stopped by a signal.
type paused struct {
	alone *os.File       // one backup at a time: another would let the shop go on in the middle of our cut
	lock  *os.File       // ours, when nobody runs
	pid   int            // of the shop, when it runs
	guard *exec.Cmd      // lets the shop go on when its input ends: by resume, or by our death
	input io.WriteCloser // of the guard
	since time.Time
}

// hold pauses whoever has the lock.
func hold(lockPath string) (p *paused, err error) {
	f, err := os.OpenFile(lockPath, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("no shop with an embedded broker: %w", err)
	}
	p = &paused{}
	defer func() {
		if err != nil {
			p, err = nil, errors.Join(err, p.release())
		}
	}()
	if p.alone, err = os.OpenFile(lockPath+".backup", os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return p, errors.Join(err, f.Close())
	}
	if syscall.Flock(int(p.alone.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return p, errors.Join(errors.New("another backup of it is being made"), f.Close())
	}
	p.since = time.Now()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		p.lock = f
		return p, nil
	} else if !errors.Is(err, syscall.EWOULDBLOCK) {
		return p, errors.Join(fmt.Errorf("%s: %w", lockPath, err), f.Close())
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return p, err
	}
	pid, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	if bad != nil || !hasOpen(pid, f) { // the number may be that of a former life, or of a process as another namespace counts them
		return p, fmt.Errorf("%s is locked by a process that is not %q as seen from here: an older build, or one in another container", lockPath, strings.TrimSpace(string(text)))
	}
	p.guard = exec.Command("/bin/sh", "-c", "read line; kill -CONT "+strconv.Itoa(pid))
	p.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is for us
	if p.input, err = p.guard.StdinPipe(); err == nil {
		err = p.guard.Start()
	}
	if err != nil {
		p.guard = nil
		return p, err
	}
	p.pid = pid
	return p, stop(pid)
}

// hasOpen tells whether a process has the file open.
func hasOpen(pid int, f *os.File) bool {
	want, err := f.Stat()
	if err != nil {
		return false
	}
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, path := range all {
		if got, err := os.Stat(path); err == nil && os.SameFile(got, want) {
			return true
		}
	}
	return false
}

// stop a process and wait until none of its threads runs any more, not even within a system call.
func stop(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("pausing process %d: %w", pid, err)
	}
	for limit := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) { // nobody tells when it has stopped
		stopped, err := allStopped(pid)
		if err != nil || stopped {
			return err
		}
		if time.Now().After(limit) {
			return fmt.Errorf("process %d did not pause within 5 s", pid)
		}
	}
}

func allStopped(pid int) (bool, error) {
	states, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(states) == 0 {
		return false, fmt.Errorf("process %d is gone", pid)
	}
	for _, path := range states {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that has ended
		}
		if _, state, _ := strings.Cut(string(b), ") "); state == "" || !strings.ContainsAny(state[:1], "TtZX") {
			return false, nil
		}
	}
	return true, nil
}

// resume lets the shop go on and answers how long it was paused. One that does not run stays locked until release.
func (p *paused) resume() (time.Duration, error) {
	if p.guard == nil {
		return 0, nil
	}
	still, err := allStopped(p.pid)
	if err == nil && !still {
		err = fmt.Errorf("process %d went on while its files were listed: somebody else woke it", p.pid)
	}
	err = errors.Join(err, p.input.Close(), p.guard.Wait())
	p.guard = nil
	return time.Since(p.since), err
}

func (p *paused) release() error {
	_, err := p.resume()
	for _, f := range []*os.File{p.lock, p.alone} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

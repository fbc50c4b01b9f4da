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
	lock  *os.File       // ours, when nobody runs
	guard *exec.Cmd      // lets the shop go on when its input ends: by resume, or by our death
	input io.WriteCloser // of the guard
	since time.Time
}

// hold pauses whoever has the lock.
func hold(lockPath string) (*paused, error) {
	f, err := os.OpenFile(lockPath, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("no shop with an embedded broker: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		return &paused{lock: f, since: time.Now()}, nil
	} else if !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("%s: %w", lockPath, err), f.Close())
	}
	text, err := io.ReadAll(f)
	pid, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	if err := errors.Join(err, f.Close()); err != nil || bad != nil || pid <= 1 {
		return nil, fmt.Errorf("%s is locked and names no process (%q): an older build runs", lockPath, text)
	}
	p := &paused{guard: exec.Command("/bin/sh", "-c", "read line; kill -CONT "+strconv.Itoa(pid)), since: time.Now()}
	p.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is for us
	if p.input, err = p.guard.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.guard.Start(); err != nil {
		return nil, err
	}
	if err := stop(pid); err != nil {
		_, ended := p.resume()
		return nil, errors.Join(err, ended)
	}
	return p, nil
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
	err := errors.Join(p.input.Close(), p.guard.Wait())
	p.guard = nil
	return time.Since(p.since), err
}

func (p *paused) release() error {
	_, err := p.resume()
	if p.lock != nil {
		err = errors.Join(err, p.lock.Close())
	}
	return err
}

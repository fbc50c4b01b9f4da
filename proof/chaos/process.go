// Package chaos starts the real binary, breaks it, and lets it show what stands.
package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is one running oms that serves.
type Process struct {
	HTTP    string // base URL
	Kafka   string // host:port of its broker
	Sandbox string // base URL of the payment sandbox; empty when it runs none
	Data    string

	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone
	err  error
}

// Start runs the binary with the arguments and waits for its ready line. Output goes to log. The process dies with this one.
func Start(ctx context.Context, binary string, log io.Writer, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", binary, err)
	}
	ready := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fmt.Fprintln(log, lines.Text())
			if strings.HasPrefix(lines.Text(), "ready ") {
				ready <- lines.Text()
			}
		}
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	select {
	case line := <-ready:
		for _, part := range strings.Fields(line)[1:] {
			key, value, _ := strings.Cut(part, "=")
			switch key {
			case "http":
				p.HTTP = value
			case "kafka":
				p.Kafka = value
			case "sandbox":
				p.Sandbox = value
			case "data":
				p.Data = value
			}
		}
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("%s %s ended before it was ready: %w", binary, strings.Join(args, " "), p.Wait())
	case <-ctx.Done():
		p.Kill()
		return nil, fmt.Errorf("%s %s was not ready in time: %w", binary, strings.Join(args, " "), ctx.Err())
	}
}

// PID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends it as a power cut of the process would: signal 9, nothing flushed.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Stop ends it politely; an error when it does not leave with status 0 within the time that the product promises.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(stopWithin):
		p.Kill()
		return fmt.Errorf("did not end within %s of SIGTERM", stopWithin)
	}
}

// stopWithin is how long a graceful stop may take.
const stopWithin = 10 * time.Second

// Wait for its end.
func (p *Process) Wait() error {
	<-p.done
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// Signal sends it a signal, such as SIGSTOP.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Memory of a process in bytes: resident now, and at most so far; 0 where the system does not tell.
func Memory(pid int) (resident, peak int64) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	return statusBytes(string(b), "VmRSS:"), statusBytes(string(b), "VmHWM:")
}

func statusBytes(status, name string) int64 {
	_, rest, _ := strings.Cut(status, name)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(fields[0], 10, 64)
	return kib << 10
}

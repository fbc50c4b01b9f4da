package clickhouse

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// order is the first line that the child reads: what it is to serve. The password goes this way and not by the environment, which others can look at.
type order struct {
	Library, Dir, ConfigFile, Database, Password string
	Memory                                       int64
}

// child is a process that serves, or is about to.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer     // its end tells the child that the parent has gone
	ready chan struct{} // closed when the child said that it serves
	gone  chan struct{} // closed when it has ended, with err
	err   error
	last  *lastLines
}

// spawn starts a child. Must be called on a thread that stays.
func (e *Engine) spawn() (*child, error) {
	c := &child{cmd: exec.Command(e.conf.Executable, e.conf.Args...), ready: make(chan struct{}), gone: make(chan struct{}), last: &lastLines{}}
	listener, err := e.listener.File()
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	c.cmd.ExtraFiles = []*os.File{listener}
	c.cmd.Dir = e.conf.Dir
	c.cmd.SysProcAttr = tied()
	stdin, err1 := c.cmd.StdinPipe()
	stdout, err2 := c.cmd.StdoutPipe()
	stderr, err3 := c.cmd.StderrPipe()
	if err := errors.Join(err1, err2, err3, c.cmd.Start()); err != nil {
		return nil, err
	}
	c.stdin = stdin
	keepNonblocking(e.listener)
	var reading sync.WaitGroup
	reading.Go(func() {
		lines(stdout, func(line string) {
			if line == readyLine {
				close(c.ready)
			} else {
				e.say(slog.LevelInfo, "clickhouse: the engine says", "line", line)
			}
		})
	})
	reading.Go(func() {
		lines(stderr, func(line string) {
			c.last.add(line)
			e.relay(line)
		})
	})
	go func() {
		reading.Wait()
		c.err = c.cmd.Wait()
		close(c.gone)
	}()
	// In a goroutine of its own: a child that ends before it reads must not hold the parent.
	go func() {
		_ = json.NewEncoder(stdin).Encode(order{e.conf.Library, e.conf.Dir, configFile(e.conf.Dir), e.conf.Database, e.password, e.conf.Memory})
	}()
	return c, nil
}

// keepNonblocking mends what handing a socket on does to it: both processes share its mode, and a blocking one has no deadlines.
func keepNonblocking(l *net.TCPListener) {
	if raw, err := l.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = syscall.SetNonblock(int(fd), true) }) // it fails on a closed socket only
	}
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// accompany waits until the child has ended, and answers whether it ever served and why it ended. It ends the child when the engine is closed.
func (e *Engine) accompany(c *child, serves func()) (ready bool, err error) {
	defer c.stdin.Close()
	select {
	case <-c.ready:
		ready = true
		serves()
	case <-c.gone:
		return ready, c.failure()
	case <-e.stop:
	}
	select {
	case <-c.gone:
		return ready, c.failure()
	case <-e.stop:
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-c.gone:
		return ready, nil
	case <-time.After(stopWithin):
		_ = c.cmd.Process.Kill()
		<-c.gone
		return ready, fmt.Errorf("clickhouse: the engine did not stop within %v and was killed", stopWithin)
	}
}

// failure says how the child ended and the last that it wrote.
func (c *child) failure() error {
	how := "exit status 0"
	if c.err != nil {
		how = c.err.Error()
	}
	if said := c.last.String(); said != "" {
		how += ": " + said
	}
	return errors.New("clickhouse: the engine ended: " + how)
}

// maxLine bounds a line of the child, in bytes; what is longer is cut.
const maxLine = 16 << 10

// lines calls each with every line until the end.
func lines(r io.Reader, each func(string)) {
	b := bufio.NewReaderSize(r, maxLine)
	for cut := false; ; {
		line, prefix, err := b.ReadLine()
		if err != nil {
			return
		}
		if !cut && len(line) > 0 {
			each(string(line))
		}
		cut = prefix
	}
}

// relay writes a line of the child's log, or words of the engine itself, to the parent's log.
func (e *Engine) relay(line string) {
	var record map[string]any
	level := slog.LevelWarn
	if json.Unmarshal([]byte(line), &record) != nil {
		e.say(slog.LevelWarn, "clickhouse: the engine says", "line", line)
		return
	}
	if text, ok := record["level"].(string); ok {
		_ = level.UnmarshalText([]byte(text)) // else a warning
	}
	message := fmt.Sprint(record["msg"])
	var rest []any
	for k, v := range record {
		if k != "msg" && k != "level" && k != "time" {
			rest = append(rest, k, v)
		}
	}
	e.say(level, message, rest...)
}

// lastLines keeps what a child wrote last, for the error of its end.
type lastLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *lastLines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	if len(l.lines) > 3 {
		l.lines = l.lines[1:]
	}
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, " | ")
}

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// member is one process of the system under test. It is started again when it ends, as a supervisor does.
type member struct {
	name    string
	binary  string
	args    []string
	address string // of its HTTP server, the same in all its lives
	data    string
	disk    *disk // nil: its data lies on the disk of everybody
	log     *words

	kills   int        // by signal 9, for a fault
	turn    sync.Mutex // held by who ends or starts it
	mu      sync.Mutex
	process *Process // nil: it is down because somebody wants it so
	ends    []string // what it said each time that it ended by itself
	crashes []string // of those, the ones that a program never ends with
	closing bool
}

// startLimit is how long a member may take until it is ready, and startPause how long its supervisor waits before the next try.
const (
	startLimit = 2 * time.Minute
	startPause = 300 * time.Millisecond
)

// up starts it until it is ready. A start that ends with a word is tried again: damage that is met is set aside by the next one, and a broker that is away comes back.
// The caller holds the turn.
func (m *member) up(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		m.log.forget()
		p, err := Start(ctx, m.binary, m.log, m.args...)
		if err == nil {
			m.mu.Lock()
			m.process = p
			m.mu.Unlock()
			go m.attend(context.WithoutCancel(ctx), p)
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w: %s", m.name, err, m.log.first())
		}
		m.ended(err)
		select {
		case <-time.After(startPause):
		case <-ctx.Done():
		}
	}
}

// attend starts it again when it ended and nobody had asked for that.
func (m *member) attend(ctx context.Context, p *Process) {
	<-p.done
	if m.current() != p {
		return
	}
	m.turn.Lock()
	defer m.turn.Unlock()
	m.mu.Lock()
	ours := m.process == p && !m.closing
	if ours {
		m.process = nil
	}
	m.mu.Unlock()
	if !ours {
		return
	}
	m.ended(p.Wait())
	if err := m.up(ctx); err != nil {
		m.mu.Lock()
		m.crashes = append(m.crashes, "it did not come back: "+err.Error())
		m.mu.Unlock()
	}
}

// ended notes an end that nobody asked for. A program that gives up says why in one line and has status 1; anything else is a crash.
func (m *member) ended(err error) {
	word := m.log.first()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ends = append(m.ends, m.name+": "+word)
	if !strings.HasSuffix(err.Error(), "exit status 1") || !strings.HasPrefix(word, "oms: ") {
		m.crashes = append(m.crashes, fmt.Sprintf("%s ended with %v: %s", m.name, err, word))
	}
}

func (m *member) current() *Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process
}

// take makes an end expected, and answers the process; nil when there is none. The caller holds the turn.
func (m *member) take() *Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.process
	m.process = nil
	return p
}

// kill ends it by signal 9. The caller holds the turn.
func (m *member) kill() {
	if p := m.take(); p != nil {
		p.Kill()
		m.kills++
	}
}

// stop ends it in order.
func (m *member) stop() error {
	p := m.take()
	if p == nil {
		return nil
	}
	if err := p.Stop(); err != nil {
		return fmt.Errorf("%s: SIGTERM: %w", m.name, err)
	}
	return nil
}

// close ends it for good.
func (m *member) close() {
	m.mu.Lock()
	m.closing = true
	p := m.process
	m.mu.Unlock()
	if p != nil {
		p.Kill()
	}
	m.turn.Lock() // a start under way has ended
	defer m.turn.Unlock()
	m.kill()
}

// health asks whether it is ready, and if not, what it waits for.
func (m *member) health(ctx context.Context) (ready bool, why string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.address+"/readyz", nil)
	if err != nil {
		return false, err.Error()
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, "no answer: " + err.Error()
	}
	defer res.Body.Close()
	var says struct {
		WaitingFor []string `json:"waiting_for"`
	}
	if err := json.NewDecoder(res.Body).Decode(&says); err != nil {
		return false, fmt.Sprintf("status %d: %v", res.StatusCode, err)
	}
	return res.StatusCode == http.StatusOK, fmt.Sprintf("waits for %s", strings.Join(says.WaitingFor, ", "))
}

// words passes on what a process says and remembers the lines of its present life that are for people: the log is JSON.
type words struct {
	mu    sync.Mutex
	to    io.Writer
	line  []byte
	lines []string
}

// wordsKept bounds what is remembered: the first line of a panic says more than the last.
const wordsKept = 20

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line = append(w.line, b...)
	for {
		line, rest, whole := bytes.Cut(w.line, []byte("\n"))
		if !whole {
			break
		}
		w.line = append([]byte(nil), rest...)
		if s := string(line); s != "" && !strings.HasPrefix(s, "{") && !strings.HasPrefix(s, "ready ") && len(w.lines) < wordsKept {
			w.lines = append(w.lines, s)
		}
	}
	return w.to.Write(b)
}

func (w *words) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line, w.lines = nil, nil
}

// first is the first line for people, which is the only one unless a program crashed.
func (w *words) first() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) == 0 {
		return "(without a word)"
	}
	return w.lines[0]
}

// freeAddress is a loopback address that nobody listens on, for a server that must come back under the same one.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

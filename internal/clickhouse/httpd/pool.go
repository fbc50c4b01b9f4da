package httpd

import (
	"context"
	"fmt"
	"sync"
	"time"

	"oms/internal/clickhouse/chdb"
)

// pool is every session of the process, opened at its start. The reader has sessions of its own: they are never lent to another user, so nothing can
// leak from one to the other, and readers cannot take all of them.
type pool struct {
	full, reader, large *stack

	broken  chan struct{} // receives when a session must not be used again
	killing sync.Mutex
	killer  *session // runs nothing but KILL QUERY
}

// stack lends the session that came back last, which most probably stands where the next statement wants it.
type stack struct {
	free     chan struct{} // a token for each session in sessions
	mu       sync.Mutex
	sessions []*session
}

func newStack(size int) *stack { return &stack{free: make(chan struct{}, size)} }

func (k *stack) push(s *session) {
	k.mu.Lock()
	k.sessions = append(k.sessions, s)
	k.mu.Unlock()
	k.free <- struct{}{}
}

// pop follows the receipt of a token.
func (k *stack) pop() *session {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sessions[len(k.sessions)-1]
	k.sessions = k.sessions[:len(k.sessions)-1]
	return s
}

// Sessions of each kind: how many statements of it run at once; more wait. A reader's statement that needs more memory than it may use beside others runs once
// more in the large one.
const (
	fullSessions   = 8
	readerSessions = 5
	largeSessions  = 1
)

// waitForSession is how long a request waits for one before it is told that there are too many.
const waitForSession = 30 * time.Second

func openPool(e *chdb.Engine, memory int64) (*pool, error) {
	p := &pool{broken: make(chan struct{}, 1), full: newStack(fullSessions), reader: newStack(readerSessions), large: newStack(largeSessions)}
	var err error
	if p.killer, err = open(e, "killer", nil); err != nil {
		return nil, err
	}
	for _, kind := range []struct {
		of    *stack
		name  string
		fixed map[string]string
	}{{p.full, "full", nil}, {p.reader, Reader, readerLimits(placeOf(memory))}, {p.large, Reader + "-large", readerLimits(largeOf(memory))}} {
		for i := range cap(kind.of.free) {
			s, err := open(e, fmt.Sprintf("%s-%d", kind.name, i), kind.fixed)
			if err != nil {
				return nil, err
			}
			s.home = kind.of
			kind.of.push(s)
		}
	}
	return p, nil
}

// take lends a session; give brings it back.
func (p *pool) take(ctx context.Context, from *stack) (*session, error) {
	timer := time.NewTimer(waitForSession)
	defer timer.Stop()
	select {
	case <-from.free:
		return from.pop(), nil
	case <-ctx.Done():
		return nil, exceptionf(394, "QUERY_WAS_CANCELLED", "The client went away before its statement began")
	case <-timer.C:
		return nil, exceptionf(202, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many simultaneous queries: %d run, and none ended in %v", cap(from.free), waitForSession)
	}
}

func (p *pool) give(s *session) {
	if s.Broken() {
		select {
		case p.broken <- struct{}{}:
		default: // it is known
		}
	} else {
		s.home.push(s)
	}
}

// watch kills the session's statement when the context ends, for the C API cannot interrupt it. The statement may not have begun yet, so it is asked
// for again until the caller, which holds the session, says that it returned; stop waits until no kill can hit the session's next statement.
func (p *pool) watch(ctx context.Context, s *session) (stop func()) {
	returned, killed := make(chan struct{}), make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		defer close(killed)
		for {
			p.kill("Settings['" + tagSetting + "'] = " + quote(s.tag))
			select {
			case <-returned:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return func() {
		close(returned)
		if !unwatch() {
			<-killed
		}
	}
}

func (p *pool) kill(which string) {
	p.killing.Lock()
	defer p.killing.Unlock()
	_ = p.killer.Exec("KILL QUERY WHERE " + which + " ASYNC") // there may be none
}

// close waits for the running statements, kills them when the context ends, and closes all sessions, which shuts the engine down. It answers false
// when a statement did not even end then: its session must stay open, and the process is to be ended as it is.
func (p *pool) close(ctx context.Context) bool {
	hopeless := time.NewTimer(time.Hour)
	defer hopeless.Stop()
	done := ctx.Done()
	var all []*session
	for len(all) < fullSessions+readerSessions+largeSessions {
		select {
		case <-p.full.free:
			all = append(all, p.full.pop())
		case <-p.reader.free:
			all = append(all, p.reader.pop())
		case <-p.large.free:
			all = append(all, p.large.pop())
		case <-done:
			p.kill("Settings['" + tagSetting + "'] != 'killer'")
			hopeless.Reset(time.Second)
			done = nil
		case <-hopeless.C:
			return false
		}
	}
	for _, s := range append(all, p.killer) {
		s.Close()
	}
	return true
}

package chaos

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// do does one fault, from its beginning to the moment at which nothing hinders the system any more. over is called at that moment, which for a process that is
// killed is the kill: its start is part of the recovery.
func (s *shop) do(f Fault, over func()) error {
	switch {
	case f.Kind.provider():
		defer over()
		return s.provider.suffers(f.Kind, f.For)
	case f.Kind == KillAll:
		defer over()
		return s.each(func(m *member) error { return s.killed(m, nothing) })
	case f.Kind == KillBroker:
		defer over()
		err := s.network.kafka.Kill()
		<-time.After(f.For)
		return errors.Join(err, s.network.kafka.Again(context.Background()))
	}
	m := s.named(f.Target)
	switch f.Kind {
	case Kill:
		return s.killed(m, func() error { over(); return nil })
	case KillTwice:
		return s.killed(m, func() error {
			defer over()
			short, cancel := context.WithTimeout(context.Background(), time.Duration(f.Dice%600)*time.Millisecond)
			defer cancel()
			if p, err := Start(short, m.binary, m.log, m.args...); err == nil {
				p.Kill()
			}
			m.kills++ // it is gone, ready or not
			return nil
		})
	case Restart:
		return s.again(m, func() error { over(); return nil })
	case Pause:
		return s.paused(m, f.For, over)
	case StateLost:
		return s.killed(m, func() error { defer over(); return s.spoil(m, f) })
	case StateOld, BitFlip:
		return s.again(m, func() error { defer over(); return s.spoil(m, f) })
	case Cut, Delay, HalfOpen:
		defer over()
		return s.network.suffers(m.name, f.Kind, f.For, nothing)
	case SlowClose: // a life that has ended is still there for the broker when the next one comes
		defer over()
		return s.network.suffers(m.name, f.Kind, f.For, func() error { return s.killed(m, nothing) })
	case DiskFull:
		defer over()
		if m.disk == nil {
			return skip("only root may mount a disk that can be filled")
		}
		return s.diskFull(m, f)
	}
	return fmt.Errorf("fault %s is not known", f.Kind)
}

func nothing() error { return nil }

// killed kills a member, does something, and starts it.
func (s *shop) killed(m *member, do func() error) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	m.kill()
	return errors.Join(do(), m.up(context.Background()))
}

// paused stops a member for a while, as a machine that is suspended.
func (s *shop) paused(m *member, d time.Duration, over func()) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	defer over()
	p := m.current()
	if p == nil {
		return skip(m.name + " was down")
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	<-time.After(d)
	return p.Signal(syscall.SIGCONT)
}

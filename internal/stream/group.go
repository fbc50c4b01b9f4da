package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// group is goka's consumer group.
type group struct {
	engine *Engine
	errs   chan error
}

func (e *Engine) buildGroup([]string, string, string) (sarama.ConsumerGroup, error) {
	return &group{engine: e, errs: make(chan error)}, nil
}

func (g *group) Errors() <-chan error      { return g.errs }
func (g *group) Pause(map[string][]int32)  {}
func (g *group) Resume(map[string][]int32) {}
func (g *group) PauseAll()                 {}
func (g *group) ResumeAll()                {}

// Close leaves the group.
func (g *group) Close() error {
	g.engine.leave()
	return nil
}

// Consume runs session after session until the context ends. It does not return on a rebalance, after which goka would sleep
// for five seconds; it returns an error only when the engine cannot go on.
func (g *group) Consume(ctx context.Context, topics []string, h sarama.ConsumerGroupHandler) error {
	e := g.engine
	if len(topics) != 1 || topics[0] != e.cfg.Inbox {
		return fmt.Errorf("stream: group %s reads %q: it must be its inbox %s alone", e.cfg.Group, topics, e.cfg.Inbox)
	}
	defer e.setReady(false)
	for ctx.Err() == nil {
		err := e.serve(ctx, e.current(), h)
		e.setReady(false)
		var unknown *unknownError
		switch {
		case err == nil:
		case errors.As(err, &unknown):
			if err := e.reconnect(ctx, err); err != nil {
				return err
			}
		default:
			return err
		}
	}
	return nil
}

// giveUpAfter failures in a row, none of them a record's own, the engine stops with the last one. With its pauses that takes
// about half a minute.
const giveUpAfter = 12

// serve runs sessions on one client.
func (e *Engine) serve(ctx context.Context, c *client, h sarama.ConsumerGroupHandler) error {
	for {
		if err := e.whole(ctx, c); errors.Is(err, errCancelled) { // offsets that are open would be waited for
			return nil
		} else if err != nil {
			return err
		}
		from, sctx, cancel, err := c.session(ctx)
		if sctx == nil {
			return err
		}
		s := newSession(e, c, sctx, cancel, from)
		err = s.run(ctx, h)
		e.setReady(false)
		var aborted *abortedError
		var unknown *unknownError
		if halted := e.halted.Load(); halted != nil && !errors.As(err, &unknown) {
			return *halted
		}
		if err != nil && len(s.messages) > 0 {
			e.suspects.failed(s.messages)
		}
		switch {
		case err == nil:
		case errors.As(err, &unknown):
			unknown.late = s.late()
			return err
		case !errors.As(err, &aborted):
			return err
		case e.cfg.Store.Fault() != nil:
			return e.cfg.Store.Fault()
		case aborted.own:
			e.suspects.blame(aborted)
		default:
			if e.failures++; e.failures >= giveUpAfter {
				return fmt.Errorf("stream: group %s: %d failures in a row: %w", e.cfg.Group, e.failures, err)
			}
			e.log.Warn("a batch was aborted and is tried again", "failures", e.failures, "error", err)
			pause(ctx, e.failures)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// abortedError is a batch that was aborted for certain: nothing of it has happened.
type abortedError struct {
	own   bool // the fault may be that of one of its records
	batch []sarama.ConsumerMessage
	err   error
}

func (a *abortedError) Error() string { return a.err.Error() }
func (a *abortedError) Unwrap() error { return a.err }

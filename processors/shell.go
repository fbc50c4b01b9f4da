package processors

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strconv"

	"github.com/lovoo/goka"
	"github.com/prometheus/client_golang/prometheus"

	"oms/internal/stream"
	"oms/schemas"
	"oms/topics"
)

// Shell binds a group to goka: it lets the group take each record, and says what came of it, all inside the engine's transaction.
type Shell struct {
	group Group
	log   *slog.Logger
	steps []prometheus.Counter // by kind: a look-up by label costs more than the step
	dead  prometheus.Counter

	engine *stream.Engine // under goka, while it runs
}

// NewShell of a group. Its metrics are registered under the group's name.
func NewShell(g Group, log *slog.Logger, metrics prometheus.Registerer) *Shell {
	steps := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "oms_steps_total", Help: "Messages that a group decided on.", ConstLabels: prometheus.Labels{"group": g.Name}}, []string{"message"})
	dead := prometheus.NewCounter(prometheus.CounterOpts{Name: "oms_dead_letters_total", Help: "Records that a group could not take.", ConstLabels: prometheus.Labels{"group": g.Name}})
	metrics.MustRegister(steps, dead)
	s := &Shell{group: g, log: log.With("group", g.Name), dead: dead, steps: []prometheus.Counter{schemas.KindMalformed: dead}}
	for _, k := range schemas.Kinds() {
		s.steps = append(s.steps, nil)
		if topics.KindHas(g.Inbox, k) {
			s.steps[k] = steps.WithLabelValues(k.String())
		}
	}
	return s
}

// Graph is the group as goka wants it. Bytes pass goka untouched: a codec that fails would stop the partition for ever.
func (s *Shell) Graph() *goka.GroupGraph {
	edges := goka.Edges{
		goka.Input(goka.Stream(s.group.Inbox.Name), rawBytes{}, s.take),
		goka.Persist(rawBytes{}),
		goka.Output(goka.Stream(s.group.DeadLetters.Name), rawBytes{}),
	}
	for _, t := range s.group.Says {
		edges = append(edges, goka.Output(goka.Stream(t.Name), rawBytes{}))
	}
	return goka.DefineGroup(goka.Group(s.group.Name), edges...)
}

type rawBytes struct{}

func (rawBytes) Encode(v any) ([]byte, error) { return v.([]byte), nil }
func (rawBytes) Decode(b []byte) (any, error) { return b, nil }

// take is one step.
func (s *Shell) take(ctx goka.Context, value any) {
	raw, _ := value.([]byte)
	var row *State
	t := s.group.TakeOn(ctx.Key(), raw, ctx.Timestamp().UnixMilli(), func() *State {
		var kept bool
		if row, kept = s.engine.Kept(ctx.Partition(), ctx.Key()).(*State); !kept {
			before, _ := ctx.Value().([]byte)
			row = s.group.State(before)
		}
		return row
	})
	newer := t.Newer
	if _, unread := t.Message.(*schemas.Malformed); unread {
		newer = topics.Newer(s.group.Inbox.Name, raw, func(name string) []byte { return ctx.Headers()[name] })
	}
	if newer != nil {
		newer = fmt.Errorf("group %s: %s/%d@%d: %w: run that build here too", s.group.Name, s.group.Inbox.Name, ctx.Partition(), ctx.Offset(), newer)
		s.engine.Halt(newer)
		ctx.Fail(newer)
		return
	}
	switch {
	case t.Dead == "":
		s.steps[t.Message.Kind()].Inc()
	case t.Failed:
		s.log.Error("a step failed; the record goes to the dead letters", "key", ctx.Key(), "message", t.Message.Kind(), "offset", ctx.Offset(), "partition", ctx.Partition(), "error", t.Dead)
		fallthrough
	default:
		s.bury(ctx, raw, t.Dead)
	}
	if t.Changed {
		s.engine.Keep(ctx.Partition(), ctx.Key(), row)
	}
	parent := topics.Headers(ctx.Headers())
	for _, o := range t.Said {
		s.engine.Emit(topics.Of(o.Message).Name, o.Message.Key(), o.Value, t.NowMS, topics.HeadersOf(o.Message, s.group.Name, t.NowMS, parent))
	}
}

// bury sends the raw record to the dead letters with its origin.
func (s *Shell) bury(ctx goka.Context, raw []byte, why string) {
	s.dead.Inc()
	h := goka.Headers(stream.DeadLetterHeaders(stream.Origin{Topic: s.group.Inbox.Name, Partition: ctx.Partition(), Offset: ctx.Offset()}, why, 1))
	s.engine.Emit(s.group.DeadLetters.Name, ctx.Key(), raw, ctx.Timestamp().UnixMilli(), maps.All(ctx.Headers().Merged(h)))
}

func deadlineID(key string, deadlineMS int64) string {
	return key + ".deadline." + strconv.FormatInt(deadlineMS, 10)
}

// Run decides until ctx ends; brokers are named for goka's sake, the engine does all that needs one.
func (s *Shell) Run(ctx context.Context, engine *stream.Engine, brokers []string) error {
	s.engine = engine
	p, err := goka.NewProcessor(brokers, s.Graph(), engine.Options()...)
	if err != nil {
		return fmt.Errorf("group %s: %w", s.group.Name, err)
	}
	if err := stream.Run(ctx, p); err != nil {
		return fmt.Errorf("group %s: %w", s.group.Name, err)
	}
	return nil
}

// Tick is the record that the engine sends into the inbox when a row's deadline has come.
func (s *Shell) Tick(key string, deadlineMS int64) stream.Record {
	m := s.group.Tick(key, deadlineMS)
	b, err := schemas.Encode(m)
	if err != nil {
		panic(fmt.Sprintf("group %s: %v", s.group.Name, err)) // the message holds a key and a number: nothing that its schema could refuse
	}
	return stream.Record{Key: key, Value: b, Headers: maps.Collect(topics.HeadersOf(m, s.group.Name, deadlineMS, nil))}
}

package processors

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"strconv"

	"github.com/lovoo/goka"
	"github.com/prometheus/client_golang/prometheus"

	"oms/internal/stream"
	"oms/schemas"
	"oms/topics"
)

// Shell binds a group to goka: it decodes, lets the group decide, and says what came of it, all inside the engine's transaction.
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

// said is a message with its bytes: everything is encoded before anything is emitted, so a step is said whole or not at all.
type said struct {
	message schemas.Message
	value   []byte
}

// take is one step.
func (s *Shell) take(ctx goka.Context, value any) {
	raw, _ := value.([]byte)
	m := schemas.Decode(raw)
	if why := s.unfit(m, ctx.Key()); why != "" {
		s.bury(ctx, raw, m, why)
		return
	}
	s.steps[m.Kind()].Inc()
	row, err := s.row(ctx)
	if err != nil {
		s.bury(ctx, raw, m, err.Error())
		return
	}
	in := schemas.Input{Message: m, NowMS: max(row.RowHead().NowMS, ctx.Timestamp().UnixMilli())}
	out, kept, err := s.decide(row, in)
	if err != nil {
		s.log.Error("a step failed; the record goes to the dead letters", "key", ctx.Key(), "message", m.Kind(), "offset", ctx.Offset(), "partition", ctx.Partition(), "error", err)
		s.bury(ctx, raw, m, err.Error())
		return
	}
	if kept != nil {
		// The engine makes this the record's timestamp, which goka has no place for.
		ctx.SetValue(kept, goka.WithCtxEmitHeaders(goka.Headers{stream.HeaderTimestamp: strconv.AppendInt(nil, in.NowMS, 10)}))
	}
	parent := topics.Headers(ctx.Headers())
	for _, o := range out {
		s.engine.Emit(topics.Of(o.message).Name, o.message.Key(), o.value, in.NowMS, topics.HeadersOf(o.message, s.group.Name, in.NowMS, parent))
	}
}

// decide runs the group's step and encodes what came of it; kept is nil when the row stays as it was. A panic is a defect of ours that one record met: it costs that record, not the partition.
func (s *Shell) decide(row Row, in schemas.Input) (out []said, kept []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	before := row.RowHead().Version
	for _, m := range s.group.Step(row, in) {
		b, err := schemas.Encode(m)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, said{m, b})
	}
	if row.RowHead().Version != before {
		kept, err = schemas.Encode(row)
	}
	return out, kept, err
}

// row is the state under the record's key, new when there is none.
func (s *Shell) row(ctx goka.Context) (Row, error) {
	b, _ := ctx.Value().([]byte)
	if b == nil {
		return s.group.New(), nil
	}
	m := schemas.Decode(b)
	if bad, ok := m.(*schemas.Malformed); ok {
		return nil, fmt.Errorf("the row cannot be read: %s", bad.Reason)
	}
	return m.(Row), nil
}

// unfit says why a record of the inbox is no message to the row of its key; "" when it is.
func (s *Shell) unfit(m schemas.Message, key string) string {
	if bad, ok := m.(*schemas.Malformed); ok {
		return bad.Reason
	}
	if !topics.KindHas(s.group.Inbox, m.Kind()) {
		return fmt.Sprintf("%s is not said on %s", m.Kind(), s.group.Inbox.Name)
	}
	if key == "" || key != m.Key() {
		return fmt.Sprintf("the record's key is %q, the message's is %q: they must be equal and not empty", key, m.Key())
	}
	return ""
}

// bury sends the raw record to the dead letters with its origin, and tells who waits for the command.
func (s *Shell) bury(ctx goka.Context, raw []byte, m schemas.Message, why string) {
	s.dead.Inc()
	h := goka.Headers(stream.DeadLetterHeaders(stream.Origin{Topic: s.group.Inbox.Name, Partition: ctx.Partition(), Offset: ctx.Offset()}, why, 1))
	now := ctx.Timestamp().UnixMilli()
	s.engine.Emit(s.group.DeadLetters.Name, ctx.Key(), raw, now, maps.All(ctx.Headers().Merged(h)))
	c, border := m.(interface{ CommandHead() *schemas.Command })
	if !border || ctx.Key() == "" {
		return
	}
	refused := &schemas.CommandRefused{CommandID: c.CommandHead().CommandID, Tenant: c.CommandHead().Tenant, Family: s.group.Family, Subject: ctx.Key(),
		Code: schemas.RefusalCodeDeadLettered, Detail: "the command could not be decided and was set aside for the operators"}
	b, err := schemas.Encode(refused)
	if err != nil {
		ctx.Fail(err)
		return
	}
	s.engine.Emit(topics.Of(refused).Name, ctx.Key(), b, now, topics.HeadersOf(refused, s.group.Name, now, topics.Headers(ctx.Headers())))
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

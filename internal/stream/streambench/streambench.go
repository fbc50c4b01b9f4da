// Package streambench measures the exactly-once engine beside stock goka, at least once on sarama and LevelDB, on one
// broker with the same steps: read a row of 200 bytes, write it back, emit one record.
package streambench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lovoo/goka"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
)

// Config of a measurement.
type Config struct {
	Kafka      kafka.Settings
	Journal    *kafka.Journal // with Life, of an embedded broker
	Life       string
	Dir        string // for states; emptied by the caller
	Records    int    // steps to measure
	Keys       int    // 1: one hot key
	Partitions int32
	MaxBatch   int // 0: the engine's default
	Log        *slog.Logger
}

// Result is what one side did.
type Result struct {
	Name           string  `json:"name"`
	Records        int     `json:"records"`
	Seconds        float64 `json:"seconds"`
	StepsPerSecond float64 `json:"steps_per_second"`
}

// rowBytes is the size of a state.
const rowBytes = 200

// run is one measurement: its topics and its processor.
type run struct {
	Config
	group, in, out string
	admin          *kadm.Client
}

// Run measures the engine and then stock goka.
func Run(ctx context.Context, c Config) ([]Result, error) {
	var all []Result
	for _, s := range []side{{"engine", engine, (*run).offsets}, {"stock goka", stock, (*run).outputs}} {
		r, err := s.measure(ctx, c)
		if err != nil {
			return all, fmt.Errorf("%s: %w", s.name, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// side is one way to run the steps. It is through when passed has counted all: the engine's committed offsets, since they
// come with the outputs; stock goka's outputs, since it commits offsets only once a second.
type side struct {
	name    string
	options func(*run) ([]goka.ProcessorOption, func() error, error)
	passed  func(*run, context.Context) (int64, error)
}

func (s side) measure(ctx context.Context, c Config) (res Result, err error) {
	cl, err := c.Kafka.NewProducer()
	if err != nil {
		return res, err
	}
	defer cl.Close()
	r := &run{Config: c, group: "bench." + strings.ToLower(rand.Text()[:8]), admin: kadm.NewClient(cl)}
	r.in, r.out = r.group+".in", r.group+".out"
	r.Dir = filepath.Join(c.Dir, r.group)
	if err := os.MkdirAll(r.Dir, 0o750); err != nil {
		return res, err
	}
	if err := r.fill(ctx, cl); err != nil {
		return res, err
	}
	opts, clean, err := s.options(r)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, clean()) }()
	began := time.Now()
	p, err := goka.NewProcessor(c.Kafka.Brokers, r.graph(func() { began = time.Now() }), opts...)
	if err != nil {
		return res, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	for passed := int64(0); passed < int64(c.Records); {
		select {
		case err := <-done:
			return res, fmt.Errorf("the processor ended early: %w", err)
		case <-time.After(2 * time.Millisecond):
		}
		if passed, err = s.passed(r, ctx); err != nil {
			return res, err
		}
	}
	seconds := time.Since(began).Seconds()
	cancel()
	return Result{s.name, c.Records, seconds, float64(c.Records) / seconds}, <-done
}

// fill creates the topics and the records.
func (r *run) fill(ctx context.Context, cl *kgo.Client) error {
	_, err := kafka.EnsureTopics(ctx, r.admin, []kafka.Topic{{Name: r.in, Partitions: r.Partitions}, {Name: r.out, Partitions: r.Partitions},
		{Name: r.group + ".dlq", Partitions: 1}, {Name: r.group + "-table", Partitions: r.Partitions, Compact: true}}, false)
	if err != nil {
		return err
	}
	var first error
	for i := range r.Records {
		cl.Produce(ctx, &kgo.Record{Topic: r.in, Key: []byte("key-" + strconv.Itoa(i%r.Keys)), Value: make([]byte, 100)}, func(_ *kgo.Record, err error) {
			if err != nil && first == nil {
				first = err
			}
		})
	}
	return errors.Join(cl.Flush(ctx), first)
}

// graph counts in the row's first bytes. started is called by the first step.
func (r *run) graph(started func()) *goka.GroupGraph {
	begin := make(chan struct{}, 1)
	begin <- struct{}{}
	return goka.DefineGroup(goka.Group(r.group),
		goka.Input(goka.Stream(r.in), raw{}, func(ctx goka.Context, m any) {
			select {
			case <-begin:
				started()
			default:
			}
			row := make([]byte, rowBytes)
			if old, ok := ctx.Value().([]byte); ok && old != nil {
				copy(row, old)
			}
			binary.BigEndian.PutUint64(row, binary.BigEndian.Uint64(row)+1)
			ctx.SetValue(row)
			ctx.Emit(goka.Stream(r.out), ctx.Key(), m)
		}),
		goka.Persist(raw{}), goka.Output(goka.Stream(r.out), raw{}))
}

// offsets is how far the group has committed.
func (r *run) offsets(ctx context.Context) (sum int64, err error) {
	at, err := r.admin.FetchOffsets(ctx, r.group)
	if err != nil {
		return 0, ctx.Err() // the group is young
	}
	at.Each(func(o kadm.OffsetResponse) { sum += max(0, o.At) })
	return sum, nil
}

// outputs is how many records were emitted, by a producer without transactions.
func (r *run) outputs(ctx context.Context) (sum int64, err error) {
	ends, err := r.admin.ListEndOffsets(ctx, r.out)
	if err != nil {
		return 0, err
	}
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return sum, nil
}

// raw leaves bytes alone.
type raw struct{}

func (raw) Encode(v any) ([]byte, error) { return v.([]byte), nil }
func (raw) Decode(b []byte) (any, error) { return b, nil }

package streambench

import (
	"log/slog"
	"path/filepath"

	"github.com/lovoo/goka"
	"github.com/lovoo/goka/storage"

	"oms/internal/kafka"
	"oms/internal/store"
	"oms/internal/stream"
)

// engine is ours.
func engine(r *run) ([]goka.ProcessorOption, func() error, error) {
	db, err := store.Open(filepath.Join(r.Dir, "state"), store.Options{Log: r.Log})
	if err != nil {
		return nil, nil, err
	}
	c := stream.Config{Kafka: r.Kafka, Group: r.group, Inbox: r.in, DeadLetter: r.group + ".dlq", Instance: "bench", Store: db, MaxBatch: r.MaxBatch, Log: r.Log}
	if r.Journal != nil {
		c.Journal, c.Life = r.Journal, r.Life
	}
	e, err := stream.New(c)
	if err != nil {
		return nil, nil, err
	}
	return e.Options(), db.Close, nil
}

// stock is goka as it comes, but for what it needs to start: the oldest offset, and topics that exist already.
func stock(r *run) ([]goka.ProcessorOption, func() error, error) {
	c := goka.DefaultConfig()
	c.Consumer.Offsets.Initial = -2 // oldest
	tm := goka.NewTopicManagerConfig()
	tm.Table.Replication, tm.Stream.Replication = 1, 1
	tm.MismatchBehavior = goka.TMConfigMismatchBehaviorIgnore
	return []goka.ProcessorOption{
		goka.WithHasher(kafka.NewHasher),
		goka.WithLogger(quiet{r.Log}),
		goka.WithStorageBuilder(storage.DefaultBuilder(filepath.Join(r.Dir, "leveldb"))),
		goka.WithTopicManagerBuilder(goka.TopicManagerBuilderWithConfig(c, tm)),
		goka.WithConsumerGroupBuilder(goka.ConsumerGroupBuilderWithConfig(c)),
	}, func() error { return nil }, nil
}

// quiet keeps goka's news out of the figures.
type quiet struct{ log *slog.Logger }

func (quiet) Print(...any)          {}
func (quiet) Println(...any)        {}
func (quiet) Printf(string, ...any) {}

package kafka_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
)

// What the kill test runs: groups that copy their input to twelve partitions of two topics in transactions, and a plain
// producer that writes the inputs and, between the groups' records, its own.

const groups = 3

type driver struct {
	*kafka.Embedded
	stable  bool // the same transactional id in every life: what the mend makes harmless
	journal bool
}

func startDriver(dir string, log *slog.Logger) (*driver, error) {
	ctx := context.Background()
	e, err := kafka.StartEmbedded(ctx, kafka.EmbeddedConfig{Dir: dir, Log: log})
	if err != nil {
		return nil, err
	}
	cl, err := e.Settings().NewProducer()
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	topics := []kafka.Topic{{Name: "out.a", Partitions: 6}, {Name: "out.b", Partitions: 6}}
	for g := range groups {
		topics = append(topics, kafka.Topic{Name: input(g), Partitions: 2})
	}
	_, err = kafka.EnsureTopics(ctx, kadm.NewClient(cl), topics, false)
	return &driver{Embedded: e, journal: os.Getenv("OMS_KILLS_WITHOUT") != "journal", stable: os.Getenv("OMS_KILLS_STABLE") != ""}, err
}

func input(g int) string { return fmt.Sprintf("in%d", g) }

func output(p int, value string) *kgo.Record {
	return &kgo.Record{Topic: []string{"out.a", "out.b"}[p/6], Partition: int32(p % 6), Value: []byte(value)}
}

// group runs until the context ends: per transaction one record "T|transaction|inputs" in each of the twelve partitions and
// one "I|transaction|place of the input" for each input; one transaction in twenty is aborted.
func (d *driver) group(ctx context.Context, g int) error {
	name := fmt.Sprintf("g%d", g)
	id := name
	if !d.stable {
		id += "-" + d.Life()
	}
	s, err := kgo.NewGroupTransactSession(d.Settings().Options(kgo.TransactionalID(id), kgo.ConsumerGroup(name), kgo.ConsumeTopics(input(g)),
		kgo.BlockRebalanceOnPoll(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.TransactionTimeout(10*time.Second))...)
	if err != nil {
		return err
	}
	defer s.Close()
	for n := 0; ctx.Err() == nil; n++ {
		if err := d.step(ctx, s, name, id, fmt.Sprintf("%d-%s-%d", g, d.Life(), n)); err != nil {
			return err
		}
		s.AllowRebalance()
	}
	return nil
}

func (d *driver) step(ctx context.Context, s *kgo.GroupTransactSession, group, id, txn string) error {
	inputs := s.PollRecords(ctx, 5).Records()
	if len(inputs) == 0 {
		return nil
	}
	if err := s.Begin(); err != nil {
		return err
	}
	var out []*kgo.Record
	for p := range 12 {
		out = append(out, output(p, fmt.Sprintf("T|%s|%d", txn, len(inputs))))
	}
	t := kafka.Transaction{ID: id, Group: group, Offsets: map[string]map[int32]int64{inputs[0].Topic: {}}}
	for _, r := range inputs {
		value := fmt.Sprintf("I|%s|%s/%d/%d", txn, r.Topic, r.Partition, r.Offset)
		h := fnv.New32a()
		h.Write([]byte(value))
		out = append(out, output(int(h.Sum32()%12), value))
		t.Offsets[r.Topic][r.Partition] = r.Offset + 1
	}
	if err := s.ProduceSync(context.Background(), out...).FirstErr(); err != nil {
		return err
	}
	for _, r := range out {
		t.Records = append(t.Records, kafka.Place{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset})
	}
	return d.end(s, t, rand.IntN(20) > 0)
}

func (d *driver) end(s *kgo.GroupTransactSession, t kafka.Transaction, commit bool) error {
	var seq uint64
	var err error
	if commit && d.journal {
		if seq, err = d.Journal().Begin(t); err != nil {
			return err
		}
	}
	done, err := s.End(context.Background(), kgo.TransactionEndTry(commit))
	if err != nil || done != commit {
		return fmt.Errorf("end: committed %v, wanted %v: %w", done, commit, err)
	}
	if seq > 0 {
		return d.Journal().Done(seq)
	}
	return nil
}

// feed writes inputs, and records of its own with a running number per partition into the outputs, without end.
func (d *driver) feed() error {
	cl, err := d.Settings().NewProducer(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	ctx, pace := context.Background(), time.NewTicker(200*time.Microsecond)
	for n := 0; ; n++ {
		records := []*kgo.Record{output(n%12, fmt.Sprintf("F|%s|%d", d.Life(), n/12))}
		for g := range groups {
			records = append(records, &kgo.Record{Topic: input(g), Partition: int32(n % 2), Value: []byte(strconv.Itoa(n))})
		}
		if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return err
		}
		<-pace.C
	}
}

// child is the process that is killed: it never ends by itself.
func child(dir string) error {
	fmt.Println("opening")
	d, err := startDriver(dir, slog.New(slog.NewTextHandler(os.Stdout, nil)))
	if err != nil {
		return err
	}
	fmt.Println("open")
	failed := make(chan error)
	for g := range groups {
		go func() { failed <- d.group(context.Background(), g) }()
	}
	go func() { failed <- d.feed() }()
	return <-failed
}

package stream

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
)

// changelogs is goka's consumer of single partitions: recovery, standby, joins.
type changelogs struct{ settings kafka.Settings }

func (e *Engine) buildConsumer([]string, string) (sarama.Consumer, error) {
	return changelogs{e.cfg.Kafka}, nil
}

var errUnused = errors.New("stream: goka asks its topic manager for this")

func (changelogs) Topics() ([]string, error)                  { return nil, errUnused }
func (changelogs) Partitions(string) ([]int32, error)         { return nil, errUnused }
func (changelogs) HighWaterMarks() map[string]map[int32]int64 { return nil }
func (changelogs) Close() error                               { return nil }
func (changelogs) Pause(map[string][]int32)                   {}
func (changelogs) Resume(map[string][]int32)                  {}
func (changelogs) PauseAll()                                  {}
func (changelogs) ResumeAll()                                 {}

// ConsumePartition reads committed records from an offset on. Markers of transactions are passed on as the deletion of an
// empty key: goka's recovery ends when it has seen the partition's last offset, which mostly is a marker's.
func (c changelogs) ConsumePartition(topic string, partition int32, offset int64) (sarama.PartitionConsumer, error) {
	cl, err := kgo.NewClient(c.settings.Options(kgo.KeepControlRecords(), kgo.FetchMaxWait(fetchWait),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().At(offset)}}))...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &changelog{client: cl, topic: topic, partition: partition, cancel: cancel, messages: make(chan *sarama.ConsumerMessage, 1024), errs: make(chan *sarama.ConsumerError, 1)}
	go p.run(ctx)
	return p, nil
}

// changelog reads one partition.
type changelog struct {
	client    *kgo.Client
	topic     string
	partition int32
	cancel    context.CancelFunc
	messages  chan *sarama.ConsumerMessage
	errs      chan *sarama.ConsumerError
	end       atomic.Int64
}

func (p *changelog) run(ctx context.Context) {
	defer close(p.messages)
	defer close(p.errs)
	defer p.client.Close()
	for ctx.Err() == nil {
		fetches := p.client.PollFetches(ctx)
		fetches.EachPartition(func(f kgo.FetchTopicPartition) { p.end.Store(f.HighWatermark) })
		for it := fetches.RecordIter(); !it.Done(); {
			select {
			case p.messages <- message(it.Next()):
			case <-ctx.Done():
				return
			}
		}
		if err := fetches.Err(); err != nil && ctx.Err() == nil {
			select {
			case p.errs <- &sarama.ConsumerError{Topic: p.topic, Partition: p.partition, Err: err}:
			case <-ctx.Done():
				return
			}
		}
	}
}

func message(r *kgo.Record) *sarama.ConsumerMessage {
	m := &sarama.ConsumerMessage{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp}
	if r.Attrs.IsControl() {
		return m
	}
	m.Key, m.Value = r.Key, r.Value
	for i := range r.Headers {
		m.Headers = append(m.Headers, &sarama.RecordHeader{Key: []byte(r.Headers[i].Key), Value: r.Headers[i].Value})
	}
	return m
}

func (p *changelog) AsyncClose() { p.cancel() }

func (p *changelog) Close() error {
	p.cancel()
	for range p.messages { // until run is over
	}
	return nil
}

func (p *changelog) Messages() <-chan *sarama.ConsumerMessage { return p.messages }
func (p *changelog) Errors() <-chan *sarama.ConsumerError     { return p.errs }
func (p *changelog) HighWaterMarkOffset() int64               { return p.end.Load() }
func (p *changelog) Pause()                                   {}
func (p *changelog) Resume()                                  {}
func (p *changelog) IsPaused() bool                           { return false }

package stream

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/lovoo/goka"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topics is goka's topic manager. It creates nothing: topics are made before an engine starts, by those who know what they
// should be like.
type topics struct {
	cl  *kgo.Client
	adm *kadm.Client
}

func (e *Engine) buildTopics([]string) (goka.TopicManager, error) {
	cl, err := kgo.NewClient(e.cfg.Kafka.Options()...)
	if err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	return &topics{cl, kadm.NewClient(cl)}, nil
}

// patience with the broker for one question.
const patience = 30 * time.Second

func (t *topics) Partitions(topic string) ([]int32, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all, err := t.adm.ListTopics(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("stream: topic %s: %w", topic, err)
	}
	d := all[topic]
	if d.Err != nil {
		return nil, fmt.Errorf("stream: topic %s: %w", topic, d.Err)
	}
	parts := d.Partitions.Numbers()
	slices.Sort(parts)
	return parts, nil
}

func (t *topics) exists(topic string, partitions int) error {
	have, err := t.Partitions(topic)
	if err == nil && len(have) != partitions {
		err = fmt.Errorf("stream: topic %s has %d partitions, not %d", topic, len(have), partitions)
	}
	return err
}

func (t *topics) EnsureTableExists(topic string, partitions int) error {
	return t.exists(topic, partitions)
}
func (t *topics) EnsureStreamExists(topic string, partitions int) error {
	return t.exists(topic, partitions)
}
func (t *topics) EnsureTopicExists(topic string, partitions, _ int, _ map[string]string) error {
	return t.exists(topic, partitions)
}

// GetOffset answers the start (sarama.OffsetOldest) or the end (sarama.OffsetNewest) of a partition.
func (t *topics) GetOffset(topic string, partition int32, at int64) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch at {
	case sarama.OffsetOldest:
		return offsetOf(ctx, t.adm.ListStartOffsets, topic, partition)
	case sarama.OffsetNewest:
		return offsetOf(ctx, t.adm.ListEndOffsets, topic, partition)
	}
	return 0, fmt.Errorf("stream: offset of %s/%d at time %d: only the start and the end are known", topic, partition, at)
}

func (t *topics) Close() error {
	t.cl.Close()
	return nil
}

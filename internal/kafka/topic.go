package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Topic is a topic as it should be.
type Topic struct {
	Name       string
	Partitions int32             // chosen once: a key's partition depends on it
	Replicas   int16             // 0: the cluster's default
	Config     map[string]string // further settings, by Kafka's names
	Compact    bool              // a table: the last value of each key stays
}

// Change is one topic to create.
type Change struct {
	Topic  string
	Action string // in words, for a person
	want   Topic
	config map[string]string
}

// Found is a topic as the cluster has it.
type Found struct {
	Partitions int32
	Policy     string // cleanup.policy
}

// config are the settings to create the topic with. On the embedded broker a table is not compacted by the broker, whose
// cleaner loses rows (an aborted record shadows the committed one; a kill between two of its files loses all), but by ours
// at start.
func (t Topic) config(embedded bool) map[string]string {
	c := map[string]string{"cleanup.policy": "delete"}
	switch {
	case t.Compact && embedded:
		c["retention.ms"], c["retention.bytes"] = "-1", "-1"
	case t.Compact:
		c["cleanup.policy"] = "compact"
	}
	for k, v := range t.Config {
		if !embedded || embeddedKnows[k] {
			c[k] = v
		}
	}
	return c
}

// embeddedKnows are the topic settings that mean something on the embedded broker. It refuses to create a topic with one that
// it has never heard of, and has no replicas to wait for.
var embeddedKnows = map[string]bool{"cleanup.policy": true, "compression.type": true, "max.message.bytes": true, "message.timestamp.type": true,
	"retention.bytes": true, "retention.ms": true, "segment.bytes": true, "segment.ms": true}

// PlanTopics compares what should be with what is. A topic with another partition count or cleanup policy is an error that
// says what to do; the plan still lists what could be created.
func PlanTopics(want []Topic, have map[string]Found, embedded bool) ([]Change, error) {
	var plan []Change
	var errs []error
	for _, t := range want {
		if t.Name == "" || t.Partitions <= 0 || t.Replicas < 0 {
			errs = append(errs, fmt.Errorf("topic %q: %d partitions and %d replicas; a name, at least one partition and no negative replicas are needed", t.Name, t.Partitions, t.Replicas))
			continue
		}
		config := t.config(embedded)
		is, ok := have[t.Name]
		policy := config["cleanup.policy"]
		switch {
		case !ok:
			plan = append(plan, Change{t.Name, fmt.Sprintf("create with %d partitions, cleanup.policy=%s", t.Partitions, policy), t, config})
		case is.Partitions != t.Partitions:
			errs = append(errs, fmt.Errorf("topic %s has %d partitions, not %d: set the partition count to %d, or move to a new cluster (a changed count would send known keys to other partitions)",
				t.Name, is.Partitions, t.Partitions, is.Partitions))
		case !samePolicy(is.Policy, policy):
			errs = append(errs, fmt.Errorf("topic %s has cleanup.policy=%s, not %s: set it with kafka-configs --alter --entity-type topics --entity-name %s --add-config cleanup.policy=%s",
				t.Name, is.Policy, policy, t.Name, policy))
		}
	}
	return plan, errors.Join(errs...)
}

func samePolicy(a, b string) bool {
	order := func(s string) []string {
		l := strings.Split(strings.ReplaceAll(s, " ", ""), ",")
		slices.Sort(l)
		return l
	}
	return slices.Equal(order(a), order(b))
}

// EnsureTopics creates the topics that are missing and waits until the cluster shows them with a leader. It answers what it
// did, or with dryRun what it would do. It may run any number of times, also at once.
func EnsureTopics(ctx context.Context, adm *kadm.Client, want []Topic, dryRun bool) ([]Change, error) {
	meta, err := adm.Metadata(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing topics: %w", err)
	}
	embedded := isEmbedded(meta.Cluster)
	have, err := found(ctx, adm, want, meta)
	if err != nil {
		return nil, err
	}
	plan, err := PlanTopics(want, have, embedded)
	if err != nil || dryRun || len(plan) == 0 {
		return plan, err
	}
	for _, c := range plan {
		if err := create(ctx, adm, c, embedded); err != nil {
			return plan, err
		}
	}
	return plan, shown(ctx, adm, plan)
}

func found(ctx context.Context, adm *kadm.Client, want []Topic, meta kadm.Metadata) (map[string]Found, error) {
	have := map[string]Found{}
	for _, t := range want {
		if is, ok := meta.Topics[t.Name]; ok && is.Err == nil {
			have[t.Name] = Found{Partitions: int32(len(is.Partitions))}
		}
	}
	if len(have) == 0 {
		return have, nil
	}
	configs, err := adm.DescribeTopicConfigs(ctx, slices.Sorted(maps.Keys(have))...)
	if err != nil {
		return nil, fmt.Errorf("reading topic settings: %w", err)
	}
	for _, c := range configs {
		if c.Err != nil {
			return nil, fmt.Errorf("reading settings of topic %s: %w", c.Name, c.Err)
		}
		for _, kv := range c.Configs {
			if kv.Key == "cleanup.policy" {
				have[c.Name] = Found{have[c.Name].Partitions, kv.MaybeValue()}
			}
		}
	}
	return have, nil
}

func create(ctx context.Context, adm *kadm.Client, c Change, embedded bool) error {
	config := map[string]*string{}
	for k, v := range c.config {
		config[k] = &v
	}
	replicas := c.want.Replicas
	if embedded {
		replicas = 1 // it has one broker and refuses more
	} else if replicas == 0 {
		replicas = -1
	}
	_, err := adm.CreateTopic(ctx, c.want.Partitions, replicas, config, c.Topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("creating topic %s (%d partitions, %d replicas): %w", c.Topic, c.want.Partitions, c.want.Replicas, err)
	}
	return nil
}

// shown waits until metadata has every created topic, with a leader for each partition.
func shown(ctx context.Context, adm *kadm.Client, plan []Change) error {
	names := make([]string, len(plan))
	for i, c := range plan {
		names[i] = c.Topic
	}
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		meta, err := adm.Metadata(ctx, names...)
		if err == nil && led(meta, plan) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for new topics %s to have leaders: %w", strings.Join(names, ", "), ctx.Err())
		case <-time.After(wait):
		}
	}
}

func led(meta kadm.Metadata, plan []Change) bool {
	for _, c := range plan {
		is := meta.Topics[c.Topic]
		if is.Err != nil || int32(len(is.Partitions)) != c.want.Partitions {
			return false
		}
		for _, p := range is.Partitions {
			if p.Err != nil || p.Leader < 0 {
				return false
			}
		}
	}
	return true
}

package kafka_test

import (
	"context"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
)

func TestAPlanCreatesWhatIsMissingAndSaysWhatToDoAboutWhatDiffers(t *testing.T) {
	events := kafka.Topic{Name: "events", Partitions: 12}
	rows := kafka.Topic{Name: "rows", Partitions: 12, Compact: true}
	for _, c := range []struct {
		name     string
		want     kafka.Topic
		have     map[string]kafka.Found
		embedded bool
		plan     string // part of the action; empty: nothing to do
		err      string // parts of the error, by "|"
	}{
		{"missing", events, nil, false, "12 partitions, cleanup.policy=delete", ""},
		{"a missing table", rows, nil, false, "cleanup.policy=compact", ""},
		{"a missing table, embedded", rows, nil, true, "cleanup.policy=delete", ""},
		{"there", events, map[string]kafka.Found{"events": {12, "delete"}}, false, "", ""},
		{"a table there", rows, map[string]kafka.Found{"rows": {12, "compact"}}, false, "", ""},
		{"a table there, embedded", rows, map[string]kafka.Found{"rows": {12, "delete"}}, true, "", ""},
		{"another count", events, map[string]kafka.Found{"events": {6, "delete"}}, false, "", "events has 6 partitions, not 12|set the partition count to 6"},
		{"another policy", rows, map[string]kafka.Found{"rows": {12, "delete"}}, false, "", "cleanup.policy=delete, not compact|kafka-configs --alter"},
		{"policies in another order", kafka.Topic{Name: "both", Partitions: 1, Config: map[string]string{"cleanup.policy": "compact,delete"}},
			map[string]kafka.Found{"both": {1, "delete, compact"}}, false, "", ""},
		{"no partitions", kafka.Topic{Name: "none"}, nil, false, "", `"none": 0 partitions`},
		{"no name", kafka.Topic{Partitions: 1}, nil, false, "", `topic ""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, err := kafka.PlanTopics([]kafka.Topic{c.want}, c.have, c.embedded)
			if (err != nil) != (c.err != "") {
				t.Fatal(err)
			}
			for _, part := range strings.Split(c.err, "|") {
				if err != nil && !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if (len(plan) > 0) != (c.plan != "") || len(plan) > 0 && !strings.Contains(plan[0].Action, c.plan) {
				t.Errorf("plan %v, not %q", plan, c.plan)
			}
		})
	}
}

func TestTopicsAreCreatedOnceAndADifferenceIsRefused(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		ctx := context.Background()
		cl, err := b.NewProducer()
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		adm := kadm.NewClient(cl)
		want := []kafka.Topic{
			{Name: kafkatest.Name("events"), Partitions: 3, Config: map[string]string{"retention.ms": "-1", "max.message.bytes": "8388608"}},
			{Name: kafkatest.Name("rows"), Partitions: 2, Compact: true, Config: map[string]string{"min.cleanable.dirty.ratio": "0.1", "min.insync.replicas": "1"}},
		}
		for i, dry := range []bool{true, false, false} {
			done, err := kafka.EnsureTopics(ctx, adm, want, dry)
			if err != nil || len(done) != []int{2, 2, 0}[i] {
				t.Fatalf("call %d: %v, %v", i, done, err)
			}
		}
		configs, err := adm.DescribeTopicConfigs(ctx, want[0].Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range configs[0].Configs {
			if v, ok := want[0].Config[kv.Key]; ok && kv.MaybeValue() != v {
				t.Errorf("%s is %s, not %s", kv.Key, kv.MaybeValue(), v)
			}
		}
		want[0].Partitions = 4
		if _, err := kafka.EnsureTopics(ctx, adm, want, false); err == nil || !strings.Contains(err.Error(), "has 3 partitions, not 4") {
			t.Error("another partition count:", err)
		}
		want[0].Partitions, want[0].Compact = 3, b.Embedded == nil
		want[1].Compact = b.Embedded == nil
		want[0].Config = map[string]string{"cleanup.policy": "compact"}
		if _, err := kafka.EnsureTopics(ctx, adm, want, false); err == nil || !strings.Contains(err.Error(), "cleanup.policy=delete, not compact") {
			t.Error("another policy:", err)
		}
	})
}

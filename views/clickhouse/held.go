package clickhouse

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
)

// held are the records that are compared, or read again: what the topics hold from their starts up to where the tables stand.
type held struct {
	from kafka.Offsets
	to   map[*table]kafka.Offsets
}

// has tells whether the record is one of the table's.
func (h held) has(t *table, rec *kgo.Record) bool {
	return rec.Offset >= h.from[rec.Topic][rec.Partition] && rec.Offset < h.to[t][rec.Topic][rec.Partition]
}

// ends of all tables together.
func (h held) ends() kafka.Offsets {
	ends := kafka.Offsets{}
	for _, done := range h.to {
		for topic, parts := range done {
			for p, at := range parts {
				set(ends, topic, p, max(at, ends[topic][p]))
			}
		}
	}
	return ends
}

// rows is the condition that a row of the table is of such a record.
func (h held) rows(t *table) string { return between(h.from, h.to[t]) }

// before is the condition that a row of the table is of before where it stands.
func (h held) before(t *table) string { return between(nil, h.to[t]) }

// between is the condition that a row is of a record with from ≤ offset < to.
func between(from, to kafka.Offsets) string {
	parts := []string{"0"}
	for _, topic := range slices.Sorted(maps.Keys(to)) {
		for _, p := range slices.Sorted(maps.Keys(to[topic])) {
			parts = append(parts, fmt.Sprintf("(_topic = '%s' AND _partition = %d AND _offset >= %d AND _offset < %d)", topic, p, from[topic][p], to[topic][p]))
		}
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// behind is how many offsets of the topics the table has not taken.
func (h held) behind(t *table, ends kafka.Offsets) (n int64) {
	for topic, parts := range ends {
		for p, end := range parts {
			if t.fills(topic) {
				n += max(0, end-max(h.from[topic][p], h.to[t][topic][p]))
			}
		}
	}
	return n
}

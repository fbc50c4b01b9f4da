package views

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/schemas"
	"oms/topics"
)

// fetch is what one poll brought, not written yet.
type fetch struct {
	rows    map[rowAt]*kgo.Record // the last record of each row: what it replaces within the fetch was nobody's to see
	facts   []*kgo.Record
	records int
}

type rowAt struct {
	source    source
	partition int32
	key       string
}

func newFetch() *fetch { return &fetch{rows: map[rowAt]*kgo.Record{}} }

func (f *fetch) take(rec *kgo.Record) {
	f.records++
	if s := sourceOf[rec.Topic]; s.table() {
		f.rows[rowAt{s, rec.Partition, string(rec.Key)}] = rec
	} else {
		f.facts = append(f.facts, rec)
	}
}

// changed are the rows that the fetch is about.
func (f *fetch) changed() []watched {
	all := make([]watched, 0, len(f.rows)+len(f.facts))
	for at := range f.rows {
		all = append(all, watched{following[at.source].family, at.key})
	}
	for _, rec := range f.facts {
		all = append(all, watched{following[sourceOf[rec.Topic]].family, string(rec.Key)})
	}
	return all
}

// write puts the fetch into the batch.
func (v *Views) write(db *pebble.DB, b *pebble.Batch, f *fetch) error {
	for at, rec := range f.rows {
		if err := v.writeRow(db, b, at, rec); err != nil {
			return err
		}
	}
	var key []byte
	for _, rec := range f.facts {
		at, ok := placeOf(rec)
		if !ok {
			v.unreadable(rec, "it is no fact that this version knows")
			continue
		}
		key = factKey(key[:0], sourceOf[rec.Topic], rec.Partition, string(rec.Key), at)
		if err := b.Set(key, rec.Value, nil); err != nil {
			return err
		}
	}
	return nil
}

func (v *Views) writeRow(db *pebble.DB, b *pebble.Batch, at rowAt, rec *kgo.Record) error {
	v.key = rowKey(v.key[:0], at.source, at.partition, at.key)
	key := v.key
	switch at.source {
	case ordersTable:
		return v.writeOrder(db, b, key, at.key, rec)
	case productsTable:
		if err := v.writeCatalogue(b, at.key, rec); err != nil {
			return err
		}
	}
	if rec.Value == nil {
		return b.Delete(key, nil)
	}
	return b.Set(key, rec.Value, nil)
}

// unreadable says that a record could not be taken up. It is still in the log, where the group's own dead letters and the audit see it.
func (v *Views) unreadable(rec *kgo.Record, why string) {
	v.metrics.unreadable.Inc()
	v.log.Error("views: a record cannot be read", "topic", rec.Topic, "partition", rec.Partition, "offset", rec.Offset, "reason", why)
}

// placeOf is the place of a fact in the life of its row. It stands in the record's CloudEvents id, which spares decoding; a record without one is decoded.
func placeOf(rec *kgo.Record) (place, bool) {
	for _, h := range rec.Headers {
		if h.Key == topics.HeaderID {
			if at, ok := placeInID(string(h.Value), string(rec.Key)); ok {
				return at, true
			}
		}
	}
	if fact, ok := schemas.Decode(rec.Value).(interface{ FactHead() *schemas.Fact }); ok {
		return place{fact.FactHead().Version, fact.FactHead().Ordinal}, true
	}
	return place{}, false
}

// placeInID reads the back of topics.MessageID: key.version.ordinal.
func placeInID(id, key string) (place, bool) {
	rest, ok := strings.CutPrefix(id, key+".")
	if !ok {
		return place{}, false
	}
	return parsePlace(rest)
}

// parsePlace reads "version.ordinal".
func parsePlace(s string) (place, bool) {
	version, ordinal, ok := strings.Cut(s, ".")
	n, err1 := strconv.ParseInt(version, 10, 64)
	o, err2 := strconv.ParseInt(ordinal, 10, 32)
	return place{n, int32(o)}, ok && err1 == nil && err2 == nil && n >= 0 && o >= 0
}

// writePositions notes where the partitions that moved stand now.
func writePositions(b *pebble.Batch, at, next kafka.Offsets) error {
	for topic, parts := range next {
		for p, offset := range parts {
			if offset == at[topic][p] {
				continue
			}
			if err := b.Set(shelf(nil, kindPosition, sourceOf[topic], p), binary.BigEndian.AppendUint64(nil, uint64(offset)), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

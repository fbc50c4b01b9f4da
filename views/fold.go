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

// fetch is what one poll brought, or several. Of a record it keeps no more than is written: many of them lie in memory.
type fetch struct {
	rows  map[rowAt]versions
	facts []readFact
	bytes int // of all records: those that were replaced lie in the same memory
}

// versions of a row: what is between the first and the last never gets to the disk.
type versions struct {
	first, last     []byte // values; nil: the row is gone
	since, newestAt int64  // their offsets
}

type readFact struct {
	source    source
	partition int32
	key       string
	place     place
	value     []byte
}

type rowAt struct {
	source    source
	partition int32
	key       string
}

func newFetch() *fetch { return &fetch{rows: map[rowAt]versions{}} }

// take a record. A fact that cannot be read is told.
func (v *Views) take(f *fetch, rec *kgo.Record) {
	f.bytes += len(rec.Key) + len(rec.Value)
	s := sourceOf[rec.Topic]
	if s.table() {
		f.put(rowAt{s, rec.Partition, string(rec.Key)}, versions{first: rec.Value, last: rec.Value, since: rec.Offset, newestAt: rec.Offset})
	} else if at, ok := placeOf(rec); ok {
		f.facts = append(f.facts, readFact{s, rec.Partition, string(rec.Key), at, rec.Value})
	} else {
		v.unreadable(s, rec.Partition, rec.Offset, "it is no fact that this version knows")
	}
}

func (f *fetch) put(at rowAt, r versions) {
	if before, ok := f.rows[at]; ok {
		r.first, r.since = before.first, before.since
	}
	f.rows[at] = r
}

// add what was read behind it.
func (f *fetch) add(g *fetch) {
	for at, r := range g.rows {
		f.put(at, r)
	}
	f.facts = append(f.facts, g.facts...)
	f.bytes += g.bytes
}

// changed are the rows that the fetch is about.
func (f *fetch) changed() []watched {
	all := make([]watched, 0, len(f.rows)+len(f.facts))
	for at := range f.rows {
		all = append(all, watched{following[at.source].family, at.key})
	}
	for i := range f.facts {
		all = append(all, watched{following[f.facts[i].source].family, f.facts[i].key})
	}
	return all
}

// fold puts the fetch into the batch.
func (v *Views) fold(db *pebble.DB, b *pebble.Batch, f *fetch) error {
	for at, r := range f.rows {
		if err := v.writeRow(db, b, at, r); err != nil {
			return err
		}
	}
	var key []byte
	for i := range f.facts {
		x := &f.facts[i]
		key = factKey(key[:0], x.source, x.partition, x.key, x.place)
		if err := b.Set(key, x.value, nil); err != nil {
			return err
		}
	}
	return nil
}

func (v *Views) writeRow(db *pebble.DB, b *pebble.Batch, at rowAt, r versions) error {
	v.key = rowKey(v.key[:0], at.source, at.partition, at.key)
	key := v.key
	switch at.source {
	case ordersTable:
		return v.writeOrder(db, b, key, at, r)
	case productsTable:
		if err := v.writeCatalogue(b, at, r); err != nil {
			return err
		}
	}
	if r.last == nil {
		return b.Delete(key, nil)
	}
	return b.Set(key, r.last, nil)
}

// unreadable says that a record could not be taken up. It is still in the log, where the group's own dead letters and the audit see it.
func (v *Views) unreadable(s source, partition int32, offset int64, why string) {
	v.metrics.unreadable.Inc()
	v.log.Error("views: a record cannot be read", "topic", following[s].topic.Name, "partition", partition, "offset", offset, "reason", why)
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

package clickhouse

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/schemas"
	"oms/topics"
)

// A batch goes out when it has this many rows or bytes, or when its first record has waited for the sink's interval.
const (
	maxBatchRows  = 40_000
	maxBatchBytes = 20 << 20
	maxPoll       = 64 // records between two looks at the size: an order may have 1,200 lines
)

// batch is what the next inserts take: rows by table, from where each table stands to where the reader is.
type batch struct {
	blocks  map[*table]*block
	spans   map[*table][]span
	now     map[string]*kgo.Record // the newest row of each order: what it replaces within a batch was nobody's to see
	held    int                    // bytes of those
	oldest  time.Time              // of the records' timestamps
	newest  time.Time
	since   time.Time // when its first record was taken
	records int
	bad     int // records that can be in no table
}

func newBatch() *batch {
	return &batch{blocks: map[*table]*block{}, now: map[string]*kgo.Record{}}
}

// reset makes the batch empty and keeps its memory, but for that of blocks that it hardly used.
func (b *batch) reset() {
	for t, bl := range b.blocks {
		if !bl.reset() {
			delete(b.blocks, t)
		}
	}
	*b = batch{blocks: b.blocks, now: b.now}
}

// full tells whether the batch should go out now rather than grow.
func (b *batch) full() bool {
	rows, bytes := len(b.now), b.held
	for _, bl := range b.blocks {
		rows, bytes = rows+bl.rows, bytes+bl.bytes
	}
	return rows >= maxBatchRows || bytes >= maxBatchBytes
}

func (b *batch) empty() bool { return b.records == 0 }

func (b *batch) block(t *table) *block {
	if b.blocks[t] == nil {
		b.blocks[t] = newBlock(t.columns)
	}
	return b.blocks[t]
}

// incoming is a record with the message in it.
type incoming struct {
	*kgo.Record
	message schemas.Message // nil: not looked at yet, since a newer row may replace it; or bad
	bad     error           // why it can be in no table
}

// open decodes a record. Rows of orders are left for later, as most are replaced within a batch. What is no such row replaces none.
func open(rec *kgo.Record) incoming {
	if rec.Topic == topics.OrdersTable.Name && schemas.KindIn(rec.Value) == schemas.KindOrderRow {
		return incoming{Record: rec}
	}
	m, err := readable(rec.Topic, rec.Value)
	return incoming{rec, m, err}
}

// take adds the rows of a record to the tables that lack it.
func (b *batch) take(rec incoming, lacks func(*table) bool) {
	if b.records == 0 {
		b.since = time.Now()
	}
	b.records++
	if b.oldest.IsZero() || rec.Timestamp.Before(b.oldest) {
		b.oldest = rec.Timestamp
	}
	if rec.Timestamp.After(b.newest) {
		b.newest = rec.Timestamp
	}
	if rec.message == nil && rec.bad == nil {
		b.hold(rec.Record)
		return
	}
	b.add(rec, lacks)
}

// hold keeps the record as the newest of its order: a copy, since a record keeps alive all that its fetch has brought.
func (b *batch) hold(rec *kgo.Record) {
	have := b.now[string(rec.Key)]
	if have == nil {
		have = &kgo.Record{Topic: rec.Topic, Partition: rec.Partition, Key: slices.Clone(rec.Key)}
		b.now[string(rec.Key)] = have
		b.held += 200 // what a record takes beside its value
	}
	b.held += len(rec.Value) - len(have.Value)
	have.Offset, have.Timestamp, have.Value = rec.Offset, rec.Timestamp, append(have.Value[:0], rec.Value...)
}

// put maps a record.
func (b *batch) put(rec *kgo.Record, lacks func(*table) bool) {
	m, err := readable(rec.Topic, rec.Value)
	b.add(incoming{rec, m, err}, lacks)
}

// add the rows of a message.
func (b *batch) add(rec incoming, lacks func(*table) bool) {
	if rec.bad != nil {
		if lacks(deadLetters) {
			b.bad++
			bl := b.block(deadLetters)
			bl.str(rec.Topic)
			bl.int(int64(rec.Partition), rec.Offset)
			bl.ms(min(max(rec.Timestamp.UnixMilli(), firstDate), lastDate))
			bl.str(string(rec.Key), string(rec.Value), rec.bad.Error())
			bl.end()
		}
		return
	}
	at := place{rec.Topic, int64(rec.Partition), rec.Offset}
	for _, t := range tables {
		if t.fills(rec.Topic) && lacks(t) {
			t.rows(b.block(t), rec.message, at)
		}
	}
}

// seal maps what was held back and names the spans: where each table stood and where it stands with this batch.
func (b *batch) seal(from map[*table]kafka.Offsets, next kafka.Offsets) {
	for _, rec := range b.now {
		b.put(rec, func(t *table) bool { return rec.Offset >= from[t][rec.Topic][rec.Partition] })
	}
	clear(b.now)
	b.spans = map[*table][]span{}
	for _, t := range tables {
		for topic, parts := range next {
			if !t.fills(topic) {
				continue
			}
			for p, to := range parts {
				if at := from[t][topic][p]; to > at {
					b.spans[t] = append(b.spans[t], span{topic, p, at, to})
				}
			}
		}
	}
}

// rows of a table in the sealed batch.
func (b *batch) rows(t *table) int {
	if b.blocks[t] == nil {
		return 0
	}
	return b.blocks[t].rows
}

package stream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/lovoo/goka"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
)

// output is goka's producer: what the steps of the open transaction say. Records go out as they come; rows of the table wait
// for the end of the batch, when only the last value of each key is sent. The transaction is the acknowledgement, so that
// goka's promises are kept at once.
type output struct {
	engine *Engine
	client *kgo.Client // of the open transaction; set before its records are handed out
	shards []shard     // rows, by partition of the table

	mu       sync.Mutex
	err      error // the first record that could not be sent
	places   []kafka.Place
	rowsAt   []int64 // by partition: offset of the last row in the changelog; −1: none
	finished []*kgo.Record
	touched  kadm.TopicsSet // partitions that may lack the marker of a transaction; it outlives a begin
}

type row struct {
	value   []byte
	headers goka.Headers
}

// promised is a promise that is kept already.
func promised() *goka.Promise {
	_, finish := goka.NewPromiseWithFinisher()
	return finish(nil, nil)
}

// begin forgets the transaction before.
func (o *output) begin(c *kgo.Client, partitions int) {
	if len(o.shards) != partitions {
		o.shards = make([]shard, partitions)
		o.rowsAt = make([]int64, partitions)
	}
	for i := range o.shards {
		o.shards[i].begin()
		o.rowsAt[i] = -1
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.finished {
		records.Put(r)
	}
	o.client, o.err, o.places, o.finished = c, nil, o.places[:0], o.finished[:0]
}

// records are used again: a step says several.
var records = sync.Pool{New: func() any { return new(kgo.Record) }}

// Emit implements goka.Producer.
func (o *output) Emit(topic, key string, value []byte) *goka.Promise {
	return o.EmitWithHeaders(topic, key, value, nil)
}

// EmitWithHeaders implements goka.Producer.
func (o *output) EmitWithHeaders(topic, key string, value []byte, h goka.Headers) *goka.Promise {
	if topic == o.engine.table {
		o.shards[kafka.Partition([]byte(key), int32(len(o.shards)))].set(key, row{value, h})
	} else {
		o.send(topic, key, value, h)
	}
	return promised()
}

// Close implements goka.Producer.
func (o *output) Close() error {
	o.engine.leave()
	return nil
}

// Emit says a record at atMS (UTC, ms) within the step that calls it, as the step's context would. It spares what that costs: goka
// copies a map of headers twice for every record, which was a tenth of all that an order costs.
func (e *Engine) Emit(topic, key string, value []byte, atMS int64, headers iter.Seq2[string, []byte]) {
	e.out.produce(topic, key, value, time.UnixMilli(atMS), headers)
}

// send is Emit with the time among the headers, or without one.
func (o *output) send(topic, key string, value []byte, h map[string][]byte) {
	var at time.Time
	if ms, err := strconv.ParseInt(string(h[HeaderTimestamp]), 10, 64); err == nil {
		at = time.UnixMilli(ms)
	}
	o.produce(topic, key, value, at, maps.All(h))
}

func (o *output) produce(topic, key string, value []byte, at time.Time, headers iter.Seq2[string, []byte]) {
	r := records.Get().(*kgo.Record)
	*r = kgo.Record{Topic: topic, Key: []byte(key), Value: value, Timestamp: at, Headers: r.Headers[:0]}
	for k, v := range headers {
		if k != HeaderTimestamp {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: k, Value: v})
		}
	}
	o.client.Produce(context.Background(), r, o.sent)
}

// sent takes note of a record's fate.
func (o *output) sent(r *kgo.Record, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.finished = append(o.finished, r)
	if o.engine.static() {
		o.touched.Add(r.Topic, r.Partition)
	}
	if err != nil {
		if o.err == nil || errors.Is(o.err, kgo.ErrAborting) {
			o.err = err
		}
		return
	}
	if o.engine.cfg.Journal != nil {
		o.places = append(o.places, kafka.Place{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset})
	}
	if r.Topic == o.engine.table {
		o.rowsAt[r.Partition] = max(o.rowsAt[r.Partition], r.Offset)
	}
}

// touch notes a partition of the open transaction that no record tells of.
func (o *output) touch(topic string, partition int32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.touched.Add(topic, partition)
}

// wrote answers where the transaction has written.
func (o *output) wrote() kadm.TopicsSet {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := kadm.TopicsSet{}
	all.Merge(o.touched)
	return all
}

// forget is for markers that were seen.
func (o *output) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.touched = kadm.TopicsSet{}
}

// sendRows sends the last value of each key that the batch has written; kept ones go into the state first, as goka has put the others there.
func (o *output) sendRows(state func(partition int32, key string, before, value []byte) error) error {
	for i := range o.shards {
		s := &o.shards[i]
		for key, row := range s.rows {
			o.send(o.engine.table, key, row.value, row.headers)
		}
		for key, row := range s.kept {
			before, value, ms, err := row.Encode()
			if err != nil {
				return fmt.Errorf("%w: %q: %w", errRow, key, err)
			}
			if err := state(int32(i), key, before, value); err != nil {
				return err
			}
			o.produce(o.engine.table, key, value, time.UnixMilli(ms), nothing)
			s.remember(key, row, len(value), recentBytes/len(o.shards))
		}
	}
	return nil
}

// nothing is no headers.
func nothing(func(string, []byte) bool) {}

// failure is why a record of the transaction was not sent.
func (o *output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

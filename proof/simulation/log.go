package simulation

import (
	"encoding/binary"
	"fmt"
	"time"

	"oms/internal/kafka"
	"oms/schemas"
	"oms/topics"
)

// partition is the log of one partition. Readers see committed records only, and none behind a transaction that is still open.
type partition struct {
	topic   topics.Topic
	number  int32
	records []*record
	stable  int           // records before it are decided: the last stable offset
	reader  func(*record) // hears of every record that becomes readable; nil: nobody waits
}

// record is one record with what it says; rows and dead letters carry only bytes.
type record struct {
	kafka.Record
	message schemas.Message
	txn     *transaction // nil: written outside of one
}

// transaction is open until it is committed or aborted.
type transaction struct {
	ended, committed bool
	touched          []*partition
	whenEnded        []func()
}

func (w *world) openTopics() {
	w.topics = map[string][]*partition{}
	for _, t := range topics.All {
		for n := range w.partitions {
			w.topics[t.Name] = append(w.topics[t.Name], &partition{topic: t, number: n})
		}
	}
}

// home is the partition of a key.
func (w *world) home(t topics.Topic, key string) *partition {
	return w.topics[t.Name][kafka.Partition([]byte(key), w.partitions)]
}

// say writes a message, encoded, where it is at home.
func (w *world) say(m schemas.Message, value []byte, ms int64, txn *transaction) {
	w.append(w.home(topics.Of(m), m.Key()), m.Key(), value, m, ms, txn)
}

// tell encodes a message and writes it outside of any transaction, as ingest and gateways do.
func (w *world) tell(m schemas.Message) { w.say(m, encode(m), w.now, nil) }

func encode(m schemas.Message) []byte {
	b, err := schemas.Encode(m)
	if err != nil {
		panic(err) // the simulation makes no message that its schema refuses
	}
	return b
}

func (w *world) append(p *partition, key string, value []byte, m schemas.Message, ms int64, txn *transaction, headers ...kafka.Header) {
	r := &record{Record: kafka.Record{Topic: p.topic.Name, Partition: p.number, Offset: int64(len(p.records)), Key: []byte(key), Value: value, Timestamp: time.UnixMilli(ms), Headers: headers}, message: m, txn: txn}
	p.records = append(p.records, r)
	if txn != nil {
		txn.touched = append(txn.touched, p)
	}
	w.advance(p)
}

// end of a transaction. Readers go on; who waited for its end hears of it.
func (w *world) end(t *transaction, commit bool) {
	if t == nil || t.ended {
		return
	}
	t.ended, t.committed = true, commit
	for _, p := range t.touched {
		w.advance(p)
	}
	for _, heard := range t.whenEnded {
		w.after(0, heard)
	}
}

// advance moves the last stable offset.
func (w *world) advance(p *partition) {
	for p.stable < len(p.records) {
		r := p.records[p.stable]
		if r.txn != nil && !r.txn.ended {
			return
		}
		p.stable++
		if r.readable() {
			w.shown(p, r)
		}
	}
}

func (r *record) readable() bool { return r.txn == nil || r.txn.committed }

// open is the transaction that the partition's readers wait for; nil: none.
func (p *partition) open() *transaction {
	if p.stable == len(p.records) {
		return nil
	}
	return p.records[p.stable].txn
}

// shown: a record has become readable.
func (w *world) shown(p *partition, r *record) {
	w.result.Records++
	w.note(r)
	if err := w.auditor.Take(&r.Record); err != nil {
		w.violated("the auditor: " + err.Error())
	}
	if n, first := w.auditor.Violations(); n > 0 {
		w.violated(first)
	}
	if p.topic == topics.OrdersTable {
		w.orders[string(r.Key)] = r.Value
	}
	switch m := r.message.(type) {
	case interface{ FactHead() *schemas.Fact }:
		w.hear(m.FactHead().Cause, r.message)
	case *schemas.CommandRefused:
		w.hear(m.CommandID, m)
	case *schemas.CommandRepeated:
		w.hear(m.CommandID, m)
	}
	if p.reader != nil {
		p.reader(r)
	}
}

// note adds a record to the sum of the run.
func (w *world) note(r *record) {
	var b [24]byte
	binary.BigEndian.PutUint32(b[0:], uint32(r.Partition))
	binary.BigEndian.PutUint32(b[4:], uint32(len(r.Value)))
	binary.BigEndian.PutUint64(b[8:], uint64(r.Offset))
	binary.BigEndian.PutUint64(b[16:], uint64(r.Timestamp.UnixMilli()))
	w.sum.Write([]byte(r.Topic))
	w.sum.Write(b[:])
	w.sum.Write(r.Key)
	if refused, ok := r.message.(*schemas.CommandRefused); ok { // its numbers are a map, which is written in another order each time
		fmt.Fprint(w.sum, *refused)
		return
	}
	w.sum.Write(r.Value)
}

package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// entry is a transaction as read back from the journal.
type entry struct {
	seq     uint64
	id      string
	spans   []span
	group   string
	offsets map[string]map[int32]int64
}

// span is a run of records of one partition without a gap: others write between a transaction's records.
type span struct {
	topic     string
	partition int32
	from      int64
	count     int64
}

// spanner joins places to spans. It is kept between transactions, so that a large one costs no garbage.
type spanner struct {
	list []span
	last map[partition]int // index in list of the partition's latest span
}

// partition names a partition.
type partition struct {
	topic  string
	number int32
}

func (s *spanner) set(places []Place) {
	if s.last == nil {
		s.last = map[partition]int{}
	}
	clear(s.last)
	s.list = s.list[:0]
	at := -1 // of the latest place: records come in runs
	for _, p := range places {
		if at < 0 || s.list[at].partition != p.Partition || s.list[at].topic != p.Topic {
			i, ok := s.last[partition{p.Topic, p.Partition}]
			if at = i; !ok {
				at = -1
			}
		}
		if at >= 0 && s.list[at].from+s.list[at].count == p.Offset {
			s.list[at].count++
			continue
		}
		at = len(s.list)
		s.list = append(s.list, span{p.Topic, p.Partition, p.Offset, 1})
		s.last[partition{p.Topic, p.Partition}] = at
	}
}

// appendTransaction encodes id, group, the spans (each topic once by name, then by its number) and the offsets; numbers are
// varints.
func appendTransaction(b []byte, t Transaction, spans []span) []byte {
	b = appendString(appendString(b, t.ID), t.Group)
	b = binary.AppendUvarint(b, uint64(len(spans)))
	var topics []string
	for _, s := range spans {
		n := 0
		for n < len(topics) && topics[n] != s.topic {
			n++
		}
		b = binary.AppendUvarint(b, uint64(n))
		if n == len(topics) {
			topics = append(topics, s.topic)
			b = appendString(b, s.topic)
		}
		b = binary.AppendUvarint(b, uint64(s.partition))
		b = binary.AppendUvarint(b, uint64(s.from))
		b = binary.AppendUvarint(b, uint64(s.count))
	}
	b = binary.AppendUvarint(b, uint64(len(t.Offsets)))
	for topic, parts := range t.Offsets {
		b = binary.AppendUvarint(appendString(b, topic), uint64(len(parts)))
		for p, at := range parts {
			b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(p)), uint64(at))
		}
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeEntry reads the body of a Begin.
func decodeEntry(body []byte) (entry, error) {
	d := decoder{b: body}
	d.byte()
	e := entry{seq: d.uvarint(), id: d.string(), group: d.string(), offsets: map[string]map[int32]int64{}}
	var topics []string
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		i := d.uvarint()
		if i == uint64(len(topics)) {
			topics = append(topics, d.string())
		} else if i > uint64(len(topics)) {
			d.err = fmt.Errorf("topic number %d of %d", i, len(topics))
			break
		}
		e.spans = append(e.spans, span{topics[i], int32(d.uvarint()), int64(d.uvarint()), int64(d.uvarint())})
	}
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		parts := map[int32]int64{}
		e.offsets[d.string()] = parts
		for n := d.uvarint(); n > 0 && d.err == nil; n-- {
			p := int32(d.uvarint())
			parts[p] = int64(d.uvarint())
		}
	}
	if d.err != nil {
		return entry{}, fmt.Errorf("entry %d: %w", e.seq, d.err)
	}
	return e, nil
}

// decoder keeps its first error; what it answers after that is zero.
type decoder struct {
	b   []byte
	err error
}

var errShort = errors.New("it ends too early")

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.err = errShort
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errShort
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.b, d.err = nil, errShort
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

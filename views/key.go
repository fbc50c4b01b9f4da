package views

import (
	"encoding/binary"

	"oms/internal/kafka"
)

// A key on disk begins with its kind. Text within a key has its length before it, so that no text is taken for the beginning of another.
const (
	kindPosition  = 'p' // source, partition: the offset to go on from, 8 bytes
	kindRow       = 'r' // source, partition, key: the record's value, behind a card if it is an order's
	kindFact      = 'f' // source, partition, key, version, ordinal: the record's value
	kindPlaced    = 'a' // tenant, time placed (newest first), order: nothing
	kindCustomer  = 'c' // tenant, customer, time placed (newest first), order: nothing
	kindStatus    = 's' // tenant, status, time placed (newest first), order: nothing
	kindCatalogue = 'n' // tenant, product: nothing
)

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// cutText is the text at the beginning of b and what is behind it.
func cutText(b []byte) (text, rest []byte, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return nil, nil, false
	}
	return b[w : w+int(n)], b[w+int(n):], true
}

// shelf is the place of all that came from a partition of a topic.
func shelf(b []byte, kind byte, s source, partition int32) []byte {
	return binary.BigEndian.AppendUint32(append(b, kind, byte(s)), uint32(partition))
}

func rowKey(b []byte, s source, partition int32, key string) []byte {
	return append(shelf(b, kindRow, s, partition), key...)
}

// factsKey is the beginning of all facts about the key.
func factsKey(b []byte, s source, partition int32, key string) []byte {
	return appendText(shelf(b, kindFact, s, partition), key)
}

func factKey(b []byte, s source, partition int32, key string, at place) []byte {
	return at.append(factsKey(b, s, partition, key))
}

// place of a fact in the life of its row.
type place struct {
	version int64
	ordinal int32
}

func (p place) append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, uint64(p.version)), uint32(p.ordinal))
}

func placeIn(b []byte) place {
	return place{int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:]))}
}

func (p place) after(q place) bool {
	return p.version > q.version || p.version == q.version && p.ordinal > q.ordinal
}

// appendNewest makes a later time sort before an earlier one.
func appendNewest(b []byte, ms int64) []byte {
	return binary.BigEndian.AppendUint64(b, ^uint64(ms))
}

// above is the first key that does not begin with the prefix.
func above(prefix []byte) []byte {
	end := append([]byte{}, prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// home is the partition of a key, on any of the topics.
func (v *Views) home(s source, key string) (partition int32, ok bool) {
	n := v.partitions[s].Load()
	if n == 0 {
		return 0, false
	}
	return kafka.Partition([]byte(key), n), true
}

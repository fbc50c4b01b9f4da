package store

import "encoding/binary"

// A key in Pebble is: owner and topic, each with its length before it, partition (4 bytes, big endian), kind, rest.
const (
	kindData     = 'd' // rest: the row's key
	kindOffset   = 'o' // no rest; value: offset of the last changelog record that the data holds, 8 bytes
	kindDeadline = 't' // rest: deadline in milliseconds (8 bytes, big endian), the row's key; no value
	kindEnd      = 'u' // above every kind
)

func prefix(owner, topic string, partition int32) []byte {
	b := binary.AppendUvarint(nil, uint64(len(owner)))
	b = append(b, owner...)
	b = binary.AppendUvarint(b, uint64(len(topic)))
	b = append(b, topic...)
	return binary.BigEndian.AppendUint32(b, uint32(partition))
}

func (p *Partition) appendKey(b []byte, kind byte, key string) []byte {
	return append(append(append(b, p.prefix...), kind), key...)
}

func (p *Partition) appendDeadline(b []byte, ms int64, key string) []byte {
	b = append(append(b, p.prefix...), kindDeadline)
	return append(binary.BigEndian.AppendUint64(b, uint64(ms)), key...)
}

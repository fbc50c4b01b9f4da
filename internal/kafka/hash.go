package kafka

import (
	"encoding/binary"
	"hash"

	"oms/internal/planted"
)

// Partition is the partition of a key among n, as Java's and franz-go's default partitioners place it: murmur2 without its
// sign bit, modulo n. (librdkafka needs partitioner=murmur2_random to agree.) n must be positive.
func Partition(key []byte, n int32) int32 {
	if planted.On(planted.OtherPartitioner) {
		return int32(len(key)) % n
	}
	return int32(murmur2(key)&0x7fffffff) % n
}

// NewHasher is the same hash for goka, which takes int32(Sum32), negates it when negative, and divides. Without the sign bit
// that is Partition.
func NewHasher() hash.Hash32 { return new(hasher) }

type hasher struct{ key []byte }

func (h *hasher) Write(b []byte) (int, error) { h.key = append(h.key, b...); return len(b), nil }
func (h *hasher) Sum32() uint32               { return murmur2(h.key) & 0x7fffffff }
func (h *hasher) Sum(b []byte) []byte         { return binary.BigEndian.AppendUint32(b, h.Sum32()) }
func (h *hasher) Reset()                      { h.key = h.key[:0] }
func (h *hasher) Size() int                   { return 4 }
func (h *hasher) BlockSize() int              { return 4 }

// murmur2 is Austin Appleby's 32-bit hash with the seed of org.apache.kafka.common.utils.Utils.
func murmur2(b []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b) * m
		h = h*m ^ (k^k>>24)*m
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(b[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}

// What this file knows of the embedded broker's files, nothing else does; a test pins it to the broker's version.
//
// A partition is a directory partitions/<escaped topic>-<number>. Its segments are N.dat, N the first offset in it: record
// batches as on the wire, one after the other. Beside each lies N.idx with one entry of 15 bytes a batch: version 1, the low
// byte of the CRC-32C of the other 13, leader epoch (4, little endian), a timestamp that is recomputed on load (8), and 1 when
// the batch belongs to a transaction and is no marker.

package kafka

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	indexEntry  = 15
	batchHeader = 61
	// attribute bits of a batch
	transactional = 0x10
	control       = 0x20
)

// batch is what the mend needs of a record batch. Offsets are those of Kafka's RecordBatch, version 2.
type batch struct {
	base     int64 // offset of its first record
	next     int64 // offset after its last
	leader   uint32
	attrs    uint16
	producer int64
	epoch    uint16
	commit   bool // of a marker: commit rather than abort
}

// readBatch reads the next batch into buf and answers its length in bytes; 0 at the end, also at what the broker will cut off:
// a batch that is not whole or whose checksum is wrong.
func readBatch(r *bufio.Reader, buf []byte) (batch, int, []byte, error) {
	head, err := r.Peek(12)
	if err != nil {
		return batch{}, 0, buf, unlessEnd(err)
	}
	n := 12 + int(binary.BigEndian.Uint32(head[8:]))
	if n < batchHeader || n > 1<<30 {
		return batch{}, 0, buf, nil
	}
	for buf = buf[:0]; len(buf) < n; { // piece by piece: a torn length may claim a gigabyte
		at, more := len(buf), min(n-len(buf), 1<<20)
		buf = slices.Grow(buf, more)[:at+more]
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			return batch{}, 0, buf, unlessEnd(err)
		}
	}
	if crc32.Checksum(buf[21:], castagnoli) != binary.BigEndian.Uint32(buf[17:]) {
		return batch{}, 0, buf, nil
	}
	b := batch{
		base:     int64(binary.BigEndian.Uint64(buf)),
		leader:   binary.BigEndian.Uint32(buf[12:]),
		attrs:    binary.BigEndian.Uint16(buf[21:]),
		producer: int64(binary.BigEndian.Uint64(buf[43:])),
		epoch:    binary.BigEndian.Uint16(buf[51:]),
	}
	b.next = b.base + int64(binary.BigEndian.Uint32(buf[23:])) + 1
	// A marker is one record: length, attributes, two zero deltas (a byte each), length of the key (4), version, type.
	b.commit = b.attrs&control != 0 && n >= batchHeader+9 && binary.BigEndian.Uint16(buf[batchHeader+7:]) == 1
	return b, n, buf, nil
}

func unlessEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// marker encodes the control batch that ends a transaction.
func marker(offset int64, leader uint32, producer int64, epoch uint16, commit bool, now time.Time) []byte {
	b := make([]byte, batchHeader, 80)
	binary.BigEndian.PutUint64(b, uint64(offset))
	binary.BigEndian.PutUint32(b[12:], leader)
	b[16] = 2 // version
	binary.BigEndian.PutUint16(b[21:], transactional|control)
	binary.BigEndian.PutUint64(b[27:], uint64(now.UnixMilli()))
	binary.BigEndian.PutUint64(b[35:], uint64(now.UnixMilli()))
	binary.BigEndian.PutUint64(b[43:], uint64(producer))
	binary.BigEndian.PutUint16(b[51:], epoch)
	binary.BigEndian.PutUint32(b[53:], 0xffffffff) // no sequence
	binary.BigEndian.PutUint32(b[57:], 1)          // one record
	// In zigzag varints: 16 bytes follow; attributes, two deltas; a key of 4 bytes (version, type); a value of 6 (version and
	// coordinator epoch); no header.
	b = append(b, 32, 0, 0, 0, 8, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0)
	if commit {
		b[batchHeader+8] = 1
	}
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b
}

func indexOf(b batch) (e [indexEntry]byte) {
	e[0] = 1
	binary.LittleEndian.PutUint32(e[2:], b.leader)
	if b.attrs&(transactional|control) == transactional {
		e[14] = 1
	}
	e[1] = byte(crc32.Checksum(e[2:], castagnoli))
	return e
}

// partitionDir is the name of a partition's directory.
func partitionDir(p partition) string { return fmt.Sprintf("%s-%d", url.PathEscape(p.topic), p.number) }

// syncAll syncs every file of a directory, whoever wrote it, and the directory.
func syncAll(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// partitionDirs lists the partitions that have files.
func partitionDirs(dir string) (map[partition]string, error) {
	root := filepath.Join(dir, "partitions")
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	all := map[partition]string{}
	for _, e := range entries {
		at := strings.LastIndexByte(e.Name(), '-')
		if at < 0 {
			continue
		}
		topic, err1 := url.PathUnescape(e.Name()[:at])
		number, err2 := strconv.ParseInt(e.Name()[at+1:], 10, 32)
		if err1 == nil && err2 == nil {
			all[partition{topic, int32(number)}] = filepath.Join(root, e.Name())
		}
	}
	return all, nil
}

// segments lists the .dat files of a partition by offset.
func segments(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	type segment struct {
		base int64
		path string
	}
	var all []segment
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".dat")
		base, err := strconv.ParseInt(name, 10, 64)
		if ok && err == nil {
			all = append(all, segment{base, filepath.Join(dir, e.Name())})
		}
	}
	slices.SortFunc(all, func(a, b segment) int { return cmp.Compare(a.base, b.base) })
	paths := make([]string, len(all))
	for i, s := range all {
		paths[i] = s.path
	}
	return paths, nil
}

package kafka

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Place is where one record lies.
type Place struct {
	Topic     string
	Partition int32
	Offset    int64
}

// Transaction is what the journal must know of a transaction to finish its commit after a kill.
type Transaction struct {
	ID      string                     // transactional id
	Records []Place                    // every record it produced
	Group   string                     // whose offsets it commits; may be empty
	Offsets map[string]map[int32]int64 // input topic, partition: the next offset to read
}

// Journal is the commit log that the embedded broker lacks: its EndTxn writes one marker per partition and then the group's
// offsets, and a kill in between leaves a transaction that is visible in part. An entry is one write: length, CRC-32C, body.
// What a killed process wrote stays; a torn tail is an entry whose End was never asked for.
type Journal struct {
	mu    sync.Mutex
	path  string
	fsync bool
	f     *os.File
	size  int64 // of the whole entries; the next one goes here
	seq   uint64

	open   map[uint64][]byte // entries that are not done, as written
	failed error             // the broker could not write: nothing may be begun or taken for done any more

	buf   []byte // scratch of write
	spans spanner
}

// rewriteAt is the length in bytes from which the journal is replaced by its open entries alone.
const rewriteAt = 1 << 20

const (
	kindBegin = 1 // and the encoding of a Transaction
	kindDone  = 2 // and the number of the entry that ends
	frameSize = 8 // length and CRC, little endian
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func openJournal(path string, fsync bool) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	j := &Journal{path: path, fsync: fsync, f: f, open: map[uint64][]byte{}}
	if err := j.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("journal %s: %w", path, err), f.Close())
	}
	return j, nil
}

func (j *Journal) load() error {
	raw, err := io.ReadAll(j.f)
	if err != nil {
		return err
	}
	for b := raw; len(b) >= frameSize; {
		n := int(binary.LittleEndian.Uint32(b))
		if n == 0 || n > len(b)-frameSize || crc32.Checksum(b[frameSize:frameSize+n], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
			break
		}
		d := decoder{b: b[frameSize : frameSize+n]}
		kind, seq := d.byte(), d.uvarint()
		if d.err != nil {
			return fmt.Errorf("entry at byte %d: %w", j.size, d.err)
		}
		j.note(kind, seq, b[:frameSize+n])
		b, j.size = b[frameSize+n:], j.size+int64(frameSize+n)
	}
	return j.f.Truncate(j.size)
}

// note keeps the books; frame is copied.
func (j *Journal) note(kind byte, seq uint64, frame []byte) {
	j.seq = max(j.seq, seq)
	if kind == kindDone {
		delete(j.open, seq)
	} else {
		j.open[seq] = slices.Clone(frame)
	}
}

// Begin notes a transaction after its last record is acknowledged and before its commit is asked for. The number it answers
// goes to Done. A transaction without records has no effect that could be seen in part, and needs no entry.
func (j *Journal) Begin(t Transaction) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	seq := j.seq + 1
	j.spans.set(t.Records)
	j.buf = append(j.buf[:0], make([]byte, frameSize)...)
	j.buf = appendTransaction(binary.AppendUvarint(append(j.buf, kindBegin), seq), t, j.spans.list)
	if err := j.write(kindBegin, seq); err != nil {
		return 0, fmt.Errorf("journal: transaction of %s: %w", t.ID, err)
	}
	if j.fsync {
		if err := j.f.Sync(); err != nil {
			return 0, fmt.Errorf("journal: transaction of %s: %w", t.ID, err)
		}
	}
	return seq, nil
}

// Done closes an entry once the outcome of its transaction is known, whatever it is. After an error the entry stays open and
// is decided at the next start.
func (j *Journal) Done(seq uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, ok := j.open[seq]; !ok {
		return fmt.Errorf("journal: entry %d is not open", seq)
	}
	j.buf = append(j.buf[:0], make([]byte, frameSize)...)
	j.buf = binary.AppendUvarint(append(j.buf, kindDone), seq)
	if err := j.write(kindDone, seq); err != nil {
		return fmt.Errorf("journal: end of entry %d: %w", seq, err)
	}
	if open := j.openBytes(); j.size > rewriteAt && j.size > 2*open {
		return j.rewrite()
	}
	return nil
}

// write appends j.buf, whose first eight bytes are room for the frame.
func (j *Journal) write(kind byte, seq uint64) error {
	if j.failed != nil {
		return j.failed
	}
	binary.LittleEndian.PutUint32(j.buf, uint32(len(j.buf)-frameSize))
	binary.LittleEndian.PutUint32(j.buf[4:], crc32.Checksum(j.buf[frameSize:], castagnoli))
	if _, err := j.f.WriteAt(j.buf, j.size); err != nil {
		return err
	}
	j.size += int64(len(j.buf))
	j.note(kind, seq, j.buf)
	return nil
}

func (j *Journal) openBytes() (n int64) {
	for _, frame := range j.open {
		n += int64(len(frame))
	}
	return n
}

// rewrite puts a file of the open entries alone in the journal's place.
func (j *Journal) rewrite() error {
	f, err := os.OpenFile(j.path+".new", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	var all []byte
	for _, frame := range j.open {
		all = append(all, frame...)
	}
	_, err = f.Write(all)
	if err == nil && j.fsync {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	if err == nil && j.fsync {
		err = syncDir(filepath.Dir(j.path))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("journal: %w", err), f.Close())
	}
	err = j.f.Close()
	j.f, j.size = f, int64(len(all))
	return err
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// fail makes every later Begin and Done answer err: what is open now is decided at the next start.
func (j *Journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed == nil {
		j.failed = err
	}
}

// undone answers the entries without a Done, oldest first.
func (j *Journal) undone() ([]entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []entry
	for _, frame := range j.open {
		e, err := decodeEntry(frame[frameSize:])
		if err != nil {
			return nil, fmt.Errorf("journal %s: %w", j.path, err)
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.seq, b.seq) })
	return all, nil
}

// Close keeps the file; what is open is decided at the next start.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.f.Close()
}

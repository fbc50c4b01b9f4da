package kafka

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// framed is a body as the journal writes it.
func framed(body []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(body, castagnoli))
	return append(b, body...)
}

// Whatever a journal holds, behind an entry that is whole: the reader refuses it, or reads the same twice, keeps what was whole, and takes the next entry.
func FuzzTheJournalIsReadOrRefused(f *testing.F) {
	j, path := journalIn(f)
	first := Transaction{ID: "orders-a", Group: "orders", Records: []Place{{"t", 0, 5}, {"t", 0, 6}, {"u", 1, 9}}, Offsets: map[string]map[int32]int64{"in": {3: 7}}}
	if _, err := j.Begin(first); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[frameSize:], []byte{})
	f.Add([]byte{kindDone, 1}, whole)
	f.Add([]byte{kindBegin, 2, 1, 'x', 1, 'g', 0xff, 0xff, 0xff, 0xff, 0x0f}, []byte{})
	f.Add([]byte{}, whole[:len(whole)-1])
	f.Fuzz(func(t *testing.T, body, tail []byte) {
		path := filepath.Join(t.TempDir(), "journal")
		raw := bytes.Clone(whole)
		if len(body) > 0 {
			raw = append(raw, framed(body)...)
		}
		if err := os.WriteFile(path, append(raw, tail...), 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := openJournal(path, false)
		if err != nil {
			return // refused: nothing was begun
		}
		defer j.Close()
		open, err := j.undone()
		if err != nil {
			return
		}
		again, err := openJournal(path, false)
		if err != nil {
			t.Fatalf("read once, then refused: %v", err)
		}
		defer again.Close()
		if same, err := again.undone(); err != nil || !reflect.DeepEqual(open, same) {
			t.Fatalf("%+v, and when read again %+v: %v", open, same, err)
		}
		seq, err := again.Begin(first)
		if err != nil {
			return // the number of the last entry was the greatest there is
		}
		third, err := openJournal(path, false)
		if err != nil {
			t.Fatal(err)
		}
		defer third.Close()
		if more, err := third.undone(); err != nil || len(more) != len(open)+1 || more[len(more)-1].seq != seq {
			t.Fatalf("after entry %d there are %+v: %v", seq, more, err)
		}
	})
}

// Whatever a segment of the embedded broker holds: its reader comes to an end, and no batch is longer than what there is.
func FuzzASegmentIsReadToItsEnd(f *testing.F) {
	f.Add(marker(7, 1, 2, 3, true, time.UnixMilli(1)))
	f.Add(append(marker(7, 1, 2, 3, true, time.UnixMilli(1)), marker(8, 1, 2, 3, false, time.UnixMilli(1))...))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) >= batchHeader { // a checksum that is right lets more through
			if n := 12 + int(binary.BigEndian.Uint32(raw[8:])); n >= batchHeader && n <= len(raw) {
				binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:n], castagnoli))
			}
		}
		r, read := bufio.NewReader(bytes.NewReader(raw)), 0
		var buf []byte
		for {
			_, n, b, err := readBatch(r, buf)
			if err != nil {
				t.Fatal(err)
			}
			if buf = b; n == 0 {
				break
			}
			read += n
		}
		if read > len(raw) {
			t.Fatalf("%d of %d bytes read", read, len(raw))
		}
	})
}

package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// A slot: state, subject tag, nonce, data key sealed by the master key, zeros up to 96 bytes. The tag and the place are authenticated with the key.
const (
	keyBytes      = 32
	wrappedBytes  = keyBytes + 16
	slotBytes     = 96
	segmentSlots  = 1 << 16 // 6 MiB
	segmentSuffix = ".keys"

	stateKey    = 1 // 0 is what a file has where nothing was ever written
	stateErased = 2
)

// segmentID names a segment and its file. It is random, so that processes never write to one file.
type segmentID [8]byte

func (id segmentID) String() string { return hex.EncodeToString(id[:]) }

func (k *Keys) path(id segmentID) string { return filepath.Join(k.dir, id.String()+segmentSuffix) }

// encode a slot for its place.
func (k *Keys) encode(dst []byte, at place, t tag, key []byte) []byte {
	n := len(dst)
	dst = append(append(dst, stateKey), t[:]...)
	var nonce [nonceBytes]byte
	rand.Read(nonce[:])
	dst = append(dst, nonce[:]...)
	dst = k.wrap.Seal(dst, nonce[:], key, bound(at, t))
	return append(dst, make([]byte, n+slotBytes-len(dst))...)
}

// decode the key of a slot.
func (k *Keys) decode(slot []byte, at place) ([]byte, error) {
	switch slot[0] {
	case stateErased:
		return nil, ErrErased
	case stateKey:
	default:
		return nil, fmt.Errorf("%w: %s was never written", ErrLost, at)
	}
	var t tag
	rest := slot[1+copy(t[:], slot[1:]):]
	key, err := k.wrap.Open(nil, rest[:nonceBytes], rest[nonceBytes:nonceBytes+wrappedBytes], bound(at, t))
	if err != nil {
		return nil, fmt.Errorf("%w: %s is damaged, or another master key sealed it: %w", ErrLost, at, err)
	}
	return key, nil
}

// bound is what a wrapped key holds good for: moved to another place, or given to another subject, it does not open.
func bound(at place, t tag) []byte {
	b := make([]byte, headBytes, headBytes+len(t))
	at.put(b)
	return append(b, t[:]...)
}

// read the key at a place. Keys are not cached: reading one costs a microsecond or two, and an erased one is gone at once, in every process.
func (k *Keys) read(at place) ([]byte, error) {
	f, err := k.file(at.segment)
	if err != nil {
		return nil, err
	}
	var slot [slotBytes]byte
	if _, err := f.ReadAt(slot[:], int64(at.slot)*slotBytes); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %s was never written", ErrLost, at)
	} else if err != nil {
		return nil, fmt.Errorf("seal: %s: %w", at, err)
	}
	return k.decode(slot[:], at)
}

func (k *Keys) file(id segmentID) (*os.File, error) {
	k.mu.RLock()
	f := k.opened[id]
	k.mu.RUnlock()
	if f != nil {
		return f, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := k.opened[id]; f != nil {
		return f, nil
	}
	f, err := os.Open(k.path(id))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no segment %s", ErrLost, id)
	}
	if err != nil {
		return nil, fmt.Errorf("seal: segment of a key: %w", err)
	}
	k.opened[id] = f
	return f, nil
}

// probe looks for the first living key of a segment, and whether the master key opens it.
func (k *Keys) probe(path string) (fits, found bool, err error) {
	err = k.slots(path, func(at place, slot []byte) error {
		if slot[0] == stateKey {
			_, err := k.decode(slot, at)
			fits, found = err == nil, true
			return io.EOF
		}
		return nil
	})
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return fits, found, err
}

// slots visits every whole slot of a segment; a torn one at the end was never used.
func (k *Keys) slots(path string, visit func(at place, slot []byte) error) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	var at place
	id, err := hex.DecodeString(filepath.Base(path[:len(path)-len(segmentSuffix)]))
	if err != nil || copy(at.segment[:], id) != len(at.segment) {
		return fmt.Errorf("seal: %s is not named as a segment", path)
	}
	for ; len(raw) >= slotBytes; raw = raw[slotBytes:] {
		if err := visit(at, raw[:slotBytes]); err != nil {
			return err
		}
		at.slot++
	}
	return nil
}

// Erase destroys every key of the subject, for all processes, and answers how many there were. It reads all segments: some hundred milliseconds a million keys.
// It may be repeated; after a crash it must be.
func (k *Keys) Erase(subject string) (int, error) {
	t := k.tagOf(subject)
	paths, err := filepath.Glob(filepath.Join(k.dir, "*"+segmentSuffix))
	if err != nil {
		return 0, fmt.Errorf("seal: %w", err)
	}
	n := 0
	for _, path := range paths {
		var mine []place
		err := k.slots(path, func(at place, slot []byte) error {
			if slot[0] == stateKey && bytes.Equal(slot[1:1+len(t)], t[:]) {
				mine = append(mine, at)
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		if err := overwrite(path, mine); err != nil {
			return n, err
		}
		n += len(mine)
	}
	return n, nil
}

// overwrite the slots and see it to the disk. A disk that writes elsewhere than where it is told (flash, copy on write) may keep the old bytes for a while;
// they are sealed by the master key.
func overwrite(path string, places []place) error {
	if len(places) == 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	gone := make([]byte, slotBytes)
	gone[0] = stateErased
	for _, at := range places {
		if _, err := f.WriteAt(gone, int64(at.slot)*slotBytes); err != nil {
			return errors.Join(fmt.Errorf("seal: erasing %s: %w", at, err), f.Close())
		}
	}
	return errors.Join(f.Sync(), f.Close())
}

// appender writes new keys, all that are waiting in one write: while one batch is on its way, the next gathers.
type appender struct {
	keys *Keys
	mu   sync.Mutex // of the next batch
	next *batch
	turn sync.Mutex // of the file: one batch at a time

	// Under turn:
	file *os.File
	id   segmentID
	used uint32 // slots of the file that are taken, whether or not their write succeeded
}

type batch struct {
	tags []tag
	keys [][]byte
	at   []place
	err  error
	done bool // under turn
}

// add a key of the subject; it is written when add returns.
func (a *appender) add(t tag, key []byte) (place, error) {
	a.mu.Lock()
	if a.next == nil {
		a.next = new(batch)
	}
	b, i := a.next, len(a.next.tags)
	b.tags, b.keys = append(b.tags, t), append(b.keys, key)
	a.mu.Unlock()

	a.turn.Lock() // the first of a batch to get the turn writes all of it
	defer a.turn.Unlock()
	if !b.done {
		a.mu.Lock()
		a.next = nil
		a.mu.Unlock()
		b.err = a.write(b)
		b.done = true
	}
	if b.err != nil {
		return place{}, b.err
	}
	return b.at[i], nil
}

func (a *appender) write(b *batch) error {
	if a.file == nil || int(a.used)+len(b.tags) > segmentSlots {
		if err := a.roll(); err != nil {
			return err
		}
	}
	buf := make([]byte, 0, len(b.tags)*slotBytes)
	first := a.used
	for i, t := range b.tags {
		at := place{a.id, first + uint32(i)}
		buf = a.keys.encode(buf, at, t, b.keys[i])
		b.at = append(b.at, at)
	}
	a.used += uint32(len(b.tags)) // also when the write fails: a place is never given twice
	if _, err := a.file.WriteAt(buf, int64(first)*slotBytes); err != nil {
		return fmt.Errorf("seal: writing %d keys: %w", len(b.tags), err)
	}
	if a.keys.sync {
		if err := a.file.Sync(); err != nil {
			return fmt.Errorf("seal: writing %d keys: %w", len(b.tags), err)
		}
	}
	return nil
}

// roll begins a new segment. A process begins its own at its first key, so that it never appends behind what another wrote, or half wrote.
func (a *appender) roll() error {
	if err := a.close(); err != nil {
		return err
	}
	rand.Read(a.id[:])
	f, err := os.OpenFile(a.keys.path(a.id), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("seal: new segment of keys: %w", err)
	}
	if a.keys.sync {
		if err := syncDir(a.keys.dir); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	a.file, a.used = f, 0
	return nil
}

func (a *appender) close() error {
	if a.file == nil {
		return nil
	}
	f := a.file
	a.file = nil
	return f.Close()
}

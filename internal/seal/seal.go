// Package seal keeps personal data readable only while a key of its subject exists: a subject is erased by destroying its keys.
//
// Every subject (a customer, or one order of a guest) has data keys of its own, so new keys come as fast as orders do. A file a key would cost a directory entry,
// a rename and, where power loss matters, two syncs an order. So keys lie in segments: files of fixed slots, appended to by one process alone, one write (and one
// sync) for all keys that are waiting. What is sealed names segment and slot, so opening reads 96 bytes at a known place, and nothing has to be held in memory or
// indexed. Erasing a subject overwrites its slots in place, in every segment, found by a tag; it may have several, since a process that has forgotten which key
// is a subject's just makes it another one.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// ErrErased is the answer about data whose subject was erased.
var ErrErased = errors.New("seal: the key of this data is destroyed")

// ErrLost is the answer about data whose key is not where it was put, or no longer whole: a disk lost it, or its directory was left behind.
var ErrLost = errors.New("seal: the key of this data is lost")

// Config of the keys.
type Config struct {
	Dir    string // of the segments; created when missing
	Master []byte // 32 bytes that seal the data keys; nil: Dir/master, made at the first start
	Sync   bool   // keys survive a power loss, not only a killed process, before anything is sealed under them
}

// Keys seals and opens. It is safe for use by many goroutines, and several processes may have one Dir.
type Keys struct {
	dir    string
	sync   bool
	wrap   cipher.AEAD // seals data keys
	tagKey []byte      // hides subjects

	writer  appender
	mu      sync.RWMutex
	opened  map[segmentID]*os.File
	current map[tag]place // recently used keys, so that a customer does not get a new one with each order
}

// remembered bounds current; beyond it, all are forgotten and come back as they are used.
const remembered = 1 << 16

// Open the keys. It fails rather than starting with a master key that does not fit the segments that are there.
func Open(cfg Config) (*Keys, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	segments, err := filepath.Glob(filepath.Join(cfg.Dir, "*"+segmentSuffix))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	master := cfg.Master
	if master == nil {
		path := filepath.Join(cfg.Dir, "master")
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && len(segments) > 0 {
			return nil, fmt.Errorf("seal: %s is missing, but %d segments of keys that it seals are there: bring it back, or move them away", path, len(segments))
		}
		if master, err = Secret(path); err != nil {
			return nil, err
		}
	}
	if len(master) != secretBytes {
		return nil, fmt.Errorf("seal: the master key has %d bytes, not %d", len(master), secretBytes)
	}
	wrap, err := aead(derive(master, "wrap"))
	if err != nil {
		return nil, err
	}
	k := &Keys{dir: cfg.Dir, sync: cfg.Sync, wrap: wrap, tagKey: derive(master, "subject"), opened: map[segmentID]*os.File{}, current: map[tag]place{}}
	k.writer.keys = k
	for _, path := range segments {
		fits, found, err := k.probe(path)
		if err != nil {
			return nil, err
		}
		if found && !fits {
			return nil, fmt.Errorf("seal: the master key does not open %s: another one sealed it", path)
		}
		if found {
			break
		}
	}
	return k, nil
}

// Close the files. Nothing is pending: Seal returns after its key is written.
func (k *Keys) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.writer.close()
	for id, f := range k.opened {
		err = errors.Join(err, f.Close())
		delete(k.opened, id)
	}
	return err
}

// What is sealed: version 1, segment, slot, nonce, ciphertext with its tag. The first three are authenticated too.
const (
	sealVersion = 1
	headBytes   = 1 + len(segmentID{}) + 4
	nonceBytes  = 12
)

// Seal the plaintext under a key of the subject. The key is in its file when Seal returns.
func (k *Keys) Seal(subject string, plaintext []byte) ([]byte, error) {
	at, key, err := k.keyOf(k.tagOf(subject))
	if err != nil {
		return nil, err
	}
	gcm, err := aead(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, headBytes+nonceBytes, headBytes+nonceBytes+len(plaintext)+gcm.Overhead())
	at.put(out)
	rand.Read(out[headBytes:])
	return gcm.Seal(out, out[headBytes:], plaintext, out[:headBytes]), nil
}

// Open what was sealed. It answers ErrErased once the key is destroyed, and an error that is ErrLost when it was lost.
func (k *Keys) Open(sealed []byte) ([]byte, error) {
	if len(sealed) < headBytes+nonceBytes || sealed[0] != sealVersion {
		return nil, fmt.Errorf("seal: %d bytes that were not sealed here", len(sealed))
	}
	at := placeIn(sealed)
	key, err := k.read(at)
	if err != nil {
		return nil, err
	}
	gcm, err := aead(key)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, sealed[headBytes:headBytes+nonceBytes], sealed[headBytes+nonceBytes:], sealed[:headBytes])
	if err != nil {
		return nil, fmt.Errorf("seal: data under %s is damaged: %w", at, err)
	}
	return plain, nil
}

// keyOf answers a living key of the subject: one it had lately, or a new one.
func (k *Keys) keyOf(t tag) (place, []byte, error) {
	k.mu.RLock()
	at, known := k.current[t]
	k.mu.RUnlock()
	if known {
		// Read again, since it may have been erased since, by whatever process.
		if key, err := k.read(at); err == nil {
			return at, key, nil
		} else if !errors.Is(err, ErrErased) {
			return place{}, nil, err
		}
	}
	key := make([]byte, keyBytes)
	rand.Read(key)
	at, err := k.writer.add(t, key)
	if err != nil {
		return place{}, nil, err
	}
	k.mu.Lock()
	if len(k.current) >= remembered {
		clear(k.current)
	}
	k.current[t] = at
	k.mu.Unlock()
	return at, key, nil
}

// tag stands for a subject in a segment: who reads the files without the master key does not learn whose keys they are.
type tag [16]byte

func (k *Keys) tagOf(subject string) (t tag) {
	h := hmac.New(sha256.New, k.tagKey)
	h.Write([]byte(subject))
	copy(t[:], h.Sum(nil))
	return t
}

// place of a key.
type place struct {
	segment segmentID
	slot    uint32
}

func (p place) put(b []byte) {
	b[0] = sealVersion
	copy(b[1:], p.segment[:])
	binary.BigEndian.PutUint32(b[1+len(p.segment):], p.slot)
}

func placeIn(b []byte) (p place) {
	copy(p.segment[:], b[1:])
	p.slot = binary.BigEndian.Uint32(b[1+len(p.segment):])
	return p
}

func (p place) String() string { return fmt.Sprintf("key %s/%d", p.segment, p.slot) }

func derive(master []byte, use string) []byte {
	h := hmac.New(sha256.New, master)
	h.Write([]byte("oms seal " + use))
	return h.Sum(nil)
}

func aead(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

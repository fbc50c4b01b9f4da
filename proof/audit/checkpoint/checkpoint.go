// Package checkpoint keeps the books of an audit in a file, so that the next one goes on where this one ended. What is written and how it is read again stand in one
// place: each type names its fields to a Codec, which writes them or fills them.
package checkpoint

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// Codec writes what it is shown, or fills it with what was written. The first error stays, and then nothing more is done.
type Codec struct {
	w   *bufio.Writer // nil: it reads
	r   *bufio.Reader
	err error
}

// Version of what a Codec is shown. Whoever shows another field, or in another order, counts it up.
const Version = 3

const magic = "oms audit checkpoint"

// maxBytes of one text: a damaged length must not take all memory.
const maxBytes = 64 << 20

var errDamaged = errors.New("the file is damaged")

// ErrNone says that there is no checkpoint yet.
var ErrNone = errors.New("no checkpoint")

// Save writes what fields shows to the file: whole, or not at all.
func Save(name string, fields func(*Codec)) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp")
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("checkpoint %s: %w", name, err), os.Remove(f.Name()))
		}
	}()
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	c := &Codec{w: bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<20)}
	c.header()
	fields(c)
	if c.err == nil {
		c.err = c.w.Flush()
	}
	if c.err == nil {
		_, c.err = f.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	}
	if err := errors.Join(c.err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// Load fills what fields shows from the file. ErrNone: there is none. Any other error leaves half of it filled.
func Load(name string, fields func(*Codec)) error {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return ErrNone
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	c := &Codec{r: bufio.NewReaderSize(io.TeeReader(io.LimitReader(f, info.Size()-crc32.Size), sum), 1<<20)}
	c.header()
	fields(c)
	if c.err == nil {
		c.err = c.whole(f, sum)
	}
	if c.err != nil {
		return fmt.Errorf("checkpoint %s: %w: remove the file, and the audit reads from the start", name, c.err)
	}
	return nil
}

// whole demands that everything was read, and is what was written.
func (c *Codec) whole(f io.Reader, sum hash.Hash32) error {
	_, err := c.r.ReadByte()
	var tail [crc32.Size]byte
	if _, short := io.ReadFull(f, tail[:]); !errors.Is(err, io.EOF) || short != nil || binary.BigEndian.Uint32(tail[:]) != sum.Sum32() {
		return errDamaged
	}
	return nil
}

func (c *Codec) header() {
	title, version := magic, uint32(Version)
	Text(c, &title)
	if c.err != nil || title != magic {
		c.err = errors.New("the file is no checkpoint of an audit")
		return
	}
	if Number(c, &version); c.err == nil && version != Version {
		c.Fail(fmt.Errorf("it has format %d, this program reads %d", version, Version))
	}
}

// Reading tells whether it fills what it is shown.
func (c *Codec) Reading() bool { return c.r != nil }

// Fail ends it with an error; only the first counts.
func (c *Codec) Fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *Codec) put(b []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(b)
	}
}

func (c *Codec) get(b []byte) {
	if c.err == nil {
		if _, err := io.ReadFull(c.r, b); err != nil {
			c.err = errDamaged
		}
	}
}

func (c *Codec) varint(n int64) int64 {
	if !c.Reading() {
		var b [binary.MaxVarintLen64]byte
		c.put(b[:binary.PutVarint(b[:], n)])
		return n
	}
	if c.err != nil {
		return 0
	}
	n, err := binary.ReadVarint(c.r)
	if err != nil {
		c.err = errDamaged
		return 0
	}
	return n
}

// Number of any size.
func Number[T ~int | ~int32 | ~int64 | ~uint8 | ~uint32 | ~uint64](c *Codec, n *T) {
	*n = T(c.varint(int64(*n)))
}

// Bool is a yes or no.
func Bool(c *Codec, b *bool) {
	n := 0
	if *b {
		n = 1
	}
	Number(c, &n)
	*b = n != 0
}

// Bytes, of which none and nil are the same.
func Bytes(c *Codec, b *[]byte) {
	n := c.varint(int64(len(*b)))
	if !c.Reading() {
		c.put(*b)
		return
	}
	if n < 0 || n > maxBytes {
		c.Fail(errDamaged)
	}
	if *b = nil; c.err == nil && n > 0 {
		*b = make([]byte, n)
		c.get(*b)
	}
}

// Text of any kind.
func Text[T ~string](c *Codec, s *T) {
	b := []byte(*s)
	Bytes(c, &b)
	*s = T(b)
}

// List of anything; an empty one comes back as nil.
func List[T any](c *Codec, l *[]T, each func(*T)) {
	n := c.varint(int64(len(*l)))
	if c.Reading() {
		*l = nil
	}
	for i := range int(n) {
		if c.err != nil {
			return
		}
		if c.Reading() {
			*l = append(*l, *new(T))
		}
		each(&(*l)[i])
	}
}

// Map of anything. What a value points to is made by each.
func Map[K comparable, V any](c *Codec, m map[K]V, key func(*K), each func(*V)) {
	n := c.varint(int64(len(m)))
	if !c.Reading() {
		for k, v := range m {
			key(&k)
			each(&v)
		}
		return
	}
	for range n {
		var k K
		var v V
		key(&k)
		if each(&v); c.err != nil {
			return
		}
		m[k] = v
	}
}

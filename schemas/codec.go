package schemas

import (
	"bytes"
	"embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/twmb/avro"
)

// released holds every schema that a record may name: <id>.<full name>.v<version>.avsc. A file in it is never changed.
//
//go:embed released/*.avsc
var released embed.FS

// Release is one frozen schema.
type Release struct {
	ID      uint32 // Confluent schema id
	Version int    // from 1 per message
	Kind    Kind
	Text    string // the schema as JSON

	schema  *avro.Schema // as written
	decoder *avro.Schema // as read: resolved to the newest release of the kind
}

// writers[k] is the newest release of kind k, the one that records are written with; byID finds the release that a record names.
var (
	writers  [kinds]*Release
	byID     = map[uint32]*Release{}
	allOfAll []*Release
)

func init() {
	names, err := fs.Glob(released, "released/*.avsc")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		r := mustRelease(name)
		if byID[r.ID] != nil {
			panic(fmt.Sprintf("schemas: %s: id %d is taken by %s", name, r.ID, byID[r.ID].Kind))
		}
		byID[r.ID] = r
		allOfAll = append(allOfAll, r)
		if w := writers[r.Kind]; w == nil || w.Version < r.Version {
			writers[r.Kind] = r
		}
	}
	slices.SortFunc(allOfAll, func(a, b *Release) int { return int(a.ID) - int(b.ID) })
	for _, r := range allOfAll {
		w := writers[r.Kind]
		if r == w {
			r.decoder = r.schema
		} else if r.decoder, err = avro.Resolve(r.schema, w.schema); err != nil {
			panic(fmt.Sprintf("schemas: %s v%d cannot be read as v%d: %v", r.Kind, r.Version, w.Version, err))
		}
	}
}

// mustRelease reads a file of released/; its name is "0001.oms.order.PlaceOrder.v1.avsc". A binary with a bad one must not start.
func mustRelease(path string) *Release {
	text, err := released.ReadFile(path)
	if err != nil {
		panic(err)
	}
	name := strings.TrimSuffix(strings.TrimPrefix(path, "released/"), ".avsc")
	id, rest, _ := strings.Cut(name, ".")
	at := strings.LastIndex(rest, ".v")
	if at < 0 {
		panic("schemas: " + path + ": want <id>.<full name>.v<version>.avsc")
	}
	r := &Release{Text: string(text), Kind: KindOf(rest[:at])}
	n, err1 := strconv.ParseUint(id, 10, 32)
	v, err2 := strconv.Atoi(rest[at+2:])
	if err1 != nil || err2 != nil || r.Kind == KindMalformed {
		panic("schemas: " + path + ": want <id>.<full name>.v<version>.avsc of a registered message")
	}
	r.ID, r.Version = uint32(n), v
	if r.schema, err = avro.Parse(r.Text); err != nil {
		panic(fmt.Sprintf("schemas: %s: %v", path, err))
	}
	return r
}

// Releases answers every released schema, by id.
func Releases() []*Release { return slices.Clone(allOfAll) }

// KindOf finds a kind by the full name of its schema; KindMalformed when there is none.
func KindOf(name string) Kind {
	for k := KindMalformed + 1; k < kinds; k++ {
		if register[k].Name == name {
			return k
		}
	}
	return KindMalformed
}

// FrameBytes is the length of the Confluent frame: 0x00 and the schema id, big endian.
const FrameBytes = 5

// Append writes the message in its frame behind dst. It fails only for a value that its schema does not allow, such as an unknown enum symbol.
func Append(dst []byte, m Message) ([]byte, error) {
	w := writers[m.Kind()]
	if w == nil {
		return dst, fmt.Errorf("schemas: %s has no released schema", m.Kind())
	}
	dst = binary.BigEndian.AppendUint32(append(dst, 0), w.ID)
	out, err := w.schema.AppendEncode(dst, m)
	if err != nil {
		return dst, fmt.Errorf("schemas: encoding %s %q: %w", m.Kind(), m.Key(), err)
	}
	return out, nil
}

// drafts are buffers that messages are encoded in, so that what is kept of one has its length and was not grown to it.
var drafts = sync.Pool{New: func() any { return new([]byte) }}

// Encode writes the message in its frame.
func Encode(m Message) ([]byte, error) {
	draft := drafts.Get().(*[]byte)
	defer drafts.Put(draft)
	b, err := Append((*draft)[:0], m)
	if err != nil {
		return nil, err
	}
	if cap(b) <= 64<<10 { // a rare large one is not kept
		*draft = b
	}
	return bytes.Clone(b), nil
}

// KindIn is the kind that the frame names, without a look at the message in it; KindMalformed when it names no released schema.
func KindIn(b []byte) Kind {
	if r := byID[FrameID(b)]; r != nil {
		return r.Kind
	}
	return KindMalformed
}

// FrameID is the schema id that the frame names; 0 when there is no frame.
func FrameID(b []byte) uint32 {
	if len(b) < FrameBytes || b[0] != 0 {
		return 0
	}
	return binary.BigEndian.Uint32(b[1:])
}

// ErrNewer: the record was written by a newer build, under a schema that this one does not know. This build must not decide on it, nor pass over it.
var ErrNewer = errors.New("it was written by a newer build of this system")

// Newer answers ErrNewer when the frame names a schema with a higher id than any that is released here; nil otherwise. Whether one of this system wrote the record, only who
// knows where it came from can tell.
func Newer(b []byte) error {
	if id, last := FrameID(b), allOfAll[len(allOfAll)-1].ID; id > last {
		return fmt.Errorf("%w: schema id %d, and this build knows ids up to %d", ErrNewer, id, last)
	}
	return nil
}

// Decode reads a framed message, written with any released version of its schema. It never fails: bytes that are no message become a *Malformed.
// The answer shares no memory with b.
func Decode(b []byte) Message {
	if len(b) < FrameBytes || b[0] != 0 {
		return malformed(b, "not in the Confluent frame: want 0x00 and a 4-byte schema id")
	}
	id := FrameID(b)
	r := byID[id]
	if r == nil {
		return malformed(b, fmt.Sprintf("schema id %d is not released", id))
	}
	m := r.Kind.Info().New()
	rest, err := r.decoder.Decode(b[FrameBytes:], m)
	if err != nil {
		return malformed(b, fmt.Sprintf("schema id %d (%s): %v", id, r.Kind, err))
	}
	if len(rest) > 0 {
		return malformed(b, fmt.Sprintf("schema id %d (%s): %d bytes too many", id, r.Kind, len(rest)))
	}
	return m
}

func malformed(b []byte, reason string) *Malformed {
	return &Malformed{Raw: slices.Clone(b), Reason: reason}
}

// Deadline reads the deadline of an encoded row, UTC ms, without decoding the row: it is the row's first field. ok is false when there is none.
func Deadline(row []byte) (ms int64, ok bool) {
	if len(row) <= FrameBytes {
		return 0, false
	}
	u, n := binary.Uvarint(row[FrameBytes:])
	ms = int64(u>>1) ^ -int64(u&1) // Avro's zigzag
	return ms, n > 0 && ms != 0
}

// RowStep reads the time (UTC ms) and the version of an encoded row, which are those of its last step, without decoding the row: the head comes first. ok is false
// when it is cut off.
func RowStep(row []byte) (nowMS, version int64, ok bool) {
	if len(row) < FrameBytes {
		return 0, 0, false
	}
	rest := row[FrameBytes:]
	ok = true
	number := func() int64 {
		u, n := binary.Uvarint(rest)
		if ok = ok && n > 0; !ok {
			return 0
		}
		rest = rest[n:]
		return int64(u>>1) ^ -int64(u&1) // Avro's zigzag
	}
	number() // deadline_ms
	nowMS = number()
	tenant := number()
	if tenant < 0 || tenant > int64(len(rest)) {
		return 0, 0, false
	}
	rest = rest[tenant:]
	number() // rules
	return nowMS, number(), ok
}

// Lens reads some fields of a message's records and steps over the rest. T is a struct with the fields wanted, named by the tags of their schemas; it may hold structs
// of the same make.
type Lens[T any] struct {
	releases map[uint32]*avro.Schema
}

// NewLens of the kind. A T whose fields the kind does not have is a defect of the build, so it panics.
func NewLens[T any](k Kind) *Lens[T] {
	var whole map[string]any
	if err := json.Unmarshal([]byte(writers[k].Text), &whole); err != nil {
		panic(err)
	}
	narrow(whole, reflect.TypeFor[T]())
	text, err := json.Marshal(whole)
	if err != nil {
		panic(err)
	}
	reader := avro.MustParse(string(text))
	l := &Lens[T]{map[uint32]*avro.Schema{}}
	for _, r := range allOfAll {
		if r.Kind != k {
			continue
		}
		if l.releases[r.ID], err = avro.Resolve(r.schema, reader); err != nil {
			panic(fmt.Sprintf("schemas: a lens for %s: %v", k, err))
		}
	}
	return l
}

// narrow drops the fields of a record's schema that the struct does not have.
func narrow(record map[string]any, t reflect.Type) {
	var kept []any
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("avro")
		at := slices.IndexFunc(record["fields"].([]any), func(f any) bool { return f.(map[string]any)["name"] == name })
		if at < 0 {
			panic(fmt.Sprintf("schemas: %s has no field %q", record["name"], name))
		}
		field := record["fields"].([]any)[at].(map[string]any)
		if t.Field(i).Type.Kind() == reflect.Struct {
			narrow(field["type"].(map[string]any), t.Field(i).Type)
		}
		kept = append(kept, field)
	}
	record["fields"] = kept
}

// Decode the wanted fields of a framed message of the lens's kind.
func (l *Lens[T]) Decode(b []byte) (v T, err error) {
	if len(b) < FrameBytes || b[0] != 0 {
		return v, errors.New("schemas: not in the Confluent frame: want 0x00 and a 4-byte schema id")
	}
	id := binary.BigEndian.Uint32(b[1:])
	r := l.releases[id]
	if r == nil {
		return v, fmt.Errorf("schemas: schema id %d is not released for this kind", id)
	}
	_, err = r.Decode(b[FrameBytes:], &v)
	return v, err
}

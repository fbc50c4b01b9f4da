package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// Cursors makes and reads opaque cursors: places in a list, given to clients to come back with. A cursor is for one list (its kind and filter) only.
type Cursors struct{ key []byte }

// macBytes is enough to refuse a cursor that was made up or bent; what a cursor shows is checked anew in any case.
const macBytes = 8

// NewCursors signs with the key.
func NewCursors(key []byte) *Cursors { return &Cursors{key: key} }

// Encode a place of a list.
func (s *Cursors) Encode(list string, place []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(s.mac(list, place), place...))
}

// Decode a cursor of the list.
func (s *Cursors) Decode(list, cursor string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < macBytes || !hmac.Equal(raw[:macBytes], s.mac(list, raw[macBytes:])) {
		return nil, BadParameter("cursor", cursor, "must be a cursor that this list gave")
	}
	return raw[macBytes:], nil
}

func (s *Cursors) mac(list string, place []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(list))
	h.Write([]byte{0})
	h.Write(place)
	return h.Sum(nil)[:macBytes]
}

package schemas

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
)

func TestTheSameNotesHaveTheSameBytes(t *testing.T) {
	m := map[string]string{}
	for i := range 50 {
		m[fmt.Sprintf("n%d", i)] = "v"
	}
	first, err := Encode(&ProductRow{Metadata: NotesOf(m)})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, _ := Encode(&ProductRow{Metadata: NotesOf(m)}); !bytes.Equal(again, first) {
			t.Fatal("two encodings of one row differ")
		}
	}
	if !reflect.DeepEqual(NotesMap(NotesOf(m)), m) || NotesMap(nil) != nil {
		t.Error("notes do not survive the list")
	}
}

package schemas

import (
	"cmp"
	"slices"
)

// NotesOf lists notes in order of name.
func NotesOf(m map[string]string) []Note {
	notes := make([]Note, 0, len(m))
	for name, value := range m {
		notes = append(notes, Note{Name: name, Value: value})
	}
	slices.SortFunc(notes, func(a, b Note) int { return cmp.Compare(a.Name, b.Name) })
	return notes
}

// NotesMap is the reverse; nil when there are none.
func NotesMap(notes []Note) map[string]string {
	if len(notes) == 0 {
		return nil
	}
	m := make(map[string]string, len(notes))
	for _, n := range notes {
		m[n.Name] = n.Value
	}
	return m
}

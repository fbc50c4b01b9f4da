package stream

import (
	"fmt"
	"testing"
)

type remembered string

func (remembered) Encode() (before, value []byte, ms int64, err error) { return nil, nil, 0, nil }

func TestRowsWrittenLastAreRemembered(t *testing.T) {
	var s shard
	name := func(i int) string { return fmt.Sprint("k", i) }
	for i := range 100 {
		s.remember(name(i), remembered(name(i)), 10, 400) // 20 fill the young
	}
	for i := 80; i < 100; i++ {
		if got := s.get(name(i)); got != remembered(name(i)) {
			t.Errorf("%s is %v: within half of the bound every row stays", name(i), got)
		}
	}
	for i := range 60 {
		if got := s.get(name(i)); got != nil {
			t.Errorf("%s is still %v, which the bound has no room for", name(i), got)
		}
	}
}

func TestWhatTheOpenBatchKeepsIsAheadOfWhatIsRemembered(t *testing.T) {
	var s shard
	s.remember("k", remembered("old"), 1, 1000)
	s.keep("k", remembered("new"))
	if got := s.get("k"); got != remembered("new") {
		t.Errorf("got %v", got)
	}
	s.begin()
	if got := s.get("k"); got != remembered("old") {
		t.Errorf("got %v in the next batch", got)
	}
	s.set("k", row{})
	if got := s.get("k"); got != nil {
		t.Errorf("got %v though goka has set the row since", got)
	}
}

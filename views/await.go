package views

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"oms/internal/web"
	"oms/schemas"
)

// watched names a row that somebody waits for.
type watched struct {
	family family
	key    string
}

// watch wakes those who wait for rows. One who waits registers first and looks then, and a batch is committed first and tells then, so nobody sleeps through a change.
type watch struct {
	mu      sync.Mutex
	waiting map[watched]map[chan struct{}]struct{}
}

// on answers a channel that gets a word after each change of the row, several changes at once perhaps being one word.
func (w *watch) on(family family, key string) (word <-chan struct{}, off func()) {
	at, c := watched{family, key}, make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = map[watched]map[chan struct{}]struct{}{}
	}
	if w.waiting[at] == nil {
		w.waiting[at] = map[chan struct{}]struct{}{}
	}
	w.waiting[at][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.waiting[at], c); len(w.waiting[at]) == 0 {
			delete(w.waiting, at)
		}
	}
}

// tell wakes whoever waits for one of the changed rows.
func (w *watch) tell(changed []watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		return
	}
	for _, at := range changed {
		for c := range w.waiting[at] {
			select {
			case c <- struct{}{}:
			default: // it has not heard the last word yet, and will look after that one
			}
		}
	}
}

// tellAll wakes whoever waits.
func (w *watch) tellAll() {
	w.mu.Lock()
	all := slices.Collect(maps.Keys(w.waiting))
	w.mu.Unlock()
	w.tell(all)
}

// await looks at a row until it is as wanted. When the context ends first, the answer is the row as it is, and the context's error.
func await[R any](ctx context.Context, v *Views, family family, key string, look func() (row *R, enough bool, err error)) (*R, error) {
	row, enough, err := look()
	if err != nil || enough {
		return row, err
	}
	word, off := v.watch.on(family, key)
	defer off()
	for {
		if row, enough, err = look(); err != nil || enough {
			return row, err
		}
		select {
		case <-word:
		case <-ctx.Done():
			return row, ctx.Err()
		case <-v.stop:
			return row, ErrClosed
		}
	}
}

// awaitVersion waits until the row that find answers has the version; without a row, any version above 0 is still to come.
func awaitVersion[R any, P interface {
	*R
	RowHead() *schemas.Row
}](ctx context.Context, v *Views, family family, key string, version int64, find func() (*R, error)) (*R, error) {
	return await(ctx, v, family, key, func() (*R, bool, error) {
		row, err := find()
		if row == nil {
			return nil, version <= 0, err
		}
		return row, P(row).RowHead().Version >= version, err
	})
}

// shown makes the document of an awaited row also when the wait ended early; a nil row has none.
func shown[R any](row *R, wait error, show func(*R) (web.Document, error)) (web.Document, error) {
	if row == nil {
		return web.Document{}, wait
	}
	doc, err := show(row)
	return doc, errors.Join(wait, err)
}

package views

import (
	"fmt"
	"sync"
	"testing"

	"oms/schemas"
)

func TestThousandsWaitAndEachIsWoken(t *testing.T) {
	const orders, each = 500, 8
	s := openShop(t)
	ctx := soon(t)
	var woken sync.WaitGroup
	for i := range orders * each {
		woken.Go(func() {
			id, version := fmt.Sprintf("ord_%d", i%orders), int64(1+i%3)
			if doc, err := s.views.Order(ctx, shopTenant, id, version, false); err != nil || doc.Version < version {
				t.Errorf("%s: version %d, want %d: %v", id, doc.Version, version, err)
			}
		})
	}
	for version := range int64(3) {
		var rows []schemas.Message
		for i := range orders {
			rows = append(rows, orderRow(fmt.Sprintf("ord_%d", i), version+1, 1000, schemas.OrderStatusPending))
		}
		s.say(rows...)
	}
	woken.Wait()
	s.views.watch.mu.Lock()
	defer s.views.watch.mu.Unlock()
	if n := len(s.views.watch.waiting); n != 0 {
		t.Errorf("%d rows are still waited for", n)
	}
}

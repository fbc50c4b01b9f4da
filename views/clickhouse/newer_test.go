package clickhouse

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/schemas"
	"oms/topics"
)

// A record of a newer build waits for that build: it is no dead letter, and nobody notes it as done, neither as it comes nor when an insert that was begun is repeated.
func TestARecordOfANewerBuildIsLeftToIt(t *testing.T) {
	r := openRig(t)
	r.orders(20)
	stop := r.start(r.sink("a"))
	r.settled()
	stop()
	newer := &kgo.Record{Topic: topics.OrderEvents.Name, Key: []byte("ord_000001"), Value: binary.BigEndian.AppendUint32([]byte{0}, 1_000_000),
		Headers: []kgo.RecordHeader{{Key: topics.HeaderSource, Value: []byte("/oms/orders")}}}
	r.write(newer)
	ctx := context.Background()
	for _, begun := range []bool{false, true} {
		if begun {
			s := r.sink("newer")
			if err := s.acquire(ctx, filling); err != nil {
				t.Fatal(err)
			}
			s.seq++
			i := intent{table: tables[0], seq: s.seq, token: "begun", spans: []span{{newer.Topic, newer.Partition, newer.Offset, newer.Offset + 1}}}
			if err := note(ctx, r.conn, nil, []intent{i}); err != nil {
				t.Fatal(err)
			}
			if err := s.lead.release(ctx); err != nil {
				t.Fatal(err)
			}
		}
		s := r.sink("old")
		stop := r.start(s)
		r.until("the sink is blocked", func() bool {
			now := s.Status()
			return now.State == Blocked && strings.Contains(now.Error, schemas.ErrNewer.Error())
		})
		stop()
		m, err := remember(ctx, r.conn)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range tables {
			if at := m.done[table][newer.Topic][newer.Partition]; at > newer.Offset {
				t.Errorf("begun is %v: %s stands at %d, behind the record at %d", begun, table.name, at, newer.Offset)
			}
		}
		if (len(m.undone) == 1) != begun {
			t.Errorf("begun is %v: %d inserts are open", begun, len(m.undone))
		}
	}
}

package kafka

import (
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oms/internal/pipe"
)

func TestFetchesOfAConnectionKeepTheirPace(t *testing.T) {
	near, far := pipe.New()
	defer near.Close()
	g := &guarded{Conn: far}
	send := func(n int, key kmsg.Key) time.Duration {
		began := time.Now()
		for range n {
			request := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(nil, requestHead-4), uint16(key))
			if _, err := near.Write(append(request, 0, 0, 0, 0, 0, 0)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(g, make([]byte, requestHead)); err != nil {
				t.Fatal(err)
			}
		}
		return time.Since(began)
	}
	if took := send(21, kmsg.Fetch); took < 20*fetchPace {
		t.Errorf("21 fetches were let through in %v, want at least %v", took, 20*fetchPace)
	}
	shortest := time.Hour
	for range 50 {
		shortest = min(shortest, send(10, kmsg.Produce))
	}
	if shortest >= 10*fetchPace {
		t.Errorf("of 50 times, the shortest in which ten other requests came through was %v", shortest)
	}
}

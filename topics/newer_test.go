package topics

import (
	"encoding/binary"
	"errors"
	"testing"

	"oms/schemas"
)

func TestOnlyRecordsOfThisSystemWaitForANewerBuild(t *testing.T) {
	unknown := binary.BigEndian.AppendUint32([]byte{0}, 1_000_000)
	known, err := schemas.Encode(&schemas.OrderDeadlineReached{OrderID: "o"})
	if err != nil {
		t.Fatal(err)
	}
	tick := Headers{}
	for name, v := range HeadersOf(&schemas.OrderDeadlineReached{OrderID: "o"}, "orders", 1, nil) {
		tick[name] = v
	}
	for name, c := range map[string]struct {
		topic   Topic
		value   []byte
		headers Headers
		newer   bool
	}{
		"a stranger's":           {OrderCommands, unknown, Headers{}, false},
		"a stranger's event":     {OrderCommands, unknown, Headers{HeaderSource: []byte("/shop/web")}, false},
		"a command":              {OrderCommands, unknown, Headers{HeaderSource: []byte("/oms/ingest")}, true},
		"said among rooms":       {ProductCommands, unknown, Headers{HeaderCorrelation: []byte("cmd_1")}, true},
		"a deadline":             {OrderCommands, unknown, tick, true},
		"a row":                  {OrdersTable, unknown, Headers{}, true},
		"a row that we can read": {OrdersTable, known, Headers{}, false},
		"not in a frame":         {OrdersTable, []byte("rubbish"), Headers{}, false},
		"one that we can read":   {OrderCommands, known, tick, false},
	} {
		if err := Newer(c.topic.Name, c.value, func(name string) []byte { return c.headers[name] }); errors.Is(err, schemas.ErrNewer) != c.newer || err != nil && !c.newer {
			t.Errorf("%s: %v", name, err)
		}
	}
}

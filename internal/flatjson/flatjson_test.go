package flatjson

import (
	"encoding/json"
	"maps"
	"math"
	"testing"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	o := Begin([]byte(`before `))
	o.Number("least", math.MinInt64)
	o.Text("empty", "")
	o.SomeText("absent", "")
	o.SomeText("escaped", "\"\\\x00\n</é\u2028")
	b, err := o.End()
	if err != nil || string(b[:8]) != `before {` {
		t.Fatalf("%s, %v", b, err)
	}
	read := map[string]any{}
	if err := json.Unmarshal(b[7:], &read); err != nil {
		t.Fatal(err)
	}
	if want := (map[string]any{"least": float64(math.MinInt64), "empty": "", "escaped": "\"\\\x00\n</é\u2028"}); !maps.Equal(read, want) {
		t.Errorf("%s is read as %v, want %v", b, read, want)
	}
	none := Begin(nil)
	if b, err := none.End(); string(b) != "{}" || err != nil {
		t.Errorf("%s, %v", b, err)
	}
}

func TestTextThatIsNoUTF8IsRefused(t *testing.T) {
	o := Begin(nil)
	o.Text("bad", "a\xff")
	o.Text("good", "a")
	if b, err := o.End(); err == nil {
		t.Errorf("%s", b)
	}
}

func BenchmarkObject(b *testing.B) {
	b.ReportAllocs()
	var space [512]byte
	for b.Loop() {
		o := Begin(space[:0])
		o.Text("order_id", "ord_01HZY4Z3K9QWERTYUIOPASDFGH")
		o.Text("payment_id", "ord_01HZY4Z3K9QWERTYUIOPASDFGH.p1")
		o.SomeText("authorization_id", "")
		o.Text("method", "CARD")
		o.Text("token", "tok_visa")
		o.Text("capture", "AT_PLACING")
		o.Number("amount_minor", 12345)
		o.Text("currency", "EUR")
		if _, err := o.End(); err != nil {
			b.Fatal(err)
		}
	}
}

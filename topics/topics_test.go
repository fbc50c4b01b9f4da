package topics

import (
	"maps"
	"testing"

	"oms/schemas"
)

func TestEveryMessageHasOneHomeThatIsATopic(t *testing.T) {
	known := map[string]bool{}
	for _, topic := range All {
		if known[topic.Name] {
			t.Errorf("%s is there twice", topic.Name)
		}
		known[topic.Name] = true
	}
	for _, k := range schemas.Kinds() {
		m := k.Info().New()
		switch o := m.(type) {
		case *schemas.CommandRefused:
			o.Family = schemas.FamilyLogin
		case *schemas.CommandRepeated:
			o.Family = schemas.FamilyProduct
		}
		home := Of(m)
		if !known[home.Name] {
			t.Errorf("%s is said on %q, which is not in All", k, home.Name)
		}
		if table := home.Policy == Compact; table != (k.Info().Class == schemas.StateClass) {
			t.Errorf("%s of class %d is said on %s", k, k.Info().Class, home.Name)
		}
	}
	for _, topic := range All {
		if got := len(KindsOf(topic)); got == 0 && topic.Key != "as it came" {
			t.Errorf("nothing is said on %s", topic.Name)
		}
	}
}

func TestFactsAreCloudEventsThatNameTheirCause(t *testing.T) {
	f := &schemas.OrderCreated{OrderID: "ord_1", Fact: schemas.Fact{Cause: "cmd_9", Version: 3, Ordinal: 1}}
	h := maps.Collect(HeadersOf(f, "orders", 1_700_000_000_123, Headers{HeaderTrace: []byte("00-a-b-01"), HeaderCorrelation: []byte("cmd_1")}))
	for name, want := range map[string]string{HeaderSpecVersion: "1.0", HeaderID: "ord_1.3.1", HeaderType: "oms.order.OrderCreated", HeaderSource: "/oms/orders", HeaderSubject: "ord_1",
		HeaderTime: "2023-11-14T22:13:20.123Z", HeaderTrace: "00-a-b-01", HeaderCorrelation: "cmd_1", HeaderCause: "cmd_9"} {
		if got := string(h[name]); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if inside := maps.Collect(HeadersOf(&schemas.ReserveStock{Said: schemas.Said{ID: "ord_1.1.0"}}, "orders", 0, Headers{HeaderCorrelation: []byte("cmd_1")})); len(inside) != 1 {
		t.Errorf("what rooms say among themselves carries %d headers, want the correlation alone", len(inside))
	}
}

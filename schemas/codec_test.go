package schemas

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"
)

var update = flag.Bool("update", false, "write the golden bytes of every kind that has none for its newest release")

// fill sets every field below v to a value that depends on n only, so that a field that the codec drops or swaps is seen.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte{byte(*n), 0, 255})
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf(fmt.Sprintf("é%d", *n)), value)
	case reflect.String:
		if symbols, ok := enums[v.Type()]; ok {
			v.SetString(symbols[*n%len(symbols)])
			return
		}
		v.SetString(fmt.Sprintf("s%d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n) * 1_000)
	default:
		panic("schemas: no sample for a " + v.Kind().String())
	}
}

func sample(k Kind) Message {
	m, n := k.Info().New(), 0
	fill(reflect.ValueOf(m).Elem(), &n)
	return m
}

func TestEveryMessageSurvivesItsCodec(t *testing.T) {
	for _, k := range Kinds() {
		want := sample(k)
		b, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := Decode(b); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", k, got, want)
		}
		if writers[k].Version == 1 {
			if out, err := Encode(k.Info().New()); err == nil && len(out) < FrameBytes {
				t.Errorf("%s: frame is missing", k)
			}
		}
	}
}

// The bytes of each version are kept for ever, and what they say under another Avro library is the same.
func TestGoldenBytesAreReadForEver(t *testing.T) {
	for _, r := range Releases() {
		path := filepath.Join("testdata", "golden", fmt.Sprintf("%04d.%s.v%d", r.ID, r.Kind, r.Version))
		raw, err := os.ReadFile(path)
		if os.IsNotExist(err) && *update && r == writers[r.Kind] {
			if raw, err = Encode(sample(r.Kind)); err == nil {
				err = os.WriteFile(path, raw, 0o644)
			}
		}
		if err != nil {
			t.Fatalf("%v (go test ./schemas -update writes it)", err)
		}
		m := Decode(raw)
		if bad, ok := m.(*Malformed); ok {
			t.Fatalf("%s: %s", path, bad.Reason)
		}
		if r == writers[r.Kind] {
			if again, err := Encode(m); err != nil || !bytes.Equal(again, raw) {
				t.Errorf("%s: encodes otherwise than it was: %v", path, err)
			}
		}
		other, err := goavro.NewCodec(r.Text)
		if err != nil {
			t.Fatal(err)
		}
		native, rest, err := other.NativeFromBinary(raw[FrameBytes:])
		if err != nil || len(rest) > 0 {
			t.Fatalf("%s under goavro: %v, %d bytes left", path, err, len(rest))
		}
		theirs, err := other.TextualFromNative(nil, native)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := r.decoder.EncodeJSON(m)
		if err != nil {
			t.Fatal(err)
		}
		if r == writers[r.Kind] && !reflect.DeepEqual(untagged(t, theirs), untagged(t, ours)) {
			t.Errorf("%s:\ngoavro %s\n  ours %s", path, theirs, ours)
		}
	}
}

// untagged parses Avro JSON and drops the branch names of unions, which the two libraries write differently.
func untagged(t *testing.T, b []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	var strip func(any) any
	strip = func(v any) any {
		switch x := v.(type) {
		case map[string]any:
			if inner, ok := x["long"]; ok && len(x) == 1 {
				return inner
			}
			for k := range x {
				x[k] = strip(x[k])
			}
		case []any:
			for i := range x {
				x[i] = strip(x[i])
			}
		}
		return v
	}
	return strip(v)
}

func TestBytesThatAreNoMessageBecomeMalformed(t *testing.T) {
	good, _ := Encode(sample(KindPlaceOrder))
	for name, b := range map[string][]byte{
		"nothing": nil, "a short frame": {0, 0, 0}, "another magic byte": append([]byte{1}, good[1:]...),
		"an unknown schema id": append([]byte{0, 0xff, 0, 0, 0}, good[5:]...), "a cut body": good[:len(good)-3], "a longer body": append(bytes.Clone(good), 7), "garbage": []byte("\x00\x00\x00\x00\x01garbage"),
	} {
		bad, ok := Decode(b).(*Malformed)
		if !ok {
			t.Errorf("%s was taken for a message", name)
		} else if bad.Reason == "" || !bytes.Equal(bad.Raw, b) {
			t.Errorf("%s: reason %q, raw %x", name, bad.Reason, bad.Raw)
		}
	}
}

func TestTheDeadlineIsReadWithoutDecodingTheRow(t *testing.T) {
	for _, ms := range []int64{0, 1, 1_800_000_000_123, -5} {
		b, err := Encode(&OrderRow{Row: Row{DeadlineMS: ms}, Order: OrderState{Status: OrderStatusPending, FillPolicy: FillPolicyAllOrNothing,
			Payment: PaymentIntent{Method: PaymentMethodCard, Capture: CapturePolicyLater}}})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := Deadline(b); got != ms || ok != (ms != 0) {
			t.Errorf("deadline %d was read as %d, %v", ms, got, ok)
		}
	}
	if _, ok := Deadline([]byte{0, 0, 0, 0, 1}); ok {
		t.Error("a row without a body has a deadline")
	}
}

func TestTheStepIsReadWithoutDecodingTheRow(t *testing.T) {
	for _, want := range []int64{0, 1, 63, 64, 1 << 40} {
		for _, tenant := range []string{"", "default"} {
			b, err := Encode(&LoginRow{Row: Row{DeadlineMS: 1_800_000_000_123, NowMS: 7, Tenant: tenant, Rules: 1, Version: want}, LoginID: "log_1"})
			if err != nil {
				t.Fatal(err)
			}
			if now, got, ok := RowStep(b); now != 7 || got != want || !ok {
				t.Errorf("version %d at 7 was read as %d at %d, %v", want, got, now, ok)
			}
			head := len(b) - len("log_1") - 1 - 4 // behind the head: the id with its length, and four empty fields
			for n := range head {
				if _, got, ok := RowStep(b[:n]); ok {
					t.Errorf("of %d bytes %d a version of %d was read", head, n, got)
				}
			}
		}
	}
}

func FuzzDecodeNeverFails(f *testing.F) {
	for _, k := range Kinds() {
		b, _ := Encode(sample(k))
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if m := Decode(b); m == nil {
			t.Fatal("nil message")
		}
	})
}

func TestEveryStructHasTheFieldsOfItsSchemaInTheSameOrder(t *testing.T) {
	for _, k := range Kinds() {
		var doc struct {
			Fields []struct{ Name, Doc string }
		}
		if err := json.Unmarshal([]byte(working(t, k)), &doc); err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, f := range doc.Fields {
			if want = append(want, f.Name); f.Doc == "" {
				t.Errorf("%s.%s has no doc", k, f.Name)
			}
		}
		var walk func(reflect.Type)
		walk = func(s reflect.Type) {
			for i := range s.NumField() {
				name, inline, _ := strings.Cut(s.Field(i).Tag.Get("avro"), ",")
				if inline == "inline" {
					walk(s.Field(i).Type)
				} else {
					got = append(got, name)
				}
			}
		}
		walk(reflect.TypeOf(k.Info().New()).Elem())
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\nstruct %v\nschema %v", k, got, want)
		}
	}
}

func BenchmarkOrderRow(b *testing.B) {
	row := sample(KindOrderRow)
	raw, _ := Encode(row)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 4096)
		for b.Loop() {
			_, _ = Append(buf[:0], row)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			Decode(raw)
		}
	})
}

func TestALensReadsItsFieldsAndStepsOverTheRest(t *testing.T) {
	type wanted struct {
		Version int64 `avro:"version"`
		Order   struct {
			PlacedAtMS int64       `avro:"placed_at_ms"`
			Status     OrderStatus `avro:"status"`
		} `avro:"order"`
	}
	lens := NewLens[wanted](KindOrderRow)
	row := sample(KindOrderRow).(*OrderRow)
	b, _ := Encode(row)
	got, err := lens.Decode(b)
	if err != nil || got.Version != row.Version || got.Order.Status != row.Order.Status || got.Order.PlacedAtMS != row.Order.PlacedAtMS {
		t.Errorf("read %+v, %v", got, err)
	}
	other, _ := Encode(sample(KindProductRow))
	for name, b := range map[string][]byte{"nothing": nil, "another kind": other, "a cut row": b[:len(b)/2]} {
		if v, err := lens.Decode(b); err == nil {
			t.Errorf("%s was read as %+v", name, v)
		}
	}
}

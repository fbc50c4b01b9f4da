package audit

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"oms/proof/audit/checkpoint"
	"oms/schemas"
	"oms/topics"
)

// reopened are the same books after they were saved and loaded.
func reopened(t *testing.T, a *Auditor, before ...func(*Auditor)) *Auditor {
	t.Helper()
	file := filepath.Join(t.TempDir(), "checkpoint")
	if err := checkpoint.Save(file, a.Fields); err != nil {
		t.Fatal(err)
	}
	b := New()
	for _, do := range before {
		do(b)
	}
	if err := checkpoint.Load(file, b.Fields); err != nil {
		t.Fatal(err)
	}
	return b
}

// An audit that is interrupted anywhere and goes on from its checkpoint says what one says that is not, of a good day and of bad ones.
func TestInterruptedAndResumedIsUninterrupted(t *testing.T) {
	for name, lie := range map[string]func(w *world){
		"a good day":      func(*world) {},
		"a lost movement": func(w *world) { drop(w, 0, w.inventory("tea", "ord_declined", "RELEASED")) },
		"a lost fact":     func(w *world) { drop(w, 0, of[created]("ord_held")) },
		"a dead letter":   func(w *world) { w.bury("oms.order.commands", 3, w.log[len(w.log)-1].Value) },
		"an untaken one":  func(w *world) { w.untaken = topics.OrderCommands.Name },
		"a lost request":  func(w *world) { drop(w, 0, of[*schemas.AuthorizePayment]("ord_held")) },
	} {
		t.Run(name, func(t *testing.T) {
			w, asOf := play(t), time.Now()
			lie(w)
			var want, got strings.Builder
			if err := w.books().Report(asOf, true).JSON(&want); err != nil {
				t.Fatal(err)
			}
			for cut := 0; cut < len(w.log); cut += 7 {
				got.Reset()
				books := w.booksWith(func(n int, a *Auditor) *Auditor {
					if n == cut {
						return reopened(t, a)
					}
					return a
				})
				if err := books.Report(asOf, true).JSON(&got); err != nil {
					t.Fatal(err)
				}
				if got.String() != want.String() {
					t.Fatalf("cut before record %d:\n%s\nwant\n%s", cut, got.String(), want.String())
				}
			}
		})
	}
}

// fill sets every field below v, unexported ones too, to something that is neither zero nor like its neighbour.
func (a *Auditor) fill(t *testing.T, v reflect.Value, n *int, without ...string) {
	t.Helper()
	*n++
	switch v.Interface().(type) {
	case name:
		v.Set(reflect.ValueOf(a.one(fmt.Sprint("name ", *n))))
		return
	case status:
		v.Set(reflect.ValueOf(status(1 + *n%(len(statuses)-1))))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			if name := v.Type().Name() + "." + v.Type().Field(i).Name; !slices.Contains(without, name) {
				a.fill(t, reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem(), n, without...) // the field, writable
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		a.fill(t, v.Elem(), n, without...)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			a.fill(t, v.Index(i), n, without...)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			a.fill(t, key, n, without...)
			a.fill(t, value, n, without...)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(uint64(*n % 250))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n))
	default:
		t.Fatalf("the books have a %s, which this test cannot fill", v.Type())
	}
}

// Whoever adds a field to the books and forgets the checkpoint is told here.
func TestACheckpointForgetsNothing(t *testing.T) {
	without := []string{
		"Auditor.ledger", "Auditor.misheard", // of files, which are read after it is saved
		"Auditor.names", "Auditor.texts", // given anew
		"Law.ID", "Law.Text", "Law.UnderWay", "Law.Partly", "Law.Why", // of the law itself, or set by each audit
	}
	a, n := New(), 0
	a.fill(t, reflect.ValueOf(a).Elem(), &n, without...)
	b := reopened(t, a, func(b *Auditor) { b.names, b.texts = maps.Clone(a.names), slices.Clone(a.texts) }) // the same names for the same texts
	if reflect.DeepEqual(New(), a) || !reflect.DeepEqual(a, b) {
		t.Errorf("saved:\n%+v\nloaded:\n%+v", a, b)
	}
}

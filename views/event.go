package views

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/gofiber/fiber/v2"

	"oms/schemas"
)

// storedFact is a fact about an order, as it lies on disk.
type storedFact struct {
	place
	raw []byte
}

// id of the fact in streams and timelines: version.ordinal, which is what Last-Event-ID brings back.
func (p place) id() string {
	return strconv.FormatInt(p.version, 10) + "." + strconv.Itoa(int(p.ordinal))
}

// factsAfter answers the facts about an order behind a place, in the order of its life. Facts of one step lie on several topics and come by several fetches, so they are
// held back until all are there: the row, which tells how many facts each topic has for it, is in the same transaction. With a topic that was cut by a retention
// time the count can never be met, and such an order's facts stay away.
func (v *Views) factsAfter(id string, after place) ([]storedFact, error) {
	partition, ok := v.home(ordersTable, id)
	if !ok {
		return nil, nil
	}
	if err := v.settle(); err != nil {
		return nil, err
	}
	var stored []byte
	var facts []storedFact
	last := map[source][]byte{}
	err := v.disk.snapshot(func(at pebble.Reader) (err error) {
		if stored, err = lookup(at, rowKey(nil, ordersTable, partition, id)); err != nil {
			return err
		}
		for _, s := range []source{orderEvents, paymentEvents} {
			prefix := factsKey(nil, s, partition, id)
			if err := scan(at, prefix, above(prefix), func(key, value []byte) bool {
				raw := slices.Clone(value)
				if p := placeIn(key[len(prefix):]); p.after(after) {
					facts = append(facts, storedFact{p, raw})
				}
				last[s] = raw
				return true
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || stored == nil {
		return nil, err
	}
	row, err := orderIn(stored)
	if err != nil {
		return nil, err
	}
	for _, s := range []source{orderEvents, paymentEvents} {
		if sequence(last[s]) < s.sequenceIn(row) {
			return nil, nil
		}
	}
	facts = slices.DeleteFunc(facts, func(f storedFact) bool { return f.version > row.Version })
	slices.SortFunc(facts, func(a, b storedFact) int {
		if a.after(b.place) {
			return 1
		}
		return -1
	})
	return facts, nil
}

// sequence of a stored fact; 0 without one. One that this version cannot read counts as the last.
func sequence(raw []byte) int64 {
	if raw == nil {
		return 0
	}
	if fact, ok := schemas.Decode(raw).(interface{ FactHead() *schemas.Fact }); ok {
		return fact.FactHead().Sequence
	}
	return math.MaxInt64
}

// body of a fact for clients, and its type: the fields of its schema by their names, but for what is sealed and who asked for it.
func (f storedFact) body() (kind string, body map[string]any) {
	m := schemas.Decode(f.raw)
	fact, ok := m.(interface{ FactHead() *schemas.Fact })
	if !ok {
		return "Unknown", map[string]any{"id": f.id(), "type": "Unknown"} // of a newer release
	}
	kind = m.Kind().String()
	kind = kind[strings.LastIndexByte(kind, '.')+1:]
	body = plain(reflect.ValueOf(m).Elem()).(map[string]any)
	for _, hidden := range []string{"tenant", "principal", "at_ms", "version", "ordinal", "sequence"} {
		delete(body, hidden)
	}
	body["id"], body["type"], body["at"] = f.id(), kind, timestamp(fact.FactHead().AtMS)
	return kind, body
}

// plain makes a value of a message ready for JSON, with the names of its schema and without bytes, which are sealed data or fingerprints.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Struct:
		fields := map[string]any{}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, option, _ := strings.Cut(f.Tag.Get("avro"), ",")
			switch {
			case option == "inline":
				for name, value := range plain(v.Field(i)).(map[string]any) {
					fields[name] = value
				}
			case f.Type != reflect.TypeFor[[]byte]():
				fields[name] = plain(v.Field(i))
			}
		}
		return fields
	case reflect.Slice:
		items := make([]any, v.Len())
		for i := range items {
			items[i] = plain(v.Index(i))
		}
		return items
	default:
		return v.Interface()
	}
}

// getTimeline answers everything that happened to an order so far.
func (v *Views) getTimeline(c *fiber.Ctx) error {
	row, err := v.own(c)
	if err != nil {
		return err
	}
	facts, err := v.factsAfter(row.OrderID, place{})
	if err != nil {
		return err
	}
	events := make([]any, len(facts))
	for i, f := range facts {
		_, events[i] = f.body()
	}
	raw, err := json.Marshal(map[string]any{"order_id": row.OrderID, "events": events})
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(raw)
}

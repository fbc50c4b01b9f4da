package views

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/schemas"
)

// card is what the indexes know of an order. It lies in front of the order's row on disk, so that the entries of the row before are found without decoding that.
type card struct {
	tenant, customer, status string
	placedMS                 int64
}

// cardLens reads what a card needs of an order's row, in a third of the time that decoding the row takes: every version of every order comes by here.
var cardLens = schemas.NewLens[struct {
	Tenant string `avro:"tenant"`
	Order  struct {
		Status     string `avro:"status"`
		CustomerID string `avro:"customer_id"`
		PlacedAtMS int64  `avro:"placed_at_ms"`
	} `avro:"order"`
}](schemas.KindOrderRow)

func readCard(raw []byte) (card, error) {
	row, err := cardLens.Decode(raw)
	return card{row.Tenant, row.Order.CustomerID, row.Order.Status, row.Order.PlacedAtMS}, err
}

func (c card) append(b []byte) []byte {
	b = appendText(appendText(appendText(b, c.tenant), c.customer), c.status)
	return binary.BigEndian.AppendUint64(b, uint64(c.placedMS))
}

// cutCard is the card in front of a row, and the row.
func cutCard(b []byte) (c card, row []byte, ok bool) {
	var text [3]string
	for i := range text {
		t, rest, ok := cutText(b)
		if !ok {
			return card{}, nil, false
		}
		text[i], b = string(t), rest
	}
	if len(b) < 8 {
		return card{}, nil, false
	}
	return card{text[0], text[1], text[2], int64(binary.BigEndian.Uint64(b))}, b[8:], true
}

// entries of the indexes that the card makes: one among all orders of the tenant, one among those of its status, and one among the customer's unless it is a guest's.
// Only the second ever moves.
func (c card) entries(order string) (keys []string) {
	if c == (card{}) {
		return nil
	}
	place := append(appendNewest(nil, c.placedMS), order...)
	for _, prefix := range [][]byte{placedPrefix(c.tenant), statusPrefix(c.tenant, c.status), customerPrefix(c.tenant, c.customer)} {
		keys = append(keys, string(append(prefix, place...)))
	}
	if c.customer == "" {
		keys = keys[:2]
	}
	return keys
}

func placedPrefix(tenant string) []byte { return appendText([]byte{kindPlaced}, tenant) }

func statusPrefix(tenant, status string) []byte {
	return appendText(appendText([]byte{kindStatus}, tenant), status)
}

func customerPrefix(tenant, customer string) []byte {
	return appendText(appendText([]byte{kindCustomer}, tenant), customer)
}

func cataloguePrefix(tenant string) []byte { return appendText([]byte{kindCatalogue}, tenant) }

// writeOrder puts an order's row and what changes of its index entries into the batch.
func (v *Views) writeOrder(db *pebble.DB, b *pebble.Batch, key []byte, order string, rec *kgo.Record) error {
	was, err := v.cardBefore(db, key, order)
	if err != nil {
		return err
	}
	if rec.Value == nil {
		delete(v.cards, order)
		return reindex(b, key, nil, order, was, card{})
	}
	now, err := readCard(rec.Value)
	if err != nil {
		// A newer release of the system may have written it. It is kept, under the entries of the row before; the next record that is readable mends them.
		v.unreadable(rec, err.Error())
		now = was
	}
	v.remember(order, now)
	return reindex(b, key, append(now.append(make([]byte, 0, len(rec.Value)+96)), rec.Value...), order, was, now)
}

// cardBefore is the card of the row that is stored. An order is looked for again soon after it was written, and mostly not later.
func (v *Views) cardBefore(db *pebble.DB, key []byte, order string) (c card, err error) {
	if c, ok := v.cards[order]; ok {
		return c, nil
	}
	stored, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return card{}, nil
	}
	if err != nil {
		return card{}, err
	}
	defer closer.Close()
	c, _, _ = cutCard(stored)
	return c, nil
}

// rememberedCards bounds the memory of cards; beyond it, all are forgotten and come back from disk.
const rememberedCards = 1 << 15

func (v *Views) remember(order string, c card) {
	if len(v.cards) >= rememberedCards {
		clear(v.cards)
	}
	v.cards[order] = c
}

// reindex replaces a row and moves its entries; a nil row removes both.
func reindex(b *pebble.Batch, key, row []byte, order string, was, now card) error {
	if was != now {
		before, after := was.entries(order), now.entries(order)
		for _, k := range before {
			if !slices.Contains(after, k) {
				if err := b.Delete([]byte(k), nil); err != nil {
					return err
				}
			}
		}
		for _, k := range after {
			if !slices.Contains(before, k) {
				if err := b.Set([]byte(k), nil, nil); err != nil {
					return err
				}
			}
		}
	}
	if row == nil {
		return b.Delete(key, nil)
	}
	return b.Set(key, row, nil)
}

// writeCatalogue lists a product that can be seen. A product that was only asked for has a row as well, but nobody added it.
func (v *Views) writeCatalogue(b *pebble.Batch, key string, rec *kgo.Record) error {
	if rec.Value == nil {
		return nil // the list finds no row behind the entry, and passes it over
	}
	row, ok := schemas.Decode(rec.Value).(*schemas.ProductRow)
	if !ok {
		v.unreadable(rec, "it is no row that this version knows")
		return nil
	}
	if !row.Exists {
		return nil
	}
	return b.Set(append(cataloguePrefix(row.Tenant), row.ProductID...), nil, nil)
}

// unindex takes the entries of a stored row away.
func unindex(b *pebble.Batch, s source, key string, stored []byte) error {
	switch s {
	case ordersTable:
		c, _, _ := cutCard(stored)
		for _, k := range c.entries(key) {
			if err := b.Delete([]byte(k), nil); err != nil {
				return err
			}
		}
	case productsTable:
		if row, ok := schemas.Decode(stored).(*schemas.ProductRow); ok {
			return b.Delete(append(cataloguePrefix(row.Tenant), row.ProductID...), nil)
		}
	}
	return nil
}

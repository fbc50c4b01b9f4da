package views

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"oms/schemas"
)

// card is what the indexes know of an order. It lies in front of the order's row on disk, so that the entries of the row before are found without decoding that.
type card struct {
	tenant, customer, status string
	placedMS                 int64
}

// cardLens reads what a card needs of an order's row, in a third of the time that decoding the row takes: every version of every order comes by here.
var cardLens = schemas.NewLens[struct {
	Tenant  string `avro:"tenant"`
	Version int64  `avro:"version"`
	Order   struct {
		Status     string `avro:"status"`
		CustomerID string `avro:"customer_id"`
		PlacedAtMS int64  `avro:"placed_at_ms"`
	} `avro:"order"`
}](schemas.KindOrderRow)

func readCard(raw []byte) (c card, version int64, err error) {
	row, err := cardLens.Decode(raw)
	return card{row.Tenant, row.Order.CustomerID, row.Order.Status, row.Order.PlacedAtMS}, row.Version, err
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

// cutRow is an order's row without its card.
func cutRow(b []byte) ([]byte, error) {
	_, row, ok := cutCard(b)
	if !ok {
		return nil, errors.New("views: an order is not stored as it should be")
	}
	return row, nil
}

// indexes of orders, each by its kind of key. Only the entry among those of a status ever moves.
var indexes = [...]byte{kindPlaced, kindStatus, kindCustomer}

// appendEntry appends the key of the card's entry in an index: among all orders of the tenant, those of its status, or its customer's. Nothing: there is no entry, since
// there is no card or the order is a guest's.
func (c card) appendEntry(b []byte, index byte, order string) []byte {
	if c == (card{}) || index == kindCustomer && c.customer == "" {
		return b
	}
	of := c.status
	if index == kindCustomer {
		of = c.customer
	}
	return append(appendNewest(appendIndex(b, index, c.tenant, of), c.placedMS), order...)
}

// appendIndex appends the beginning of all entries of an index: of a tenant, and of a status or a customer where the index is by one.
func appendIndex(b []byte, index byte, tenant, of string) []byte {
	b = appendText(append(b, index), tenant)
	if index == kindPlaced {
		return b
	}
	return appendText(b, of)
}

func cataloguePrefix(tenant string) []byte { return appendText([]byte{kindCatalogue}, tenant) }

// writeOrder puts an order's row and what changes of its index entries into the batch.
func (v *Views) writeOrder(db *pebble.DB, b *pebble.Batch, key []byte, at rowAt, r versions) error {
	order := at.key
	was, err := v.cardBefore(db, key, at, r)
	if err != nil {
		return err
	}
	if r.last == nil {
		delete(v.cards, order)
		return errors.Join(reindex(b, order, was, card{}), b.Delete(key, nil))
	}
	now, _, err := readCard(r.last)
	if err != nil {
		// A newer release of the system may have written it. It is kept, under the entries of the row before; the next record that is readable mends them.
		v.unreadable(at.source, at.partition, r.newestAt, err.Error())
		now = was
	}
	v.remember(order, now)
	if err := reindex(b, order, was, now); err != nil {
		return err
	}
	v.row = append(now.append(v.row[:0]), r.last...)
	return b.Set(key, v.row, nil)
}

// cardBefore is the card of the row that is stored, before the first record that is not. An order is looked for again soon after it was written, and mostly not later; before its
// first version there is none, unless the record was in the log already when the reading began: the embedded broker compacts as it starts, and so writes rows once more.
func (v *Views) cardBefore(db *pebble.DB, key []byte, at rowAt, r versions) (c card, err error) {
	if c, ok := v.cards[at.key]; ok {
		return c, nil
	}
	if r.since >= v.gather.fresh[following[at.source].topic.Name][at.partition] {
		if _, version, err := readCard(r.first); err == nil && version == 1 {
			return card{}, nil
		}
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

// reindex moves the entries of an order.
func reindex(b *pebble.Batch, order string, was, now card) error {
	if was == now {
		return nil
	}
	var before, after []byte
	for _, index := range indexes {
		before, after = was.appendEntry(before[:0], index, order), now.appendEntry(after[:0], index, order)
		if bytes.Equal(before, after) {
			continue
		}
		if len(before) > 0 {
			if err := b.Delete(before, nil); err != nil {
				return err
			}
		}
		if len(after) > 0 {
			if err := b.Set(after, nil, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// catalogueLens reads of a product's row what its entry is made of, for each version comes by here too.
var catalogueLens = schemas.NewLens[struct {
	Tenant    string `avro:"tenant"`
	ProductID string `avro:"product_id"`
	Exists    bool   `avro:"exists"`
}](schemas.KindProductRow)

// writeCatalogue lists a product that can be seen. A product that was only asked for has a row as well, but nobody added it.
func (v *Views) writeCatalogue(b *pebble.Batch, at rowAt, r versions) error {
	if r.last == nil {
		return nil // the list finds no row behind the entry, and passes it over
	}
	row, err := catalogueLens.Decode(r.last)
	if err != nil {
		v.unreadable(at.source, at.partition, r.newestAt, err.Error())
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
		return reindex(b, key, c, card{})
	case productsTable:
		if row, ok := schemas.Decode(stored).(*schemas.ProductRow); ok {
			return b.Delete(append(cataloguePrefix(row.Tenant), row.ProductID...), nil)
		}
	}
	return nil
}

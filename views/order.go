package views

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"oms/internal/seal"
	"oms/internal/web"
	"oms/schemas"
)

// orderBody is an order as clients see it.
type orderBody struct {
	OrderID           string            `json:"order_id"`
	Status            string            `json:"status"`
	Version           int64             `json:"version"`
	PaymentStatus     string            `json:"payment_status"`
	FulfillmentStatus string            `json:"fulfillment_status"`
	ReturnStatus      string            `json:"return_status"`
	CustomerID        string            `json:"customer_id,omitempty"`
	Currency          string            `json:"currency"`
	TotalMinor        int64             `json:"total_minor"` // 0 until the lines are priced
	Lines             []lineBody        `json:"lines"`
	Reasons           []schemas.Reason  `json:"reasons"`
	PlacedAt          string            `json:"placed_at"`
	DeadlineAt        string            `json:"deadline_at,omitempty"`
	FillPolicy        string            `json:"fill_policy"`
	ClientReference   string            `json:"client_reference,omitempty"`
	Metadata          map[string]string `json:"metadata,omitempty"`
	ShippingAddress   json.RawMessage   `json:"shipping_address,omitempty"` // null: erased, or its key is lost
	BillingAddress    json.RawMessage   `json:"billing_address,omitempty"`
}

type lineBody struct {
	Line           int32  `json:"line"`
	ProductID      string `json:"product_id"`
	Name           string `json:"name,omitempty"`
	Quantity       int64  `json:"quantity"`
	UnitPriceMinor int64  `json:"unit_price_minor"`
	Status         string `json:"status"`
	Reason         string `json:"reason,omitempty"`
	Available      *int64 `json:"available,omitempty"` // of a line that was refused for stock
}

// orderOf is the body of a row without what is sealed.
func orderOf(row *schemas.OrderRow) *orderBody {
	o := &row.Order
	b := &orderBody{
		OrderID: row.OrderID, Status: string(o.Status), Version: row.Version,
		PaymentStatus: row.PaymentStatus(), FulfillmentStatus: row.FulfillmentStatus(), ReturnStatus: row.ReturnStatus(),
		CustomerID: o.CustomerID, Currency: o.Currency, TotalMinor: o.TotalMinor, Lines: make([]lineBody, len(o.Lines)), Reasons: o.Reasons,
		PlacedAt: timestamp(o.PlacedAtMS), FillPolicy: string(o.FillPolicy), ClientReference: o.ClientReference, Metadata: schemas.NotesMap(o.Metadata),
	}
	if b.Reasons == nil {
		b.Reasons = []schemas.Reason{}
	}
	if o.DeadlineMS != 0 {
		b.DeadlineAt = timestamp(o.DeadlineMS) // the row's own may be a payment's, which is no promise to anybody
	}
	for i := range o.Lines {
		l := &o.Lines[i]
		b.Lines[i] = lineBody{Line: l.Line, ProductID: l.ProductID, Name: l.Name, Quantity: l.Quantity, UnitPriceMinor: l.UnitPriceMinor, Status: string(l.Status)}
		if l.Reason != schemas.ReasonNone {
			b.Lines[i].Reason = string(l.Reason)
		}
		if l.Reason == schemas.ReasonOutOfStock {
			b.Lines[i].Available = &l.Available
		}
	}
	return b
}

// timestamp of UTC milliseconds, RFC 3339.
func timestamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

var null = json.RawMessage("null")

// lostKey tells whether data stays closed because its key is lost. The rest of the row is still good, so it is no fault of the question.
func (v *Views) lostKey(err error) bool {
	if !errors.Is(err, seal.ErrLost) {
		return false
	}
	v.metrics.lostKeys.Inc()
	v.lost.Do(func() {
		v.log.Error("views: personal data is answered as null, since its key is lost; the metric views_lost_keys_total counts on", "error", err)
	})
	return true
}

// unseal opens sealed JSON; null when its subject was erased or its key is lost, nothing when there was nothing.
func (v *Views) unseal(sealed []byte) (json.RawMessage, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	plain, err := v.cfg.Unseal.Open(sealed)
	if errors.Is(err, seal.ErrErased) || v.lostKey(err) {
		return null, nil
	}
	if err == nil && !json.Valid(plain) {
		err = errors.New("what was sealed is no JSON")
	}
	if err != nil {
		return nil, fmt.Errorf("views: opening sealed data: %w", err)
	}
	return plain, nil
}

// orderRow reads an order; nil when there is none in the tenant.
func (v *Views) orderRow(tenant, id string) (*schemas.OrderRow, error) {
	raw, err := v.stored(ordersTable, id)
	if err != nil || raw == nil {
		return nil, err
	}
	row, err := rowIn[*schemas.OrderRow](raw)
	if err != nil || row.Tenant != tenant {
		return nil, err
	}
	return row, nil
}

// orderIn decodes a stored order.
func orderIn(stored []byte) (*schemas.OrderRow, error) {
	raw, err := cutRow(stored)
	if err != nil {
		return nil, err
	}
	return rowIn[*schemas.OrderRow](raw)
}

// rowIn decodes a stored row.
func rowIn[R schemas.Message](raw []byte) (R, error) {
	m := schemas.Decode(raw)
	row, ok := m.(R)
	if bad, malformed := m.(*schemas.Malformed); malformed {
		return row, fmt.Errorf("views: a stored row cannot be read: %s", bad.Reason)
	}
	if !ok {
		return row, fmt.Errorf("views: a stored row is a %s", m.Kind())
	}
	return row, nil
}

// ownOrder is an order that the principal may see: its own, or any of the tenant's for the staff.
func (v *Views) ownOrder(who web.Principal, id string) (*schemas.OrderRow, error) {
	row, err := v.orderRow(who.Tenant, id)
	if row == nil || !owns(who, row.Order.CustomerID, row.Order.Principal) {
		return nil, err
	}
	return row, nil
}

// orderDocument is an order with its addresses, for its owner or the staff.
func (v *Views) orderDocument(row *schemas.OrderRow) (doc web.Document, err error) {
	body := orderOf(row)
	if body.ShippingAddress, err = v.unseal(row.Order.ShippingAddress); err != nil {
		return doc, err
	}
	if body.BillingAddress, err = v.unseal(row.Order.BillingAddress); err != nil {
		return doc, err
	}
	return document(body, row.Version)
}

func document(body any, version int64) (web.Document, error) {
	raw, err := json.Marshal(body)
	return web.Document{Body: raw, Version: version, Found: true}, err
}

// Order answers the tenant's order as soon as its row has the version and, when decided is wanted, waits for no decision any more. When the context ends before,
// the answer is the order as it is and the context's error.
func (v *Views) Order(ctx context.Context, tenant, id string, minVersion int64, decided bool) (web.Document, error) {
	row, err := await(ctx, v, orderFamily, id, func() (*schemas.OrderRow, bool, error) {
		row, err := v.orderRow(tenant, id)
		if row == nil {
			return nil, minVersion <= 0 && !decided, err
		}
		return row, row.Version >= minVersion && (!decided || isDecided(row.Order.Status)), err
	})
	return shown(row, err, v.orderDocument)
}

func isDecided(s schemas.OrderStatus) bool {
	return s != schemas.OrderStatusPending && s != schemas.OrderStatusCancelling
}

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"oms/proof/workload"
	"oms/schemas"
)

// hotProduct lets a tenth more buyers than there are units come for one product. Orders on invoice: every order meets the product's row, and nothing else is in its way.
func hotProduct(ctx context.Context, r *run) (Result, error) {
	shop, err := r.shop(ctx, workload.Shop{Products: 1, OnHand: r.Units})
	if err != nil {
		return Result{}, err
	}
	orders := int(r.Units + r.Units/10)
	result, err := r.fixed(ctx, "one product, one unit, invoice", orders, func(n int) *schemas.PlaceOrder { return r.single(n, shop.ProductID(0)) }, 0)
	if err != nil {
		return Result{}, err
	}
	// Every reservation counts, the refused ones were decided by the same row too but sold nothing.
	reserved, onHand, err := r.stock(ctx, shop.ProductID(0), result.Outcomes[string(schemas.OrderStatusConfirmed)])
	if err != nil {
		return Result{}, err
	}
	oversold := max(reserved-onHand, result.Outcomes[string(schemas.OrderStatusConfirmed)]-r.Units, 0)
	result.Oversold = &oversold
	return result, nil
}

// memory holds orders on invoice, each confirmed and none shipped, and lets the system come to rest before it looks.
func memory(ctx context.Context, r *run) (Result, error) {
	shop, err := r.shop(ctx, workload.Shop{Products: catalogue, OnHand: plenty})
	if err != nil {
		return Result{}, err
	}
	return r.hold(ctx, shop, 0, r.Live, 3*time.Second)
}

func onInvoice(o workload.Order) *schemas.PlaceOrder {
	o.Payment = workload.Payment{Method: string(schemas.PaymentMethodInvoice)}
	return placing(o)
}

// single is an order for one unit, on invoice.
func (r *run) single(n int, productID string) *schemas.PlaceOrder {
	return onInvoice(workload.Order{Key: fmt.Sprintf("%sh%08d", r.prefix, n), CustomerID: fmt.Sprintf("cus_%s%06d", r.prefix, n%1_000), Currency: workload.Currency,
		Lines: []workload.Line{{ProductID: productID, Quantity: 1}}})
}

// stock asks the server for the product's units until it has seen the reservations, for the read side follows the topics on its own.
func (r *run) stock(ctx context.Context, productID string, reservations int64) (reserved, onHand int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var body struct {
			OnHand   int64 `json:"on_hand"`
			Reserved int64 `json:"reserved"`
		}
		raw, err := r.get(ctx, "/api/inventory/"+url.PathEscape(productID))
		if err == nil {
			err = json.Unmarshal(raw, &body)
		}
		if err != nil {
			return 0, 0, err
		}
		if body.Reserved >= reservations {
			return body.Reserved, body.OnHand, nil
		}
		if err := sleep(ctx, 50*time.Millisecond, func() {}); err != nil {
			return 0, 0, fmt.Errorf("%d orders are confirmed but the server shows %d units of %s as reserved", reservations, body.Reserved, productID)
		}
	}
}

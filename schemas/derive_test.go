package schemas

import "testing"

func TestPaymentStatusFollowsFromTheLedger(t *testing.T) {
	payments := func(s ...PaymentStatus) (all []PaymentState) {
		for _, one := range s {
			all = append(all, PaymentState{Status: one})
		}
		return all
	}
	for _, c := range []struct {
		want     string
		ledger   Ledger
		payments []PaymentState
	}{
		{"NONE", Ledger{}, nil},
		{"NONE", Ledger{}, payments(PaymentStatusDeclined)},
		{"PENDING", Ledger{Goods: 100}, payments(PaymentStatusDeclined, PaymentStatusAuthorizing)},
		{"PENDING", Ledger{Goods: 100}, payments(PaymentStatusCreated)},
		{"PARTIALLY_AUTHORIZED", Ledger{Goods: 90, Tax: 20, Shipping: 5, Discount: 15, Authorized: 99}, payments(PaymentStatusAuthorized)},
		{"AUTHORIZED", Ledger{Goods: 90, Tax: 20, Shipping: 5, Discount: 15, Authorized: 100}, payments(PaymentStatusAuthorized)},
		{"PARTIALLY_PAID", Ledger{Goods: 100, Captured: 99, Authorized: 1}, payments(PaymentStatusCaptured)},
		{"PAID", Ledger{Goods: 100, Captured: 100}, payments(PaymentStatusCaptured)},
		{"PAID", Ledger{Captured: 100, Credit: 100}, payments(PaymentStatusRefunding)}, // the order is gone, the money not back yet
		{"PARTIALLY_REFUNDED", Ledger{Goods: 60, Captured: 100, Refunded: 40}, payments(PaymentStatusPartiallyRefunded)},
		{"REFUNDED", Ledger{Captured: 100, Refunded: 100}, payments(PaymentStatusRefunded)},
		{"VOIDED", Ledger{}, payments(PaymentStatusDeclined, PaymentStatusVoided)},
	} {
		if got := (&OrderRow{Ledger: c.ledger, Payments: c.payments}).PaymentStatus(); got != c.want {
			t.Errorf("%+v %v: %s, want %s", c.ledger, c.payments, got, c.want)
		}
	}
}

func TestFulfillmentAndReturnStatusFollowFromTheLines(t *testing.T) {
	for _, c := range []struct {
		fulfilled, returned string
		status              OrderStatus
		lines               []LineState
	}{
		{"UNFULFILLED", "NONE", OrderStatusConfirmed, []LineState{{Quantity: 2, Reserved: 2}}},
		{"UNFULFILLED", "NONE", OrderStatusCancelled, []LineState{{Quantity: 2, Cancelled: 2}}},
		{"ON_HOLD", "NONE", OrderStatusOnHold, []LineState{{Quantity: 2, Reserved: 2}}},
		{"BACKORDERED", "NONE", OrderStatusConfirmed, []LineState{{Quantity: 2, Backordered: 1, Reserved: 1}}},
		{"PARTIALLY_FULFILLED", "NONE", OrderStatusConfirmed, []LineState{{Quantity: 2, Shipped: 2}, {Quantity: 1, Backordered: 1}}},
		{"FULFILLED", "NONE", OrderStatusConfirmed, []LineState{{Quantity: 2, Shipped: 2}, {Quantity: 1, Cancelled: 1}}},
		{"PARTIALLY_DELIVERED", "NONE", OrderStatusConfirmed, []LineState{{Quantity: 2, Shipped: 2, Delivered: 1}}},
		{"DELIVERED", "PARTIALLY_RETURNED", OrderStatusCompleted, []LineState{{Quantity: 2, Shipped: 2, Delivered: 2, Returned: 1}}},
		{"DELIVERED", "RETURNED", OrderStatusCompleted, []LineState{{Quantity: 2, Shipped: 2, Delivered: 2, Returned: 2}}},
	} {
		row := &OrderRow{Order: OrderState{Status: c.status, Lines: c.lines}}
		if f, r := row.FulfillmentStatus(), row.ReturnStatus(); f != c.fulfilled || r != c.returned {
			t.Errorf("%s %+v: %s and %s, want %s and %s", c.status, c.lines, f, r, c.fulfilled, c.returned)
		}
	}
}

package schemas

// Statuses that follow from quantities and money. They are never stored, so they cannot disagree with what they follow from.

// PaymentStatus of the order: NONE, PENDING, PARTIALLY_AUTHORIZED, AUTHORIZED, PARTIALLY_PAID, PAID, PARTIALLY_REFUNDED, REFUNDED or VOIDED.
func (r *OrderRow) PaymentStatus() string {
	l := &r.Ledger
	due := l.Goods + l.Tax + l.Shipping - l.Discount + l.Credit
	switch {
	case l.Refunded > 0 && l.Refunded >= l.Captured:
		return "REFUNDED"
	case l.Refunded > 0:
		return "PARTIALLY_REFUNDED"
	case l.Captured > 0 && l.Captured >= due:
		return "PAID"
	case l.Captured > 0:
		return "PARTIALLY_PAID"
	case l.Authorized > 0 && l.Authorized >= due:
		return "AUTHORIZED"
	case l.Authorized > 0:
		return "PARTIALLY_AUTHORIZED"
	}
	status := "NONE"
	for i := range r.Payments {
		switch r.Payments[i].Status {
		case PaymentStatusVoided:
			status = "VOIDED"
		case PaymentStatusDeclined:
		default:
			return "PENDING"
		}
	}
	return status
}

// FulfillmentStatus of the order: UNFULFILLED, ON_HOLD, BACKORDERED, PARTIALLY_FULFILLED, FULFILLED, PARTIALLY_DELIVERED or DELIVERED.
func (r *OrderRow) FulfillmentStatus() string {
	var wanted, shipped, delivered, backordered int64
	for i := range r.Order.Lines {
		l := &r.Order.Lines[i]
		wanted += l.Quantity - l.Cancelled
		shipped += l.Shipped
		delivered += l.Delivered
		backordered += l.Backordered
	}
	switch {
	case delivered > 0 && delivered >= wanted:
		return "DELIVERED"
	case delivered > 0:
		return "PARTIALLY_DELIVERED"
	case shipped > 0 && shipped >= wanted:
		return "FULFILLED"
	case shipped > 0:
		return "PARTIALLY_FULFILLED"
	case r.Order.Status == OrderStatusOnHold:
		return "ON_HOLD"
	case backordered > 0:
		return "BACKORDERED"
	}
	return "UNFULFILLED"
}

// ReturnStatus of the order: NONE, PARTIALLY_RETURNED or RETURNED.
func (r *OrderRow) ReturnStatus() string {
	var delivered, returned int64
	for i := range r.Order.Lines {
		delivered += r.Order.Lines[i].Delivered
		returned += r.Order.Lines[i].Returned
	}
	switch {
	case returned == 0:
		return "NONE"
	case returned < delivered:
		return "PARTIALLY_RETURNED"
	}
	return "RETURNED"
}

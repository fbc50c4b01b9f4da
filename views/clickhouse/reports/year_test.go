package reports_test

import (
	"fmt"
	"time"

	"oms/schemas"
)

// now is when the reports are asked.
var now = time.Date(2026, 5, 5, 0, 0, 0, 0, time.UTC)

func day(month time.Month, d, hour, minute int) time.Time {
	return time.Date(2026, month, d, hour, minute, 0, 0, time.UTC)
}

const (
	authorized = schemas.PaymentOutcomeAuthorized
	captured   = schemas.PaymentOutcomeCaptured
)

// stream is everything that is said in a small shop from January to May, some of it behind now, and a little by another shop.
func stream() []schemas.Message {
	s := &shop{tenant: "shop", stock: map[string]*stock{}}
	s.opening()
	s.months()
	s.may()
	s.refusals()
	s.cancels()
	s.odd()
	o := &shop{tenant: "other", stock: map[string]*stock{}}
	o.product(day(1, 1, 0, 0), "tea", "Not our tea", "Elsewhere", 99, "USD", 0)
	o.adjust(day(1, 1, 0, 1), "tea", "main", 1_000_000, "")
	o.confirm(o.place(day(5, 1, 8, 0), order{id: "other-1", customer: "ada", country: "US", currency: "USD", lines: []line{{"tea", 77_777, 99, nil}}}), 1234, captured)
	o.reject(o.place(day(5, 2, 8, 0), order{id: "other-2", currency: "USD", lines: []line{{"tea", 9_999_999, 99, nil}}}), 5, schemas.ReasonOutOfStock,
		schemas.LineReason{Line: 1, ProductID: "tea", Reason: schemas.ReasonOutOfStock, Quantity: 9_999_999, Available: 1})
	return append(s.said, o.said...)
}

func (s *shop) opening() {
	s.product(day(1, 1, 0, 0), "tea", "Green tea", "Drinks", 450, "EUR", 5)
	s.product(day(1, 1, 0, 0), "cup", "Cup", "Kitchen", 1200, "EUR", 0)
	s.product(day(1, 1, 0, 0), "pot", "Pot", "Kitchen", 3900, "EUR", 0)
	s.product(day(1, 1, 0, 0), "kite", "Kite", "Toys", 2500, "GBP", 0)
	s.product(day(1, 1, 0, 0), "ink", "Ink", "", 300, "JPY", 0)
	s.product(day(1, 2, 0, 0), "lamp", "Lamp", "Home", 5000, "EUR", 0) // nobody wants it
	s.adjust(day(1, 1, 1, 0), "tea", "main", 20, "opening")
	s.adjust(day(1, 1, 1, 0), "cup", "main", 8, "opening")
	s.adjust(day(1, 1, 1, 0), "cup", "north", 10, "opening")
	s.adjust(day(1, 1, 1, 0), "pot", "main", 10, "opening")
	s.adjust(day(1, 1, 1, 0), "kite", "main", 50, "opening")
	s.adjust(day(1, 1, 1, 0), "ink", "main", 1000, "opening")
	s.adjust(day(1, 2, 1, 0), "lamp", "main", 7, "opening")
}

// months brings customers who come again.
func (s *shop) months() {
	for i, b := range []struct {
		at                          time.Time
		customer, country, currency string
		lines                       []line
	}{
		{day(1, 10, 9, 0), "ada", "DE", "EUR", []line{{"tea", 2, 450, nil}}},
		{day(1, 20, 18, 30), "bob", "AT", "EUR", []line{{"cup", 1, 1200, nil}}},
		{day(1, 31, 23, 59), "ada", "DE", "EUR", []line{{"tea", 1, 450, nil}}},
		{day(2, 3, 7, 15), "ada", "DE", "EUR", []line{{"tea", 1, 450, nil}, {"cup", 1, 1200, nil}}},
		{day(2, 14, 12, 0), "cem", "GB", "GBP", []line{{"kite", 1, 2500, nil}}},
		{day(3, 5, 20, 45), "bob", "AT", "EUR", []line{{"tea", 4, 440, nil}}},
		{day(4, 30, 23, 58), "ada", "DE", "EUR", []line{{"pot", 1, 3900, nil}}},
	} {
		o := s.place(b.at, order{id: fmt.Sprintf("m-%d", i), customer: b.customer, country: b.country, currency: b.currency, lines: b.lines})
		s.confirm(o, 20+int64(i), authorized)
		s.capture(o, 60_000)
	}
}

// may is the days that most reports look at.
func (s *shop) may() {
	o := s.place(day(5, 1, 8, 0), order{id: "a-1", country: "DE", currency: "EUR", lines: []line{{"tea", 1, 450, nil}}})
	s.confirm(o, 25, captured) // taken at once
	o = s.place(day(5, 1, 8, 30), order{id: "a-2", customer: "cem", country: "GB", currency: "GBP", lines: []line{{"kite", 2, 2500, nil}}})
	s.confirm(o, 40, authorized)
	s.capture(o, 1000)
	o = s.place(day(5, 1, 9, 0), order{id: "a-3", customer: "eve", country: "JP", currency: "JPY", method: schemas.PaymentMethodPaypal, provider: "paypal", lines: []line{{"ink", 10, 300, nil}}})
	s.confirm(o, 31, authorized)
	s.capture(o, 2000)
	o = s.place(day(5, 1, 10, 0), order{id: "a-4", currency: "EUR", lines: []line{ // from two places, its country not known
		{"cup", 9, 1200, []schemas.Allocation{{LocationID: "main", Quantity: 6}, {LocationID: "north", Quantity: 3}}}, {"tea", 2, 450, nil}, {"tea", 1, 450, nil}}})
	s.confirm(o, 55, authorized)
	s.answer(o, 3000, schemas.PaymentOperationCapture, schemas.PaymentOutcomeDeclined, "try_later") // and then it is
	s.capture(o, 90_000)
	o = s.place(day(5, 1, 23, 59), order{id: "a-5", customer: "eve", country: "JP", currency: "JPY", method: schemas.PaymentMethodPaypal, provider: "paypal", lines: []line{{"ink", 1, 301, nil}}})
	s.answer(o, 700, schemas.PaymentOperationAuthorize, schemas.PaymentOutcomeRequiresAction, "3ds")
	s.confirm(o, 61_500, captured) // on the next day
	o = s.place(day(5, 3, 11, 11), order{id: "a-6", customer: "bob", country: "AT", currency: "EUR", lines: []line{{"pot", 2, 3900, nil}}})
	s.confirm(o, 18, authorized) // not captured yet
}

// refusals has an order for each reason there is.
func (s *shop) refusals() {
	at := day(5, 2, 9, 0)
	one := func(reason schemas.Reason, product string, quantity, available int64) {
		at = at.Add(10 * time.Minute)
		o := s.place(at, order{id: "r-" + string(reason), customer: "dora", country: "FR", currency: "EUR", lines: []line{{"tea", 1, 450, nil}, {product, quantity, 450, nil}}})
		s.reject(o, 12, reason, schemas.LineReason{Line: 2, ProductID: product, Reason: reason, Quantity: quantity, Available: available})
	}
	one(schemas.ReasonUnknownProduct, "ghost", 1, 0)
	one(schemas.ReasonNotForSale, "lamp", 1, 0)
	one(schemas.ReasonCurrencyMismatch, "kite", 1, 0)
	one(schemas.ReasonPriceChanged, "cup", 2, 0)
	one(schemas.ReasonOutOfStock, "pot", 100, 9)
	for _, reason := range []schemas.Reason{schemas.ReasonTotalChanged, schemas.ReasonTotalOverLimit, schemas.ReasonPaymentUnavailable} {
		at = at.Add(10 * time.Minute)
		s.reject(s.place(at, order{id: "r-" + string(reason), country: "FR", currency: "EUR", lines: []line{{"cup", 1, 1200, nil}}}), 14, reason)
	}
	for i, why := range []string{"insufficient_funds", "insufficient_funds", "do_not_honour"} {
		at = at.Add(10 * time.Minute)
		o := s.place(at, order{id: fmt.Sprintf("r-declined-%d", i), country: "FR", currency: "EUR", lines: []line{{"cup", 1, 1200, nil}}})
		s.hold(o, 5, schemas.MovementReserved)
		s.answer(o, 30, schemas.PaymentOperationAuthorize, schemas.PaymentOutcomeDeclined, why)
		s.reject(o, 31, schemas.ReasonPaymentDeclined)
		s.hold(o, 33, schemas.MovementReleased)
	}
	// Two lines of one order beyond the stock, and the same product in another order.
	o := s.place(day(5, 2, 15, 0), order{id: "r-two", country: "DE", currency: "EUR", lines: []line{{"pot", 20, 3900, nil}, {"cup", 50, 1200, nil}}})
	s.reject(o, 9, schemas.ReasonOutOfStock, schemas.LineReason{Line: 1, ProductID: "pot", Reason: schemas.ReasonOutOfStock, Quantity: 20, Available: 9},
		schemas.LineReason{Line: 2, ProductID: "cup", Reason: schemas.ReasonOutOfStock, Quantity: 50, Available: 7})
}

// cancels has orders that are cancelled at each stage, one that expires, and one that waits.
func (s *shop) cancels() {
	o := s.place(day(5, 2, 16, 0), order{id: "c-expired", country: "DE", currency: "EUR", lines: []line{{"tea", 1, 450, nil}}})
	s.expire(o, 900_000)
	o = s.place(day(5, 2, 17, 0), order{id: "c-pending", customer: "eve", country: "JP", currency: "JPY", lines: []line{{"ink", 5, 300, nil}}})
	s.askCancel(o, 8, schemas.ReasonCancelledByCustomer)
	s.answer(o, 300, schemas.PaymentOperationAuthorize, authorized, "") // late
	s.cancelled(o, 420, schemas.PaymentOperationVoid, schemas.PaymentOutcomeVoided)
	o = s.place(day(5, 3, 8, 0), order{id: "c-refund", customer: "cem", country: "GB", currency: "GBP", lines: []line{{"kite", 3, 2500, nil}}})
	s.confirm(o, 22, authorized)
	s.capture(o, 1500)
	s.askCancel(o, 7_200_000, schemas.ReasonCancelledByCustomer)
	s.cancelled(o, 7_200_900, schemas.PaymentOperationRefund, schemas.PaymentOutcomeRefunded)
	o = s.place(day(5, 3, 9, 0), order{id: "c-void", country: "DE", currency: "EUR", lines: []line{{"tea", 3, 450, nil}}})
	s.confirm(o, 27, authorized)
	s.askCancel(o, 600_000, schemas.ReasonCancelledByStaff)
	s.cancelled(o, 600_250, schemas.PaymentOperationVoid, schemas.PaymentOutcomeVoided)
	o = s.place(day(5, 4, 9, 0), order{id: "c-under-way", customer: "fay", country: "DE", currency: "EUR", lines: []line{{"cup", 1, 1200, nil}}})
	s.confirm(o, 21, captured)
	s.askCancel(o, 3_600_000, schemas.ReasonCancelledByStaff) // the refund is not answered yet
	s.place(day(5, 4, 23, 59), order{id: "c-waits", customer: "gus", country: "DE", currency: "EUR", lines: []line{{"tea", 1, 450, nil}}})
}

// odd is what lies at the ends: stock that runs out and comes back, and facts at and behind now.
func (s *shop) odd() {
	left := s.stock["tea"].available()
	o := s.place(day(5, 4, 10, 0), order{id: "z-last", customer: "ada", country: "DE", currency: "EUR", lines: []line{{"tea", left, 450, nil}}})
	s.confirm(o, 19, authorized)
	s.capture(o, 500)
	s.adjust(day(5, 4, 18, 0), "tea", "north", 30, "delivery")
	s.adjust(day(5, 4, 18, 5), "pot", "main", -1, "broken")
	for i, at := range []time.Time{now, now.AddDate(0, 0, 1)} {
		o := s.place(at, order{id: fmt.Sprintf("z-%d", i), customer: "ada", country: "DE", currency: "EUR", lines: []line{{"lamp", 1, 5000, nil}}})
		s.confirm(o, 10, captured)
	}
	s.product(now.AddDate(0, 0, 1), "late", "Latecomer", "Home", 1, "EUR", 0)
}

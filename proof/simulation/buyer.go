package simulation

import (
	"fmt"
	"math"

	"oms/proof/workload"
	"oms/schemas"
)

// buyer is who places one order, and whatever is asked about it afterwards.
type buyer struct {
	w *world
	*actor
	n     int
	id    string // of the order, which derives from the key
	key   string
	order schemas.PlaceOrder
	asks  int // requests sent, which name the commands
}

// decide draws what is ordered, before anything happens.
func (b *buyer) decide(shop *workload.Shop) {
	from := shop.Order(b.n)
	m := &b.order
	*m = schemas.PlaceOrder{OrderID: b.id, Fingerprint: []byte("first"), CustomerID: from.CustomerID, Currency: from.Currency, FillPolicy: schemas.FillPolicyAllOrNothing,
		ShippingAddress: []byte("sealed"), ShipCountry: from.ShippingAddress.Country,
		Payment: schemas.PaymentIntent{Method: schemas.PaymentMethodCard, Token: from.Payment.Token, Capture: schemas.CapturePolicyLater},
		Terms: schemas.OrderTerms{DecisionTimeoutMS: b.among(60_000, 60_000, 20_000, 5_000, 1_000), CancelTimeoutMS: b.among(300_000, 10_000, 2_000),
			PaymentTimeoutMS: b.among(16_000, 16_000, 4_000, 1_000), PaymentProvider: "sandbox", PaymentTries: 1}}
	for _, l := range from.Lines {
		m.Lines = append(m.Lines, schemas.OrderLine{ProductID: l.ProductID, Quantity: l.Quantity})
	}
	for b.chance(.2) {
		m.Lines = append(m.Lines, schemas.OrderLine{ProductID: shop.ProductID(b.IntN(b.w.products)), Quantity: b.between(1, 3)})
	}
	if b.chance(.3) {
		m.Payment.Capture = schemas.CapturePolicyAtPlacing
	}
	if b.chance(.1) {
		m.Payment = schemas.PaymentIntent{Method: schemas.PaymentMethodInvoice, Capture: schemas.CapturePolicyLater}
	}
	for i := range m.Lines {
		m.Lines[i].Line = int32(i + 1)
		b.price(shop, &m.Lines[i])
	}
	switch f := b.Float64(); {
	case f < .02:
		m.Currency = "USD"
	case f < .04:
		m.Lines[len(m.Lines)-1].ProductID = "nothing"
	case f < .06:
		m.Terms.MaxTotalMinor = 1
	case f < .1:
		total := b.total(shop)
		if f < .08 {
			total++
		}
		m.ExpectedTotalMinor = &total
	}
}

func (b *buyer) among(values ...int64) int64 { return values[b.IntN(len(values))] }

// price draws what the buyer, or a seller on the telephone, says about the price of a line.
func (b *buyer) price(shop *workload.Shop, l *schemas.OrderLine) {
	var named int64
	switch f := b.Float64(); {
	case f < .05:
		named = b.catalogue(shop, l.ProductID)
		l.ExpectedUnitPriceMinor = &named
	case f < .07:
		named = b.catalogue(shop, l.ProductID) - 1
		l.ExpectedUnitPriceMinor = &named
	case f < .1:
		named = b.between(0, 1) * 500
		l.QuotedUnitPriceMinor = &named
	case f < .103:
		named = math.MaxInt64 / 2
		l.QuotedUnitPriceMinor, l.Quantity = &named, 3
	}
}

func (b *buyer) catalogue(shop *workload.Shop, product string) int64 {
	for i := range b.w.products {
		if shop.ProductID(i) == product {
			return shop.Product(i).Price.AmountMinor
		}
	}
	return 0
}

// total is what the buyer was shown.
func (b *buyer) total(shop *workload.Shop) (sum int64) {
	for _, l := range b.order.Lines {
		price := b.catalogue(shop, l.ProductID)
		if l.QuotedUnitPriceMinor != nil {
			price = *l.QuotedUnitPriceMinor
		}
		sum += price * l.Quantity
	}
	return sum
}

// begin places the order, and draws what is asked about it later.
func (b *buyer) begin() {
	b.w.result.Orders++
	b.place(b.key, "first")
	if b.chance(.04) { // another body under the key, first come
		b.w.after(b.between(0, 2_000), func() { b.place(b.key, "second") })
	}
	if b.chance(.12) {
		b.w.after(b.soon(), func() { b.cancel("c1", b.order.OrderID, "why", nil) })
	}
	if b.chance(.04) {
		b.w.after(b.soon(), func() { b.cancel("c2", b.order.OrderID, "", nil) })
	}
	if b.chance(.02) {
		b.w.after(b.soon(), func() { b.cancel("c1", b.order.OrderID, "another body", nil) })
	}
	if b.chance(.03) {
		version := b.between(1, 6)
		b.w.after(b.soon(), func() { b.cancel("c3", b.order.OrderID, "", &version) })
	}
	if b.chance(.01) {
		b.w.after(b.soon(), func() { b.cancel("c4", b.id+"_of_nobody", "", nil) })
	}
	if b.chance(.05) {
		status := []schemas.OrderStatus{schemas.OrderStatusCancelled, schemas.OrderStatusCancelled, schemas.OrderStatusConfirmed, schemas.OrderStatusOnHold}[b.IntN(4)]
		b.w.after(b.soon(), func() { b.status("s1", status) })
	}
	if b.chance(.2) {
		b.w.after(b.between(100, 40_000), b.get)
	}
}

// soon is a moment in the life of an order at which it is interesting to change it.
func (b *buyer) soon() int64 {
	switch f := b.Float64(); {
	case f < .4:
		return b.between(0, 60)
	case f < .7:
		return b.between(0, 2_000)
	default:
		return b.between(0, 40_000)
	}
}

func (b *buyer) head(command string) schemas.Command {
	return schemas.Command{CommandID: command, Tenant: schemas.DefaultTenant, Principal: "buyer"}
}

// place sends the order; every sending is a command of its own for the same order.
func (b *buyer) place(key, body string) {
	b.send(&request{asked: "place", key: key, body: body, orderID: b.id, command: func() schemas.Message {
		m := b.order
		b.asks++
		m.Command = b.head(fmt.Sprintf("cmd_%d_%d", b.n, b.asks))
		if m.Fingerprint = []byte(body); body != "first" {
			m.Lines = append([]schemas.OrderLine(nil), m.Lines...)
			m.Lines[0].Quantity++
		}
		return &m
	}})
}

func (b *buyer) cancel(key, orderID, note string, version *int64) {
	b.send(&request{asked: "cancel", key: b.key + key, body: note, orderID: orderID, command: func() schemas.Message {
		return &schemas.CancelOrder{Command: b.head("cmd_" + b.id + key), OrderID: orderID, Fingerprint: []byte("f" + note), ExpectedVersion: version, Reason: schemas.ReasonCancelledByCustomer, Note: note}
	}})
}

func (b *buyer) status(key string, status schemas.OrderStatus) {
	b.send(&request{asked: "status", key: b.key + key, orderID: b.id, command: func() schemas.Message {
		return &schemas.RequestStatus{Command: b.head("cmd_" + b.id + key), OrderID: b.id, Fingerprint: []byte(status), Status: string(status)}
	}})
}

// get looks at the order.
func (b *buyer) get() {
	if row := b.w.row(b.id); row != nil {
		b.w.told.Add(workload.Told{Key: b.key, Asked: "get", HTTP: 200, OrderID: b.id, Status: string(row.Order.Status), Version: row.Version})
	}
}

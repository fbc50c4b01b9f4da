package simulation

import (
	"fmt"
	"math"
	"slices"

	"oms/proof/workload"
	"oms/schemas"
	"oms/topics"
)

const minute = 60_000

// openShop lets everybody come: the staff with its products, people who register, and the buyers.
func (w *world) openShop() {
	d := w.dice("shop", 0)
	shop := workload.NewShop(workload.Shop{Seed: w.config.Seed, Products: w.products})
	scarce := d.Float64() * 2 // units there are for every unit wanted, roughly
	span := w.gapMS * int64(w.config.Orders) / 2
	for i := range w.products {
		w.openProduct(shop, i, scarce, span)
	}
	for i := range 6 {
		w.register(i, span)
	}
	w.garbage(w.dice("stranger", 0), span)
	at, last := int64(0), int64(0)
	for n := range w.config.Orders {
		a := &actor{w.dice("order", uint64(n))}
		at += a.between(0, w.gapMS)
		if w.config.Only != nil && !slices.Contains(w.config.Only, n) {
			continue
		}
		b := &buyer{w: w, actor: a, n: n, id: fmt.Sprintf("ord_%d", n), key: fmt.Sprintf("key-%d", n)}
		w.actors[b.id] = a
		b.decide(shop)
		w.after(at, b.begin)
		last = at
	}
	w.after(last+calmMS, func() { w.faults = faults{} })
}

// openProduct lets the staff add a product, put it into stock, and move it about.
func (w *world) openProduct(shop *workload.Shop, i int, scarce float64, span int64) {
	p := shop.Product(i)
	a := &actor{w.dice("product", uint64(i))}
	w.actors[p.ProductID] = a
	head := func(what string) schemas.Command {
		return schemas.Command{CommandID: "cmd_" + p.ProductID + "_" + what, Tenant: schemas.DefaultTenant, Principal: "staff"}
	}
	add := &schemas.AddProduct{Command: head("add"), ProductID: p.ProductID, Fingerprint: []byte{1}, Name: p.Name, Category: p.Category, PriceMinor: p.Price.AmountMinor, Currency: p.Price.Currency}
	if a.chance(.5) {
		add.LowStockThreshold = a.between(1, 10)
	}
	w.staff(a, a.between(0, 40), add)
	if a.chance(.1) {
		other := *add
		other.CommandID, other.Fingerprint, other.PriceMinor = add.CommandID+"_other", []byte{2}, add.PriceMinor+1
		w.staff(a, a.between(0, 1_000), &other)
	}
	units := int64(scarce * float64(w.config.Orders) / float64(w.products) * (.3 + a.Float64()))
	w.staff(a, a.between(0, 80), &schemas.AdjustStock{Command: head("set"), ProductID: p.ProductID, Fingerprint: []byte{1}, Mode: schemas.AdjustModeSet, LocationID: "main", Quantity: units})
	if a.chance(.4) {
		w.staff(a, a.between(0, 200), &schemas.AdjustStock{Command: head("north"), ProductID: p.ProductID, Fingerprint: []byte{1}, Mode: schemas.AdjustModeSet, LocationID: "north", Quantity: units / 3})
	}
	for n := range a.between(2, 12) {
		w.staff(a, a.between(100, span+minute), w.movement(a, head(fmt.Sprintf("move%d", n)), p.ProductID, units))
	}
}

// movement is what the staff does with stock in the course of a day, right or wrong.
func (w *world) movement(a *actor, head schemas.Command, product string, units int64) *schemas.AdjustStock {
	m := &schemas.AdjustStock{Command: head, ProductID: product, Fingerprint: []byte{1}, Mode: schemas.AdjustModeDelta, LocationID: []string{"main", "north"}[a.IntN(2)], Reason: "count", Quantity: a.between(-units/3-3, units/3+5)}
	switch f := a.Float64(); {
	case f < .15:
		m.Mode, m.Quantity = schemas.AdjustModeSet, a.between(0, units)
	case f < .25:
		safety := a.between(0, 3)
		m.SafetyStock = &safety
	case f < .35:
		threshold := a.between(0, 5)
		m.LowStockThreshold = &threshold
	case f < .4:
		m.Quantity = math.MaxInt64
	case f < .5:
		version := a.between(1, 20)
		m.ExpectedVersion = &version
	case f < .53:
		m.ProductID = product + "_of_nobody"
	}
	return m
}

// staff sends a command. Its clients keep no record.
func (w *world) staff(a *actor, at int64, m schemas.Message) {
	w.after(at, func() {
		for {
			w.after(w.delay(a), func() { w.tell(m) })
			if !w.fails(a, w.repeats, "command of the staff repeated") {
				break
			}
		}
		s, changeable := m.(*schemas.AdjustStock)
		if changeable && a.chance(w.repeats) { // the key of the first, and another body
			other := *s
			other.Fingerprint, other.Quantity = []byte{2}, s.Quantity+1
			w.after(w.delay(a), func() { w.tell(&other) })
		}
	})
}

// register lets somebody register, once or again, and now and then somebody else with the same address.
func (w *world) register(i int, span int64) {
	a := &actor{w.dice("registration", uint64(i))}
	login := fmt.Sprintf("log_%d", i)
	w.actors[login] = a
	send := func(command, customer string, fingerprint byte) {
		w.actors[customer] = a
		m := &schemas.RegisterCustomer{Command: schemas.Command{CommandID: command, Tenant: schemas.DefaultTenant, Principal: "anonymous"}, LoginID: login, CustomerID: customer, Fingerprint: []byte{fingerprint}, Profile: []byte("sealed")}
		w.after(a.between(0, span)+w.delay(a), func() { w.tell(m) })
	}
	send(login+".1", "cus_a_"+login, 1)
	if a.chance(.5) {
		send(login+".1", "cus_a_"+login, 1)
	}
	if a.chance(.3) {
		send(login+".1", "cus_a_"+login, 2)
	}
	if a.chance(.3) {
		send(login+".2", "cus_b_"+login, 1)
	}
}

// garbage is what strangers write into inboxes: bytes that are no message, and messages under another's key.
func (w *world) garbage(d dice, span int64) {
	for range d.IntN(6) {
		topic := []topics.Topic{topics.OrderCommands, topics.ProductCommands, topics.LoginCommands, topics.CustomerCommands, topics.PaymentRequests}[d.IntN(5)]
		key, value := []string{"", "ord_1", "stranger"}[d.IntN(3)], []byte("hello")
		if d.chance(.5) {
			value = encode(&schemas.CancelOrder{Command: schemas.Command{CommandID: "cmd_stranger", Tenant: schemas.DefaultTenant}, OrderID: "ord_2"})
		}
		w.after(d.between(0, span), func() { w.append(w.home(topic, key), key, value, nil, w.now, nil) })
	}
}

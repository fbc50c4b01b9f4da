package product

import (
	"cmp"
	"slices"

	"oms/internal/planted"
	"oms/schemas"
)

// reserve prices and reserves the lines one by one, in order: a line may take what the next one wanted.
func (d *decision) reserve(m *schemas.ReserveStock) {
	before := d.available()
	reply := &schemas.StockReply{OrderID: m.OrderID, ProductID: m.ProductID, Results: make([]schemas.StockResult, len(m.Lines))}
	var entries []schemas.StockEntry
	for i := range m.Lines {
		l, r := &m.Lines[i], &reply.Results[i]
		if l.Quantity < 1 {
			d.impossible(m, "line %d: quantity %d, want at least 1", l.Line, l.Quantity)
		}
		*r = schemas.StockResult{Line: l.Line, Outcome: schemas.StockOutcomeRejected, Name: d.Name}
		if r.UnitPriceMinor, r.Reason = d.price(m.Currency, l); r.Reason != schemas.ReasonNone {
			continue
		}
		if available := d.available(); available < l.Quantity {
			r.Reason, r.Available = schemas.ReasonOutOfStock, available
			continue
		}
		r.Outcome, r.Allocations = schemas.StockOutcomeReserved, d.allocate(l.Quantity)
		for _, a := range r.Allocations {
			entries = append(entries, schemas.StockEntry{Line: l.Line, LocationID: a.LocationID, Quantity: a.Quantity})
		}
	}
	if len(entries) == 0 {
		d.say(&schemas.Unchanged{})
	} else {
		d.moved(before, &schemas.InventoryUpdated{ProductID: m.ProductID, Movement: schemas.MovementReserved, OrderID: m.OrderID, Entries: entries})
	}
	d.say(reply)
}

// price is what a unit of the line costs, or why it cannot be had. A quoted price replaces the catalogue's; what the buyer expects must be what holds.
func (d *decision) price(currency string, l *schemas.ReserveLine) (int64, schemas.Reason) {
	price := d.PriceMinor
	if l.QuotedUnitPriceMinor != nil {
		price = *l.QuotedUnitPriceMinor
	}
	if planted.On(planted.ExpectedPriceHolds) && l.ExpectedUnitPriceMinor != nil {
		price = *l.ExpectedUnitPriceMinor
	}
	switch {
	case !d.Exists:
		return 0, schemas.ReasonUnknownProduct
	case currency != d.Currency:
		return 0, schemas.ReasonCurrencyMismatch
	case l.ExpectedUnitPriceMinor != nil && *l.ExpectedUnitPriceMinor != price:
		return price, schemas.ReasonPriceChanged
	}
	return price, schemas.ReasonNone
}

// allocate takes units that are there from as few locations as it can: from the first that has them all, else the fullest first.
func (d *decision) allocate(units int64) []schemas.Allocation {
	var parts []schemas.Allocation
	for units > 0 {
		best, most := 0, int64(0)
		for i := range d.Levels {
			n := free(&d.Levels[i])
			if n > most {
				best, most = i, n
			}
			if n >= units {
				break
			}
		}
		at, n := &d.Levels[best], min(units, most)
		at.Reserved += n
		units -= n
		parts = append(parts, schemas.Allocation{LocationID: at.LocationID, Quantity: n})
	}
	return parts
}

// release gives reserved units back to stock. Reservations are kept by their orders alone, so here only the sums are checked.
func (d *decision) release(m *schemas.ReleaseStock) {
	before := d.available()
	reply := &schemas.StockReply{OrderID: m.OrderID, ProductID: m.ProductID, Results: make([]schemas.StockResult, len(m.Lines))}
	var entries []schemas.StockEntry
	for i, l := range m.Lines {
		for _, a := range l.Allocations {
			at, found := d.at(a.LocationID)
			if !found || a.Quantity < 1 || d.Levels[at].Reserved < a.Quantity {
				d.impossible(m, "line %d: %d units at %q are not reserved there", l.Line, a.Quantity, a.LocationID)
			}
			d.Levels[at].Reserved -= a.Quantity
			entries = append(entries, schemas.StockEntry{Line: l.Line, LocationID: a.LocationID, Quantity: a.Quantity})
		}
		reply.Results[i] = schemas.StockResult{Line: l.Line, Outcome: schemas.StockOutcomeReleased, Reason: schemas.ReasonNone, Name: d.Name}
	}
	d.moved(before, &schemas.InventoryUpdated{ProductID: m.ProductID, Movement: schemas.MovementReleased, OrderID: m.OrderID, Entries: entries})
	d.say(reply)
}

// moved says a movement with the levels that it touched, and what it did to the product as a whole: scarce is said once a crossing, not at every sale.
func (d *decision) moved(before int64, fact *schemas.InventoryUpdated) {
	for i := range d.Levels {
		if slices.ContainsFunc(fact.Entries, func(e schemas.StockEntry) bool { return e.LocationID == d.Levels[i].LocationID }) {
			fact.Levels = append(fact.Levels, d.Levels[i])
		}
	}
	d.say(fact)
	now := d.available()
	low := d.LowStockThreshold > 0 && now <= d.LowStockThreshold
	if low && !d.Low {
		d.say(&schemas.InventoryLow{ProductID: d.ProductID, Available: now, Threshold: d.LowStockThreshold})
	}
	d.Low = low
	if before == 0 && now > 0 {
		d.say(&schemas.BackInStock{ProductID: d.ProductID, Available: now})
	}
}

// free is what may be sold at a location.
func free(l *schemas.StockLevel) int64 {
	if planted.On(planted.OneMoreThanThereIs) {
		return max(0, l.OnHand-l.Reserved-l.SafetyStock+1)
	}
	return max(0, l.OnHand-l.Reserved-l.SafetyStock)
}

// available is what may be sold over all locations. It cannot overflow: Σ on_hand does not, see adjust.
func (d *decision) available() int64 {
	var sum int64
	for i := range d.Levels {
		sum += free(&d.Levels[i])
	}
	return sum
}

// at is the place of a location among the levels, which are in order of location_id.
func (d *decision) at(location string) (int, bool) {
	return slices.BinarySearchFunc(d.Levels, location, func(l schemas.StockLevel, id string) int { return cmp.Compare(l.LocationID, id) })
}

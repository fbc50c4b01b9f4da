package product

import (
	"fmt"
	"math"
	"slices"

	"oms/schemas"
)

// adjust sets or changes what is on hand at a location, and with it the limits of selling. What is promised to orders stays covered.
func (d *decision) adjust(m *schemas.AdjustStock) {
	if m.LocationID == "" || m.SafetyStock != nil && *m.SafetyStock < 0 || m.LowStockThreshold != nil && *m.LowStockThreshold < 0 {
		d.impossible(m, "want a location_id, and safety_stock and low_stock_threshold of at least 0")
	}
	at, known := d.at(m.LocationID)
	level := schemas.StockLevel{LocationID: m.LocationID}
	if known {
		level = d.Levels[at]
	}
	delta, refusal := d.change(m, &level)
	if refusal != nil {
		d.say(refusal)
		return
	}
	before, sold := d.available(), len(d.Levels) > 0
	level.OnHand += delta
	if m.SafetyStock != nil {
		level.SafetyStock = *m.SafetyStock
	}
	if m.LowStockThreshold != nil {
		d.LowStockThreshold = *m.LowStockThreshold
	}
	if known {
		d.Levels[at] = level
	} else {
		d.Levels = slices.Insert(d.Levels, at, level)
	}
	if !sold {
		before = d.available() // the first stock of a product does not bring it back
	}
	d.moved(before, &schemas.InventoryUpdated{ProductID: m.ProductID, Movement: schemas.MovementAdjusted, Reason: m.Reason,
		Entries: []schemas.StockEntry{{LocationID: m.LocationID, Quantity: delta}}})
}

// change is the difference that the command makes to what is on hand at the level, or its refusal.
func (d *decision) change(m *schemas.AdjustStock, level *schemas.StockLevel) (int64, *schemas.CommandRefused) {
	var elsewhere int64
	for i := range d.Levels {
		if d.Levels[i].LocationID != m.LocationID {
			elsewhere += d.Levels[i].OnHand
		}
	}
	delta, room := m.Quantity, math.MaxInt64-elsewhere-level.OnHand
	if m.Mode == schemas.AdjustModeSet {
		if delta = m.Quantity - level.OnHand; m.Quantity < 0 {
			delta = -level.OnHand - 1 // below zero by however much: refused, and kept from overflowing
		}
	}
	switch {
	case delta > room:
		return 0, &schemas.CommandRefused{Code: schemas.RefusalCodeQuantityOverflow, Pointer: pointer(m),
			Detail:  fmt.Sprintf("quantity: %d more at %s is more than can be counted over all locations", delta, m.LocationID),
			Numbers: map[string]int64{"on_hand": level.OnHand, "on_hand_elsewhere": elsewhere, "quantity": m.Quantity}}
	case delta < level.Reserved-level.OnHand:
		return 0, &schemas.CommandRefused{Code: schemas.RefusalCodeOnHandBelowReserved, Pointer: pointer(m),
			Detail:  fmt.Sprintf("quantity: %d (%s) would leave fewer at %s than the %d that are reserved", m.Quantity, m.Mode, m.LocationID, level.Reserved),
			Numbers: map[string]int64{"on_hand": level.OnHand, "reserved": level.Reserved, "quantity": m.Quantity}}
	}
	return delta, nil
}

// pointer to the field of the body that holds the quantity: PUT sets on_hand, POST changes by quantity.
func pointer(m *schemas.AdjustStock) string {
	if m.Mode == schemas.AdjustModeSet {
		return "/on_hand"
	}
	return "/quantity"
}

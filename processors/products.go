package processors

import (
	"oms/processors/product"
	"oms/schemas"
)

// StepProducts is one step of a product's row.
func StepProducts(row *schemas.ProductRow, in schemas.Input) []schemas.Message {
	command := productCommand(in.Message)
	if a := command.answer(&row.Row, row.Seen); a != nil {
		return stamp(&row.Row, in.Message.Key(), schemas.FamilyProduct, in, []schemas.Message{a}, false, nil)
	}
	state, said := product.Step(*row, in)
	said, same := unchanged(said)
	if !same {
		*row = state
		touch(&row.Row, in)
		row.Seen = command.remember(row.Seen, row.Version)
	}
	return stamp(&row.Row, in.Message.Key(), schemas.FamilyProduct, in, said, !same, func(fact schemas.Message) *int64 {
		if fact.Kind() == schemas.KindProductAdded {
			return &row.Sequences.Product
		}
		return &row.Sequences.Inventory
	})
}

// productCommand reads the head of a client's command.
func productCommand(m schemas.Message) borderCommand {
	switch m := m.(type) {
	case *schemas.AdjustStock:
		return borderCommand{head: &m.Command, fingerprint: m.Fingerprint, expectedVersion: m.ExpectedVersion}
	case *schemas.AddProduct:
		return borderCommand{head: &m.Command, fingerprint: m.Fingerprint, creates: true}
	}
	return borderCommand{}
}

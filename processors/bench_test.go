package processors

import (
	"testing"

	"oms/schemas"
)

// The decisions alone, without codec, of what a busy shop does most.
func BenchmarkStep(b *testing.B) {
	b.Run("order of one line, placed to confirmed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			row := &schemas.OrderRow{}
			place := placed("ord_1", 1)
			place.Payment.Method = schemas.PaymentMethodCard
			StepOrders(row, schemas.Input{Message: place, NowMS: 1})
			StepOrders(row, schemas.Input{NowMS: 2, Message: &schemas.StockReply{OrderID: "ord_1", ProductID: "p0", Results: []schemas.StockResult{{Line: 1, Outcome: schemas.StockOutcomeReserved,
				UnitPriceMinor: 100, Allocations: []schemas.Allocation{{LocationID: "main", Quantity: 1}}}}}})
			p := row.Payments[0]
			StepOrders(row, schemas.Input{NowMS: 3, Message: &schemas.PaymentReply{OrderID: "ord_1", PaymentID: p.PaymentID, RequestID: p.RequestID,
				Operation: schemas.PaymentOperationAuthorize, Outcome: schemas.PaymentOutcomeAuthorized, AmountMinor: 100}})
		}
	})
	b.Run("one of 1,200 answers", func(b *testing.B) {
		row := &schemas.OrderRow{}
		StepOrders(row, schemas.Input{Message: placed("ord_1", 1_200), NowMS: 1})
		reply := &schemas.StockReply{OrderID: "ord_1", ProductID: "p0", Results: []schemas.StockResult{{Line: 1, Outcome: schemas.StockOutcomeReserved}}}
		b.ReportAllocs()
		for b.Loop() {
			row.Order.Lines[0].Status, row.Order.Awaiting = schemas.LineStatusOpen, 1_200
			StepOrders(row, schemas.Input{Message: reply, NowMS: 2})
		}
	})
	b.Run("reservation of a hot product", func(b *testing.B) {
		row := &schemas.ProductRow{Row: schemas.Row{Version: 1, Tenant: schemas.DefaultTenant}, Exists: true, ProductID: "p0", Currency: "EUR",
			Levels: []schemas.StockLevel{{LocationID: "main", OnHand: 1 << 62}}}
		reserve := &schemas.ReserveStock{OrderID: "ord_1", ProductID: "p0", Currency: "EUR", Lines: []schemas.ReserveLine{{Line: 1, Quantity: 1}}}
		b.ReportAllocs()
		for b.Loop() {
			StepProducts(row, schemas.Input{Message: reserve, NowMS: 2})
		}
	})
}

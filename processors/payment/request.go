package payment

import (
	"strconv"

	"oms/internal/planted"
	"oms/schemas"
)

// requestID is the idempotency key of an operation at the provider: it depends on nothing but the payment, so asking again is asking the same.
func requestID(p *schemas.PaymentState, o schemas.PaymentOperation) string {
	return p.PaymentID + "." + string(o) + "." + strconv.Itoa(int(p.Attempt))
}

// begin starts an operation of the payment.
func (d *decision) begin(p *schemas.PaymentState, o schemas.PaymentOperation) {
	p.Operation, p.RequestID, p.Asked = o, requestID(p, o), 0
	d.ask(p)
}

// cancel forbids the authorization by its id, whether it arrived, is under way or comes later, and undoes what it did.
func (d *decision) cancel(p *schemas.PaymentState) {
	p.Operation, p.RequestID, p.Asked = schemas.PaymentOperationCancel, requestID(p, schemas.PaymentOperationAuthorize), 0
	d.ask(p)
}

// ask sends the payment's operation, for the first time or once more, and waits for the answer.
func (d *decision) ask(p *schemas.PaymentState) {
	d.wait(p)
	authorization := requestID(p, schemas.PaymentOperationAuthorize)
	switch p.Operation {
	case schemas.PaymentOperationAuthorize:
		p.Status = schemas.PaymentStatusAuthorizing
		if planted.On(planted.AskedUnderNewID) {
			p.RequestID += "." + strconv.Itoa(int(p.Asked))
		}
		d.say(&schemas.AuthorizePayment{OrderID: d.id, PaymentID: p.PaymentID, RequestID: p.RequestID, Provider: p.Provider, Method: p.Method, Token: p.Token,
			AmountMinor: p.AmountMinor, Currency: p.Currency, Capture: p.Capture})
	case schemas.PaymentOperationCapture:
		p.Status = schemas.PaymentStatusCapturing
		d.say(&schemas.CapturePayment{OrderID: d.id, PaymentID: p.PaymentID, RequestID: p.RequestID, Provider: p.Provider, AuthorizationID: authorization,
			ProviderRef: p.ProviderRef, AmountMinor: held(p), Currency: p.Currency})
	case schemas.PaymentOperationVoid:
		p.Status = schemas.PaymentStatusVoiding
		d.say(&schemas.VoidPayment{OrderID: d.id, PaymentID: p.PaymentID, RequestID: p.RequestID, Provider: p.Provider, AuthorizationID: authorization,
			ProviderRef: p.ProviderRef, AmountMinor: held(p), Currency: p.Currency})
	case schemas.PaymentOperationRefund:
		p.Status = schemas.PaymentStatusRefunding
		d.say(&schemas.RefundPayment{OrderID: d.id, PaymentID: p.PaymentID, RequestID: p.RequestID, Provider: p.Provider, AuthorizationID: authorization,
			ProviderRef: p.ProviderRef, AmountMinor: taken(p), Currency: p.Currency})
	case schemas.PaymentOperationCancel:
		p.Status = schemas.PaymentStatusVoiding
		d.say(&schemas.CancelPayment{OrderID: d.id, PaymentID: p.PaymentID, RequestID: p.RequestID, Provider: p.Provider})
	}
}

// reconcile asks what became of an authorization that had no answer.
func (d *decision) reconcile(p *schemas.PaymentState) {
	p.Status = schemas.PaymentStatusUnknown
	d.wait(p)
	d.say(&schemas.ReconcilePayment{OrderID: d.id, PaymentID: p.PaymentID, RequestID: p.RequestID, Provider: p.Provider, Operation: p.Operation})
}

// wait gives the answer its time, twice as long from one asking to the next: a gateway that is away must not come back to a heap of the same question.
func (d *decision) wait(p *schemas.PaymentState) {
	p.DeadlineMS = d.now + p.TimeoutMS<<min(p.Asked, 6)
	p.Asked++
}

// pause waits before asking again, a sixteenth of the time-out at first and twice as long each time: what failed a moment ago rarely mends at once.
func (d *decision) pause(p *schemas.PaymentState) {
	p.DeadlineMS = d.now + max(1, p.TimeoutMS>>4)<<min(max(0, p.Asked-1), 10)
}

package payment

import (
	"fmt"

	"oms/schemas"
)

// Request is any request to a provider, flat.
type Request struct {
	ID        string // identity of the asking; a repeated asking has another, with the same RequestID
	Tenant    string
	Operation schemas.PaymentOperation
	OrderID   string
	PaymentID string
	RequestID string // idempotency key; of RECONCILE and CANCEL: the request in doubt
	Provider  string

	Method  schemas.PaymentMethod // AUTHORIZE
	Token   string                // AUTHORIZE
	Capture schemas.CapturePolicy // AUTHORIZE

	AuthorizationID string // CAPTURE, VOID, REFUND: request id of the authorization
	ProviderRef     string // CAPTURE, VOID, REFUND: the provider's number of the authorization

	About schemas.PaymentOperation // RECONCILE: what the request in doubt asked

	AmountMinor int64 // none for RECONCILE and CANCEL
	Currency    string
}

// RequestOf flattens a message. It fails for one that is no request to a provider, or that lacks an identity.
func RequestOf(m schemas.Message) (r Request, err error) {
	switch m := m.(type) {
	case *schemas.AuthorizePayment:
		r = Request{Operation: schemas.PaymentOperationAuthorize, OrderID: m.OrderID, PaymentID: m.PaymentID, RequestID: m.RequestID, Provider: m.Provider,
			Method: m.Method, Token: m.Token, Capture: m.Capture, AmountMinor: m.AmountMinor, Currency: m.Currency}
	case *schemas.CapturePayment:
		r = Request{Operation: schemas.PaymentOperationCapture, OrderID: m.OrderID, PaymentID: m.PaymentID, RequestID: m.RequestID, Provider: m.Provider,
			AuthorizationID: m.AuthorizationID, ProviderRef: m.ProviderRef, AmountMinor: m.AmountMinor, Currency: m.Currency}
	case *schemas.VoidPayment:
		r = Request{Operation: schemas.PaymentOperationVoid, OrderID: m.OrderID, PaymentID: m.PaymentID, RequestID: m.RequestID, Provider: m.Provider,
			AuthorizationID: m.AuthorizationID, ProviderRef: m.ProviderRef, AmountMinor: m.AmountMinor, Currency: m.Currency}
	case *schemas.RefundPayment:
		r = Request{Operation: schemas.PaymentOperationRefund, OrderID: m.OrderID, PaymentID: m.PaymentID, RequestID: m.RequestID, Provider: m.Provider,
			AuthorizationID: m.AuthorizationID, ProviderRef: m.ProviderRef, AmountMinor: m.AmountMinor, Currency: m.Currency}
	case *schemas.ReconcilePayment:
		r = Request{Operation: schemas.PaymentOperationReconcile, OrderID: m.OrderID, PaymentID: m.PaymentID, RequestID: m.RequestID, Provider: m.Provider, About: m.Operation}
	case *schemas.CancelPayment:
		r = Request{Operation: schemas.PaymentOperationCancel, OrderID: m.OrderID, PaymentID: m.PaymentID, RequestID: m.RequestID, Provider: m.Provider}
	case *schemas.Malformed:
		return r, fmt.Errorf("%s", m.Reason)
	default:
		return r, fmt.Errorf("%s is no request to a payment provider", m.Kind())
	}
	r.ID, r.Tenant = schemas.CauseOf(m), schemas.TenantOf(m)
	if r.ID == "" || r.OrderID == "" || r.PaymentID == "" || r.RequestID == "" {
		return r, fmt.Errorf("%s: id %q, order_id %q, payment_id %q, request_id %q: none may be empty", m.Kind(), r.ID, r.OrderID, r.PaymentID, r.RequestID)
	}
	return r, nil
}

// Reply is the answer as the order hears it. Its identity follows from the asking's, so one that is answered twice, after a crash, is answered under one identity.
func (r Request) Reply(a Answer) *schemas.PaymentReply {
	return &schemas.PaymentReply{Said: schemas.Said{ID: r.ID + ".reply", Tenant: r.Tenant}, OrderID: r.OrderID, PaymentID: r.PaymentID, RequestID: r.RequestID,
		Operation: r.Operation, Outcome: a.Outcome, AmountMinor: a.AmountMinor, ProviderRef: a.ProviderRef, Reason: a.Reason}
}

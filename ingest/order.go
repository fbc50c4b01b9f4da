package ingest

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"

	"oms/internal/web"
	"oms/schemas"
)

// orderBody is POST /api/orders.
type orderBody struct {
	CustomerID      *string           `json:"customer_id,omitzero"`
	Currency        string            `json:"currency"`
	Lines           []lineBody        `json:"lines"`
	ShippingAddress address           `json:"shipping_address"`
	BillingAddress  address           `json:"billing_address,omitzero"`
	Payment         paymentBody       `json:"payment"`
	ExpectedTotal   *amount           `json:"expected_total,omitzero"`
	FillPolicy      string            `json:"fill_policy,omitzero"`
	ClientReference string            `json:"client_reference,omitzero"`
	Metadata        map[string]string `json:"metadata,omitzero"`
}

type lineBody struct {
	ProductID         string  `json:"product_id"`
	Quantity          int64   `json:"quantity"`
	ExpectedUnitPrice *amount `json:"expected_unit_price,omitzero"`
	QuotedUnitPrice   *amount `json:"quoted_unit_price,omitzero"`
}

type paymentBody struct {
	Method  string `json:"method"`
	Token   string `json:"token,omitzero"`
	Capture string `json:"capture,omitzero"`
}

func (b *orderBody) check(f *web.Faults) {
	if b.CustomerID != nil {
		checkID(f, "/customer_id", *b.CustomerID)
	}
	checkCurrency(f, "/currency", b.Currency)
	if n := len(b.Lines); n < 1 || n > maxLines {
		f.Add("/lines", web.CodeInvalid, "must be 1 to "+strconv.Itoa(maxLines)+" lines, are "+strconv.Itoa(n), "")
	}
	for i := range b.Lines {
		b.Lines[i].check(f, "/lines/"+strconv.Itoa(i), b.Currency)
	}
	if b.ShippingAddress == nil {
		f.Add("/shipping_address", web.CodeRequired, "must be given", "")
	} else {
		b.ShippingAddress.check(f, "/shipping_address")
	}
	if b.BillingAddress != nil {
		b.BillingAddress.check(f, "/billing_address")
	}
	b.Payment.check(f)
	b.ExpectedTotal.check(f, "/expected_total", b.Currency)
	switch schemas.FillPolicy(b.FillPolicy) {
	case "", schemas.FillPolicyAllOrNothing:
	case schemas.FillPolicyShipAvailable, schemas.FillPolicyBackorder, schemas.FillPolicyAsk:
		f.Add("/fill_policy", "NOT_YET", "must be ALL_OR_NOTHING: the others are not there yet", b.FillPolicy)
	default:
		f.Add("/fill_policy", web.CodeInvalid, "must be ALL_OR_NOTHING", b.FillPolicy)
	}
	checkText(f, "/client_reference", b.ClientReference, maxTextRunes)
	checkMetadata(f, b.Metadata)
}

func (l *lineBody) check(f *web.Faults, pointer, currency string) {
	checkID(f, pointer+"/product_id", l.ProductID)
	if l.Quantity < 1 {
		f.Add(pointer+"/quantity", web.CodeInvalid, "must be 1 or more", strconv.FormatInt(l.Quantity, 10))
	}
	l.ExpectedUnitPrice.check(f, pointer+"/expected_unit_price", currency)
	l.QuotedUnitPrice.check(f, pointer+"/quoted_unit_price", currency)
}

func (p *paymentBody) check(f *web.Faults) {
	switch schemas.PaymentMethod(p.Method) {
	case schemas.PaymentMethodInvoice:
	case schemas.PaymentMethodCard, schemas.PaymentMethodPaypal, schemas.PaymentMethodRazorpay, schemas.PaymentMethodUpi, schemas.PaymentMethodGiftCard:
		if p.Token == "" {
			f.Add("/payment/token", web.CodeRequired, "must be given unless the method is INVOICE", "")
		}
	default:
		f.Add("/payment/method", web.CodeInvalid, "must be CARD, PAYPAL, RAZORPAY, UPI, INVOICE or GIFT_CARD", p.Method)
	}
	checkText(f, "/payment/token", p.Token, maxAddressRunes)
	switch schemas.CapturePolicy(p.Capture) {
	case "", schemas.CapturePolicyAtPlacing, schemas.CapturePolicyLater:
	default:
		f.Add("/payment/capture", web.CodeInvalid, "must be AT_PLACING or LATER", p.Capture)
	}
}

func (s *Server) placeOrder(c *fiber.Ctx) error {
	who, err := from(c, ScopeOrdersWrite)
	if err != nil {
		return err
	}
	if who.key == "" {
		who.key = unique("key_")
	}
	// Known to the client from here on, whatever becomes of the request.
	c.Set("Idempotency-Key", who.key)
	var b orderBody
	if err := read(c, &b); err != nil {
		return err
	}
	cmd, err := s.placing(who, &b, "")
	if err != nil {
		return err
	}
	return s.answer(c, who, cmd)
}

// placing makes the command of a checked body. Its order id derives from the key, so a repetition meets the same row; the command's own id is new each time.
func (s *Server) placing(who caller, b *orderBody, prefix string) (*command, error) {
	if p := mayPlace(who, b, prefix); p != nil {
		return nil, p
	}
	orderID := s.derived("ord_", who.Tenant, who.Subject, who.key)
	fingerprint, err := s.fingerprint("order", b)
	if err != nil {
		return nil, err
	}
	m := &schemas.PlaceOrder{
		Command:            schemas.Command{CommandID: unique("cmd_"), Tenant: who.Tenant, Principal: who.Subject},
		OrderID:            orderID,
		Fingerprint:        fingerprint,
		Currency:           b.Currency,
		Lines:              make([]schemas.OrderLine, len(b.Lines)),
		Payment:            schemas.PaymentIntent{Method: schemas.PaymentMethod(b.Payment.Method), Token: b.Payment.Token, Capture: schemas.CapturePolicy(b.Payment.Capture)},
		ExpectedTotalMinor: b.ExpectedTotal.minor(),
		FillPolicy:         schemas.FillPolicyAllOrNothing,
		ClientReference:    b.ClientReference,
		Metadata:           schemas.NotesOf(b.Metadata),
		Terms:              s.terms(b.Payment.Method),
		ShipCountry:        b.ShippingAddress.country(),
	}
	subject := SubjectOf(who.Tenant, orderID)
	if b.CustomerID != nil {
		m.CustomerID = *b.CustomerID
		subject = SubjectOf(who.Tenant, m.CustomerID)
	}
	for i, l := range b.Lines {
		m.Lines[i] = schemas.OrderLine{Line: int32(i + 1), ProductID: l.ProductID, Quantity: l.Quantity,
			ExpectedUnitPriceMinor: l.ExpectedUnitPrice.minor(), QuotedUnitPriceMinor: l.QuotedUnitPrice.minor()}
	}
	if m.ShippingAddress, err = s.seal(subject, b.ShippingAddress); err != nil {
		return nil, err
	}
	if b.BillingAddress != nil {
		if m.BillingAddress, err = s.seal(subject, b.BillingAddress); err != nil {
			return nil, err
		}
	}
	cmd := &command{message: m, id: m.CommandID, fingerprint: fingerprint, family: "order", created: http.StatusCreated, key: who.key, pending: orderPending(orderID)}
	cmd.show = s.orderShown(who, orderID)
	return cmd, nil
}

// mayPlace refuses quoted prices to who may not set prices, and orders in another's name to who is not of the staff.
func mayPlace(who caller, b *orderBody, prefix string) *web.Problem {
	forbidden := func(pointer, rule string) *web.Problem {
		p := web.NewProblem(http.StatusForbidden, web.CodeForbidden, rule)
		p.Errors = []web.Fault{{Pointer: prefix + pointer, Code: web.CodeForbidden, Rule: rule}}
		return p
	}
	if !who.Staff && b.CustomerID != nil && *b.CustomerID != who.Subject {
		return forbidden("/customer_id", "must be who asks")
	}
	for i := range b.Lines {
		if b.Lines[i].QuotedUnitPrice != nil && !who.Has(ScopeOrdersPrice) {
			return forbidden("/lines/"+strconv.Itoa(i)+"/quoted_unit_price", "needs the scope "+ScopeOrdersPrice)
		}
	}
	return nil
}

func (s *Server) terms(method string) schemas.OrderTerms {
	set := &s.cfg.Settings
	provider := set.Routes[method]
	if provider == "" {
		provider = set.Provider
	}
	return schemas.OrderTerms{
		DecisionTimeoutMS: set.DecisionTimeout.Milliseconds(), CancelTimeoutMS: set.CancelTimeout.Milliseconds(), PaymentTimeoutMS: set.PaymentTimeout.Milliseconds(),
		PaymentProvider: provider, PaymentTries: set.PaymentTries, MaxTotalMinor: set.MaxTotalMinor,
	}
}

// seal hides a value of the body; what is sealed is its JSON.
func (s *Server) seal(subject string, v any) ([]byte, error) {
	plain, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	return s.cfg.Seal.Seal(subject, plain)
}

func orderPending(id string) pending {
	return pending{OrderID: id, Location: "/api/orders/" + url.PathEscape(id)}
}

func (s *Server) orderShown(who caller, id string) func(context.Context, int64, bool) (web.Document, error) {
	return func(ctx context.Context, version int64, decided bool) (web.Document, error) {
		return s.cfg.Views.Order(ctx, who.Tenant, id, version, decided)
	}
}

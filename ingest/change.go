package ingest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"oms/internal/web"
	"oms/schemas"
)

// statusBody is PATCH /api/orders/{id}/status.
type statusBody struct {
	Status string `json:"status"`
	Note   string `json:"note,omitzero"`
}

// requestable are the statuses that may be asked for; whether the order can get there, its row decides.
var requestable = []string{"CONFIRMED", "ON_HOLD", "CANCELLED", "SHIPPED", "DELIVERED", "COMPLETED"}

func (b *statusBody) check(f *web.Faults) {
	if !slices.Contains(requestable, b.Status) {
		f.Add("/status", web.CodeInvalid, "must be one of "+strings.Join(requestable, ", "), b.Status)
	}
	checkText(f, "/note", b.Note, maxTextRunes)
}

// cancelBody is POST /api/orders/{id}/cancel.
type cancelBody struct {
	Note string `json:"note,omitzero"`
}

func (b *cancelBody) check(f *web.Faults) { checkText(f, "/note", b.Note, maxTextRunes) }

func (s *Server) changeStatus(c *fiber.Ctx) error {
	var b statusBody
	o, err := s.changing(c, ScopeOrdersStatus, &b)
	if err != nil {
		return err
	}
	o.cmd.message = &schemas.RequestStatus{Command: o.head, OrderID: o.id, Fingerprint: o.cmd.fingerprint, ExpectedVersion: o.expected, Status: b.Status, Note: b.Note}
	return s.answer(c, o.who, o.cmd)
}

func (s *Server) cancelOrder(c *fiber.Ctx) error {
	var b cancelBody
	o, err := s.changing(c, ScopeOrdersWrite, &b)
	if err != nil {
		return err
	}
	o.cmd.message = &schemas.CancelOrder{Command: o.head, OrderID: o.id, Fingerprint: o.cmd.fingerprint, ExpectedVersion: o.expected, Reason: schemas.ReasonCancelledByStaff, Note: b.Note}
	return s.answer(c, o.who, o.cmd)
}

// change is a command to an order that is there, all but its message.
type change struct {
	who      caller
	id       string
	head     schemas.Command
	expected *int64
	cmd      *command
}

func (s *Server) changing(c *fiber.Ctx, scope string, b body) (o change, err error) {
	if o.who, err = from(c, scope); err != nil {
		return o, err
	}
	if o.id, err = pathID(c); err != nil {
		return o, err
	}
	if o.expected, err = web.IfMatch(c); err != nil {
		return o, err
	}
	if raw := c.Request().Body(); len(raw) > 0 || scope == ScopeOrdersStatus { // a cancellation needs no body
		if err := read(c, b); err != nil {
			return o, err
		}
	}
	if !o.who.Staff { // whose order it is, only its row knows; nobody but the staff gets past here until commands carry an owner to compare
		return o, web.NotFound("order")
	}
	o.head = schemas.Command{CommandID: s.commandID(o.who, o.id), Tenant: o.who.Tenant, Principal: o.who.Subject}
	fingerprint, err := s.fingerprint(o.who.place, b)
	o.cmd = &command{id: o.head.CommandID, fingerprint: fingerprint, family: "order", created: http.StatusOK, key: o.who.key, pending: orderPending(o.id), show: s.orderShown(o.who, o.id)}
	return o, err
}

package views

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"oms/internal/web"
	"oms/schemas"
)

const (
	defaultPage = 20
	largestPage = 100
	// scanLimit bounds the rows that one page looks at: a rare status among the orders of one large customer ends the page early, with a cursor to go on.
	scanLimit = 1000
)

// list is a range of an index, shown in pages. What comes behind the prefix in a key is the entry's place: a cursor holds the last one shown, so entries that come or
// go elsewhere in the list move nothing.
type list struct {
	name        string // kind and filter, to which cursors are bound
	array       string // of the items in the answer
	prefix, end []byte
	row         func(place []byte) (key []byte, ok bool) // of what the entry stands for
	keep        func(stored []byte) bool                 // of the rows; nil: all
	show        func(stored []byte) (body any, err error)
}

// page answers the page of the list that the request asks for.
func (v *Views) page(c *fiber.Ctx, l list) error {
	limit, err := web.Limit(c, defaultPage, largestPage)
	if err != nil {
		return err
	}
	first := l.prefix
	if cursor := c.Query("cursor"); cursor != "" {
		place, err := v.cfg.Cursors.Decode(l.name, cursor)
		if err != nil {
			return err
		}
		first = append(append(slices.Clone(l.prefix), place...), 0)
	}
	rows, last, more, err := v.rows(l, first, limit)
	if err != nil {
		return err
	}
	bodies := make([]any, 0, len(rows))
	for _, stored := range rows {
		body, err := l.show(stored)
		if err != nil { // one row must not hide the others
			v.metrics.unreadable.Inc()
			v.log.Error("views: a row is left out of a list", "error", err)
			continue
		}
		bodies = append(bodies, body)
	}
	answer := map[string]any{l.array: bodies}
	if more {
		cursor := v.cfg.Cursors.Encode(l.name, last)
		answer["next_cursor"] = cursor
		c.Set(fiber.HeaderLink, "<"+nextPage(c, cursor)+`>; rel="next"`)
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(raw)
}

// rows of a page from first on, as of one moment, the place of the last entry that was looked at, and whether there are entries behind that.
func (v *Views) rows(l list, first []byte, limit int) (rows [][]byte, last []byte, more bool, err error) {
	if err := v.settle(); err != nil {
		return nil, nil, false, err
	}
	seen := 0
	err = v.disk.snapshot(func(at pebble.Reader) error {
		var failed error
		err := scan(at, first, l.end, func(entry, _ []byte) bool {
			if len(rows) == limit || seen == scanLimit {
				more = true
				return false
			}
			seen++
			last = append(last[:0], entry[len(l.prefix):]...)
			key, ok := l.row(last)
			if !ok {
				return true
			}
			stored, err := lookup(at, key)
			if stored != nil && (l.keep == nil || l.keep(stored)) {
				rows = append(rows, stored)
			}
			failed = err
			return err == nil
		})
		return errors.Join(err, failed)
	})
	return rows, last, more, err
}

// nextPage is the request again, with another cursor.
func nextPage(c *fiber.Ctx, cursor string) string {
	q := url.Values{}
	c.Context().QueryArgs().VisitAll(func(name, value []byte) { q.Set(string(name), string(value)) })
	q.Set("cursor", cursor)
	return string(c.Request().URI().PathOriginal()) + "?" + q.Encode()
}

func (v *Views) listOrders(c *fiber.Ctx) error {
	if err := web.OnlyQuery(c, "customer", "status", "from", "limit", "cursor"); err != nil {
		return err
	}
	return v.orders(c, utils.CopyString(c.Query("customer")))
}

func (v *Views) listCustomerOrders(c *fiber.Ctx) error {
	if err := web.OnlyQuery(c, "status", "from", "limit", "cursor"); err != nil {
		return err
	}
	id, err := web.Param(c, "id")
	if err != nil {
		return err
	}
	return v.orders(c, id)
}

// orders lists the tenant's orders, newest first: all, a customer's (?customer=), in a status (?status=), placed at a time or after (?from=). Who is no member of the
// staff sees its own, and another customer's are not there.
func (v *Views) orders(c *fiber.Ctx, customer string) error {
	who := web.Who(c)
	if !who.Staff {
		if who.Subject == "" || customer != "" && customer != who.Subject {
			return web.NotFound("customer")
		}
		customer = who.Subject
	}
	status, from, err := orderFilter(c)
	if err != nil {
		return err
	}
	l := list{
		name:  strings.Join([]string{"orders", who.Tenant, customer, status, from}, "\x00"),
		array: "orders",
		row: func(place []byte) ([]byte, bool) {
			if len(place) < 8 {
				return nil, false
			}
			id := string(place[8:])
			partition, ok := v.home(ordersTable, id)
			return rowKey(nil, ordersTable, partition, id), ok
		},
		show: func(stored []byte) (any, error) {
			row, err := orderIn(stored)
			if err != nil {
				return nil, err
			}
			return orderOf(row), nil // without addresses: a list is no place to open them by the hundred
		},
	}
	if status != "" {
		l.keep = func(stored []byte) bool {
			c, _, _ := cutCard(stored)
			return c.status == status
		}
	}
	switch {
	case customer != "":
		l.prefix = appendIndex(nil, kindCustomer, who.Tenant, customer)
	case status != "":
		l.prefix = appendIndex(nil, kindStatus, who.Tenant, status)
	default:
		l.prefix = appendIndex(nil, kindPlaced, who.Tenant, "")
	}
	l.end = above(l.prefix)
	if from != "" {
		at, err := time.Parse(time.RFC3339Nano, from)
		if err != nil {
			return web.BadParameter("from", from, "must be a time such as 2026-03-01T00:00:00Z")
		}
		l.end = above(appendNewest(slices.Clone(l.prefix), max(0, at.UnixMilli())))
	}
	return v.page(c, l)
}

// orderFilter reads the filters of a list of orders.
func orderFilter(c *fiber.Ctx) (status, from string, err error) {
	status, from = utils.CopyString(c.Query("status")), utils.CopyString(c.Query("from"))
	if status != "" && !slices.Contains(orderStatuses, schemas.OrderStatus(status)) {
		err = web.BadParameter("status", status, "must be the status of an order, such as PENDING or CONFIRMED")
	}
	return status, from, err
}

// orderStatuses are those that an order can be found in.
var orderStatuses = []schemas.OrderStatus{
	schemas.OrderStatusDraft, schemas.OrderStatusPending, schemas.OrderStatusOnHold, schemas.OrderStatusActionRequired, schemas.OrderStatusConfirmed,
	schemas.OrderStatusCompleted, schemas.OrderStatusCancelling, schemas.OrderStatusCancelled, schemas.OrderStatusRejected, schemas.OrderStatusExpired, schemas.OrderStatusClosed,
}

// listProducts lists the tenant's catalogue by product id.
func (v *Views) listProducts(c *fiber.Ctx) error {
	if err := web.OnlyQuery(c, "limit", "cursor"); err != nil {
		return err
	}
	tenant := web.Who(c).Tenant
	prefix := cataloguePrefix(tenant)
	return v.page(c, list{
		name: "products\x00" + tenant, array: "products", prefix: prefix, end: above(prefix),
		row: func(place []byte) ([]byte, bool) {
			key := schemas.ProductKey(tenant, string(place))
			partition, ok := v.home(productsTable, key)
			return rowKey(nil, productsTable, partition, key), ok
		},
		show: func(stored []byte) (any, error) {
			row, err := rowIn[*schemas.ProductRow](stored)
			if err != nil {
				return nil, err
			}
			return productOf(row), nil
		},
	})
}

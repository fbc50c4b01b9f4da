package views

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"oms/internal/web"
	"oms/schemas"
)

// versionWait bounds how long a GET waits for the version that it names.
const versionWait = 5 * time.Second

// Routes adds every question to the router.
func (v *Views) Routes(r fiber.Router) {
	r.Get("/api/orders", v.ready503, v.listOrders)
	r.Get("/api/orders/:id", v.ready503, v.getOrder)
	r.Get("/api/orders/:id/events", v.ready503, v.streamEvents)
	r.Get("/api/orders/:id/timeline", v.ready503, v.getTimeline)
	r.Get("/api/products", v.ready503, v.listProducts)
	r.Get("/api/products/:id", v.ready503, v.getProduct)
	r.Get("/api/inventory/:id", v.ready503, v.getInventory)
	r.Get("/api/customers/:id", v.ready503, v.getCustomer)
	r.Get("/api/customers/:id/orders", v.ready503, v.listCustomerOrders)
	registry(r)
}

// ready503 refuses while the views are behind the log as it was at the start: an answer might be older than one that was given before.
func (v *Views) ready503(c *fiber.Ctx) error {
	if !v.Ready() {
		return web.Unavailable("the views are still reading the log", 2*time.Second)
	}
	return c.Next()
}

// owns tells whether the principal may see what belongs to the customer or was made by the subject.
func owns(p web.Principal, customer, subject string) bool {
	return p.Staff || p.Subject != "" && (p.Subject == customer || p.Subject == subject)
}

func (v *Views) getOrder(c *fiber.Ctx) error {
	who := web.Who(c)
	return answer(c, "order", func(ctx context.Context, id string, version int64) (web.Document, error) {
		row, err := awaitVersion(ctx, v, orderFamily, id, version, func() (*schemas.OrderRow, error) { return v.ownOrder(who, id) })
		return shown(row, err, v.orderDocument)
	})
}

func (v *Views) getProduct(c *fiber.Ctx) error {
	tenant := web.Who(c).Tenant
	return answer(c, "product", func(ctx context.Context, id string, version int64) (web.Document, error) {
		return v.Product(ctx, tenant, id, version)
	})
}

func (v *Views) getInventory(c *fiber.Ctx) error {
	tenant := web.Who(c).Tenant
	return answer(c, "product", func(ctx context.Context, id string, version int64) (web.Document, error) {
		return v.Inventory(ctx, tenant, id, version)
	})
}

func (v *Views) getCustomer(c *fiber.Ctx) error {
	who := web.Who(c)
	return answer(c, "customer", func(ctx context.Context, id string, version int64) (web.Document, error) {
		row, err := awaitVersion(ctx, v, customerFamily, id, version, func() (*schemas.CustomerRow, error) { return v.ownCustomer(who, id) })
		return shown(row, err, v.customerDocument)
	})
}

// answer is one thing by the id in the path: 200 with its ETag, 304 when the client has that version, 404, or 409 when the version asked for (?min_version=) is not
// reached in time. What is another's is waited for like what is not there, so that the time tells nothing either.
func answer(c *fiber.Ctx, what string, find func(ctx context.Context, id string, version int64) (web.Document, error)) error {
	if err := web.OnlyQuery(c, "min_version"); err != nil {
		return err
	}
	id, err := web.Param(c, "id")
	if err != nil {
		return err
	}
	version, err := minVersion(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), versionWait)
	defer cancel()
	doc, err := find(ctx, id, version)
	switch {
	case errors.Is(err, ErrClosed):
		return web.Unavailable("the server stops", time.Second)
	case errors.Is(err, context.DeadlineExceeded):
		p := web.NewProblem(http.StatusConflict, codeNotReached, "min_version: version "+strconv.FormatInt(version, 10)+" of the "+what+" is not reached yet")
		p.RetryAfter = time.Second // a version that nobody wrote is never reached: that is the client's doing, not a fault of ours
		return p
	case err != nil:
		return err
	case !doc.Found:
		return web.NotFound(what)
	case web.NoneMatch(c, doc.Version):
		return web.NotModified(c, doc.Version)
	}
	return doc.Send(c, fiber.StatusOK)
}

// minVersion is ?min_version=; 0 without.
func minVersion(c *fiber.Ctx) (int64, error) {
	given := c.Query("min_version")
	if given == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(given, 10, 64)
	if err != nil || n < 0 {
		return 0, web.BadParameter("min_version", given, "must be a whole number, 0 or more")
	}
	return n, nil
}

// own is the order of the path if the principal may see it.
func (v *Views) own(c *fiber.Ctx) (*schemas.OrderRow, error) {
	id, err := web.Param(c, "id")
	if err != nil {
		return nil, err
	}
	row, err := v.ownOrder(web.Who(c), id)
	if err == nil && row == nil {
		err = web.NotFound("order")
	}
	return row, err
}

// codeNotReached: the view did not get to min_version in time.
const codeNotReached = "VERSION_NOT_REACHED"

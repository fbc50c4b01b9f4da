package ingest

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"oms/internal/web"
	"oms/schemas"
)

// productBody is POST /api/products.
type productBody struct {
	ProductID         *string           `json:"product_id,omitzero"`
	Name              string            `json:"name"`
	Description       string            `json:"description,omitzero"`
	Category          string            `json:"category,omitzero"`
	Price             money             `json:"price"`
	Metadata          map[string]string `json:"metadata,omitzero"`
	LowStockThreshold int64             `json:"low_stock_threshold,omitzero"`
}

func (b *productBody) check(f *web.Faults) {
	if b.ProductID != nil {
		checkID(f, "/product_id", *b.ProductID)
	}
	if b.Name == "" {
		f.Add("/name", web.CodeRequired, "must be given", "")
	}
	checkText(f, "/name", b.Name, maxTextRunes)
	checkText(f, "/description", b.Description, maxTextRunes)
	checkText(f, "/category", b.Category, maxTextRunes)
	b.Price.check(f, "/price")
	checkMetadata(f, b.Metadata)
	checkUnits(f, "/low_stock_threshold", &b.LowStockThreshold)
}

func checkUnits(f *web.Faults, pointer string, units *int64) {
	if units != nil && *units < 0 {
		f.Add(pointer, web.CodeInvalid, "must be 0 or more", strconv.FormatInt(*units, 10))
	}
}

func (s *Server) addProduct(c *fiber.Ctx) error {
	who, err := from(c, ScopeCatalogWrite)
	if err != nil {
		return err
	}
	var b productBody
	if err := read(c, &b); err != nil {
		return err
	}
	fingerprint, err := s.fingerprint(who.place, &b)
	if err != nil {
		return err
	}
	m := &schemas.AddProduct{
		Command:     schemas.Command{Tenant: who.Tenant, Principal: who.Subject},
		Fingerprint: fingerprint, Name: b.Name, Description: b.Description, Category: b.Category,
		PriceMinor: *b.Price.AmountMinor, Currency: b.Price.Currency, Metadata: schemas.NotesOf(b.Metadata), LowStockThreshold: b.LowStockThreshold,
	}
	switch {
	case b.ProductID != nil:
		m.ProductID = *b.ProductID
	case who.key != "":
		m.ProductID = s.derived("prd_", who.Tenant, who.Subject, who.place, who.key)
	default:
		m.ProductID = unique("prd_")
	}
	m.CommandID = s.commandID(who, m.ProductID)
	return s.answer(c, who, &command{
		message: m, id: m.CommandID, fingerprint: fingerprint, family: "product", created: http.StatusCreated, key: who.key,
		pending: pending{ProductID: m.ProductID, Location: "/api/products/" + url.PathEscape(m.ProductID)},
		show: func(ctx context.Context, version int64, _ bool) (web.Document, error) {
			return s.cfg.Views.Product(ctx, who.Tenant, m.ProductID, version)
		},
	})
}

const mainLocation = "main"

// stockBody is PUT /api/inventory/{productId}: what is there.
type stockBody struct {
	OnHand            *int64  `json:"on_hand"`
	LocationID        *string `json:"location_id,omitzero"`
	SafetyStock       *int64  `json:"safety_stock,omitzero"`
	LowStockThreshold *int64  `json:"low_stock_threshold,omitzero"`
	Reason            string  `json:"reason,omitzero"`
}

func (b *stockBody) check(f *web.Faults) {
	if b.OnHand == nil {
		f.Add("/on_hand", web.CodeRequired, "must be given: the units that are there", "")
	}
	checkUnits(f, "/on_hand", b.OnHand)
	checkLocation(f, &b.LocationID)
	checkUnits(f, "/safety_stock", b.SafetyStock)
	checkUnits(f, "/low_stock_threshold", b.LowStockThreshold)
	checkText(f, "/reason", b.Reason, maxTextRunes)
}

// adjustBody is POST /api/inventory/{productId}/adjust: what came or went.
type adjustBody struct {
	Quantity   *int64  `json:"quantity"` // units, negative when they went
	LocationID *string `json:"location_id,omitzero"`
	Reason     string  `json:"reason"`
}

func (b *adjustBody) check(f *web.Faults) {
	if b.Quantity == nil || *b.Quantity == 0 {
		f.Add("/quantity", web.CodeRequired, "must be given, and not 0: the units that came, negative for units that went", "")
	}
	if b.Reason == "" {
		f.Add("/reason", web.CodeRequired, "must be given", "")
	}
	checkLocation(f, &b.LocationID)
	checkText(f, "/reason", b.Reason, maxTextRunes)
}

// checkLocation fills in the main location where none is named.
func checkLocation(f *web.Faults, id **string) {
	if *id == nil {
		name := mainLocation
		*id = &name
	}
	checkID(f, "/location_id", **id)
}

func (s *Server) setStock(c *fiber.Ctx) error {
	var b stockBody
	return s.stock(c, &b, func(m *schemas.AdjustStock) {
		m.Mode, m.Quantity, m.LocationID, m.Reason = schemas.AdjustModeSet, *b.OnHand, *b.LocationID, b.Reason
		m.SafetyStock, m.LowStockThreshold = b.SafetyStock, b.LowStockThreshold
	})
}

func (s *Server) adjustStock(c *fiber.Ctx) error {
	var b adjustBody
	return s.stock(c, &b, func(m *schemas.AdjustStock) {
		m.Mode, m.Quantity, m.LocationID, m.Reason = schemas.AdjustModeDelta, *b.Quantity, *b.LocationID, b.Reason
	})
}

// stock is a change of stock; fill says it in the command's words, from the checked body.
func (s *Server) stock(c *fiber.Ctx, b body, fill func(*schemas.AdjustStock)) error {
	who, err := from(c, ScopeInventoryWrite)
	if err != nil {
		return err
	}
	id, err := pathID(c)
	if err != nil {
		return err
	}
	expected, err := web.IfMatch(c)
	if err != nil {
		return err
	}
	if err := read(c, b); err != nil {
		return err
	}
	fingerprint, err := s.fingerprint(who.place, b)
	if err != nil {
		return err
	}
	m := &schemas.AdjustStock{
		Command:   schemas.Command{CommandID: s.commandID(who, id), Tenant: who.Tenant, Principal: who.Subject},
		ProductID: id, Fingerprint: fingerprint, ExpectedVersion: expected,
	}
	fill(m)
	return s.answer(c, who, &command{
		message: m, id: m.CommandID, fingerprint: fingerprint, family: "product", created: http.StatusOK, key: who.key,
		pending: pending{ProductID: id, Location: "/api/inventory/" + url.PathEscape(id)},
		show: func(ctx context.Context, version int64, _ bool) (web.Document, error) {
			return s.cfg.Views.Inventory(ctx, who.Tenant, id, version)
		},
	})
}

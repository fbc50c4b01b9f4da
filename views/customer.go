package views

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"oms/internal/seal"
	"oms/internal/web"
	"oms/schemas"
)

// profile is what ingest seals of a customer.
type profile struct {
	Email   json.RawMessage `json:"email"`
	Name    json.RawMessage `json:"name"`
	Phone   json.RawMessage `json:"phone"`
	Address json.RawMessage `json:"address"`
}

// customerBody is a customer as it and the staff see it. Of an erased one, or one whose key is lost, the profile is null.
type customerBody struct {
	CustomerID string `json:"customer_id"`
	profile
	RegisteredAt string `json:"registered_at"`
	Erased       bool   `json:"erased"`
	Version      int64  `json:"version"`
}

// customerRow reads a customer; nil when there is none in the tenant.
func (v *Views) customerRow(tenant, id string) (*schemas.CustomerRow, error) {
	stored, err := v.stored(customersTable, id)
	if err != nil || stored == nil {
		return nil, err
	}
	row, err := rowIn[*schemas.CustomerRow](stored)
	if err != nil || row.Tenant != tenant {
		return nil, err
	}
	return row, nil
}

// ownCustomer is a customer that the principal may see.
func (v *Views) ownCustomer(who web.Principal, id string) (*schemas.CustomerRow, error) {
	row, err := v.customerRow(who.Tenant, id)
	if row == nil || !owns(who, row.CustomerID, row.Principal) {
		return nil, err
	}
	return row, nil
}

func (v *Views) customerDocument(row *schemas.CustomerRow) (web.Document, error) {
	body := &customerBody{CustomerID: row.CustomerID, RegisteredAt: timestamp(row.RegisteredAtMS), Erased: row.Erased, Version: row.Version}
	if !row.Erased && len(row.Profile) > 0 {
		plain, err := v.cfg.Unseal.Open(row.Profile)
		switch {
		case errors.Is(err, seal.ErrErased):
			body.Erased = true
		case v.lostKey(err):
		case err != nil:
			return web.Document{}, fmt.Errorf("views: opening the profile of %s: %w", row.CustomerID, err)
		default:
			if err := json.Unmarshal(plain, &body.profile); err != nil {
				return web.Document{}, fmt.Errorf("views: the profile of %s is not the JSON that it should be", row.CustomerID) // the error of the parser would show pieces of it
			}
		}
	}
	return document(body, row.Version)
}

// Customer answers a customer as soon as its row has the version, or as it is with the context's error.
func (v *Views) Customer(ctx context.Context, tenant, id string, minVersion int64) (web.Document, error) {
	row, err := awaitVersion(ctx, v, customerFamily, id, minVersion, func() (*schemas.CustomerRow, error) { return v.customerRow(tenant, id) })
	return shown(row, err, v.customerDocument)
}

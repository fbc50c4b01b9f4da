package ingest

import (
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"oms/internal/web"
)

// money is an amount with its currency.
type money struct {
	AmountMinor *int64 `json:"amount_minor"`
	Currency    string `json:"currency"`
}

func (m money) check(f *web.Faults, pointer string) {
	if m.AmountMinor == nil {
		f.Add(pointer+"/amount_minor", web.CodeRequired, "must be given: a whole number of minor units", "")
	} else {
		checkAmount(f, pointer+"/amount_minor", *m.AmountMinor)
	}
	checkCurrency(f, pointer+"/currency", m.Currency)
}

// amount is a price within an order, which has one currency: minor units alone, or money of that currency.
type amount struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency,omitzero"` // empty: the order's
}

// JSONType names the type in answers.
func (amount) JSONType() string { return "a whole number of minor units, or {amount_minor, currency}" }

// UnmarshalJSONFrom takes either form.
func (a *amount) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '{' {
		return json.UnmarshalDecode(d, &a.Minor)
	}
	var m money
	if err := json.UnmarshalDecode(d, &m); err != nil {
		return err
	}
	a.Minor, a.Currency = -1, m.Currency
	if m.AmountMinor != nil {
		a.Minor = *m.AmountMinor
	}
	return nil
}

// check the amount, and forget its currency when it is the order's, so that both forms have one fingerprint.
func (a *amount) check(f *web.Faults, pointer, ordered string) {
	if a == nil {
		return
	}
	checkAmount(f, pointer, a.Minor)
	if a.Currency != "" && a.Currency != ordered {
		f.Add(pointer+"/currency", web.CodeInvalid, "must be the order's currency", a.Currency)
	}
	a.Currency = ""
}

// minor is the amount as commands hold it; nil: not given.
func (a *amount) minor() *int64 {
	if a == nil {
		return nil
	}
	return &a.Minor
}

func checkAmount(f *web.Faults, pointer string, minor int64) {
	if minor < 0 {
		f.Add(pointer, web.CodeInvalid, "must be 0 or more minor units", strconv.FormatInt(minor, 10))
	}
}

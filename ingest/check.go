package ingest

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bojanz/currency"
	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"

	"oms/internal/web"
)

// Limits of what the form alone shows.
const (
	maxLines         = 1200
	maxMetadataBytes = 16 << 10
	maxIDRunes       = 64
	maxTextRunes     = 2000 // names, notes, references
	maxAddressFields = 20
	maxAddressRunes  = 500 // of a name or value
)

const codeUnknownCurrency = "UNKNOWN_CURRENCY"

// body is what a request says; check adds what is wrong with it, pointers relative to it.
type body interface {
	check(f *web.Faults)
}

// read decodes and checks the body of a request.
func read(c *fiber.Ctx, into body) error {
	raw, err := web.Body(c)
	if err != nil {
		return err
	}
	if p := parse(raw, into, ""); p != nil {
		return p
	}
	return nil
}

// parse decodes and checks one body; prefix is the pointer to it.
func parse(raw []byte, into body, prefix string) *web.Problem {
	if p := web.Decode(raw, into, prefix, mayHoldCard, findCard); p != nil {
		return p
	}
	var faults web.Faults
	into.check(&faults)
	for i := range faults {
		faults[i].Pointer = prefix + faults[i].Pointer
	}
	return faults.Problem()
}

// fingerprint tells bodies apart: an HMAC of the canonical form, which is what was understood, so order of fields and white space do not matter.
func (s *Server) fingerprint(place string, b body) ([]byte, error) {
	canonical, err := json.Marshal(b, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("ingest: fingerprint of a body: %w", err)
	}
	return s.digest("body", place, string(canonical))[:16], nil
}

const idRule = "must be 1 to 64 characters, without control characters, without /, without a space at either end"

// validID is the rule for ids that shops choose: products, customers, locations.
func validID(id string) bool {
	return id != "" && utf8.RuneCountInString(id) <= maxIDRunes && !strings.ContainsRune(id, '/') && !strings.ContainsFunc(id, unicode.IsControl) &&
		id[0] != ' ' && id[len(id)-1] != ' '
}

func checkID(f *web.Faults, pointer, id string) {
	if !validID(id) {
		f.Add(pointer, web.CodeInvalid, idRule, id)
	}
}

// pathID is an id in the path; the card rule holds there too.
func pathID(c *fiber.Ctx) (string, error) {
	id, err := web.Param(c, "id")
	if err != nil {
		return "", err
	}
	if !validID(id) || !utf8.ValidString(id) {
		return "", web.BadParameter("id", id, idRule)
	}
	if hasCard(id) {
		return "", web.BadParameter("id", "", ruleCardNumber)
	}
	return id, nil
}

func checkText(f *web.Faults, pointer, text string, most int) {
	if n := utf8.RuneCountInString(text); n > most {
		f.Add(pointer, web.CodeInvalid, "must have at most "+strconv.Itoa(most)+" characters, has "+strconv.Itoa(n), "")
	}
}

func checkCurrency(f *web.Faults, pointer, code string) {
	switch {
	case code == "":
		f.Add(pointer, web.CodeRequired, "must be given: an ISO 4217 code, such as EUR", "")
	case !currency.IsValid(code):
		f.Add(pointer, codeUnknownCurrency, "must be a known ISO 4217 code in capital letters", code)
	}
}

func checkMetadata(f *web.Faults, m map[string]string) {
	n := 0
	for name, value := range m {
		n += len(name) + len(value)
	}
	if n > maxMetadataBytes {
		f.Add("/metadata", web.CodeTooLarge, "names and values together must have at most "+strconv.Itoa(maxMetadataBytes)+" bytes, have "+strconv.Itoa(n), "")
	}
}

// address is whatever fields the country's addresses have: it is sealed, given back, and not looked into but for its country.
type address map[string]string

// country is the ISO 3166 alpha-2 code that the address names, which reports may use in the clear: two letters tell nobody who somebody is. Anything else
// that stands there is sealed only.
func (a address) country() string {
	c := strings.ToUpper(a["country"])
	if len(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z' {
		return ""
	}
	return c
}

func (a address) check(f *web.Faults, pointer string) {
	if len(a) == 0 || len(a) > maxAddressFields {
		f.Add(pointer, web.CodeInvalid, "must have 1 to "+strconv.Itoa(maxAddressFields)+" fields, has "+strconv.Itoa(len(a)), "")
		return
	}
	for name, value := range a {
		if utf8.RuneCountInString(name) > maxAddressRunes || utf8.RuneCountInString(value) > maxAddressRunes {
			f.Add(pointer, web.CodeInvalid, "names and values of its fields must have at most "+strconv.Itoa(maxAddressRunes)+" characters", "")
			return
		}
	}
}

package web

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Inspect is asked about every name, string and number of a body: code and rule when it must not be there.
type Inspect func(text string) (code, rule string)

// Decode reads a body into a struct and finds what encoding/json would let pass: unknown and repeated names, other letter case, null, fractions and exponents
// for integers, numbers that do not fit, text that is no UTF-8, and anything behind the end. The first fault found is the problem; prefix is put before its pointer.
//
// suspicious is a cheap look at the raw bytes: only when it answers true is every token shown to inspect.
func Decode(body []byte, into any, prefix string, suspicious func([]byte) bool, inspect Inspect) *Problem {
	var faults Faults
	if len(bytes.TrimSpace(body)) == 0 {
		faults.Add(prefix, CodeMalformedJSON, "must be a JSON object", "")
		return faults.Problem()
	}
	if bytes.Contains(body, []byte("null")) || bytes.Contains(body, []byte(`\u`)) || suspicious != nil && suspicious(body) {
		scan(body, prefix, inspect, &faults)
	}
	if len(faults) == 0 {
		if err := json.Unmarshal(body, into, json.RejectUnknownMembers(true)); err != nil {
			faults = append(faults, faultOf(err, prefix))
		}
	}
	return faults.Problem()
}

// scan walks all tokens. It stays silent on bad syntax, which decoding meets again and explains.
func scan(body []byte, prefix string, inspect Inspect, faults *Faults) {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.ReadToken()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				*faults = nil
			}
			return
		}
		switch token.Kind() {
		case 'n':
			faults.Add(prefix+string(d.StackPointer()), CodeWrongType, "must not be null: leave it out", "null")
		case '"', '0':
			if inspect == nil {
				continue
			}
			if code, rule := inspect(token.String()); code != "" {
				faults.Add(inspected(prefix, d), code, rule, "")
			}
		}
	}
}

// inspected is the pointer of the token just read. The name of a member is not repeated in the answer, since it is what was found: its object is pointed at.
func inspected(prefix string, d *jsontext.Decoder) string {
	pointer := d.StackPointer()
	if kind, n := d.StackIndex(d.StackDepth()); kind == '{' && n%2 == 1 {
		pointer = pointer.Parent()
	}
	return prefix + string(pointer)
}

// faultOf explains a decoding error in terms of JSON, not of Go.
func faultOf(err error, prefix string) Fault {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		f := Fault{Pointer: prefix + string(syntax.JSONPointer), Code: CodeMalformedJSON, Rule: "must be well-formed JSON: " + strings.TrimPrefix(syntax.Err.Error(), "jsontext: ")}
		if errors.Is(err, jsontext.ErrDuplicateName) {
			f.Code, f.Rule = CodeDuplicateName, "must be given once"
		}
		return f
	}
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return Fault{Pointer: prefix, Code: CodeMalformedJSON, Rule: "must be well-formed JSON"}
	}
	f := Fault{Pointer: prefix + string(semantic.JSONPointer), Code: CodeWrongType, Value: short(string(semantic.JSONValue))}
	switch {
	case errors.Is(err, json.ErrUnknownName):
		f.Code, f.Rule = CodeUnknownName, "is no field of this request"
	case semantic.GoType != nil:
		f.Rule = "must be " + nameOf(semantic.GoType)
	default:
		f.Rule = "must have another type"
	}
	return f
}

// nameOf is a Go type as the sender of JSON knows it.
func nameOf(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if named, ok := reflect.New(t).Interface().(interface{ JSONType() string }); ok {
		return named.JSONType()
	}
	switch t.Kind() {
	case reflect.Int32, reflect.Int64:
		return "a whole number without fraction or exponent, within " + map[reflect.Kind]string{reflect.Int32: "32", reflect.Int64: "64"}[t.Kind()] + " bits"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	}
	return "an object"
}

func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true // nearly always
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

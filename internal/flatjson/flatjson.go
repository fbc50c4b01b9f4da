// Package flatjson writes small JSON objects whose members are texts and whole numbers, member by member: for bodies that are written for every payment, where finding the
// members by reflection costs more than all else about them.
package flatjson

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Object is being written. Names of members are constants that need no escapes.
type Object struct {
	b   []byte
	err error
}

// Begin an object behind what b holds.
func Begin(b []byte) Object { return Object{b: append(b, '{')} }

func (o *Object) name(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, '"'), name...), `":`...)
}

// Text writes a member.
func (o *Object) Text(name, value string) {
	o.name(name)
	var err error
	if o.b, err = jsontext.AppendQuote(o.b, value); err != nil && o.err == nil {
		o.err = err
	}
}

// SomeText writes a member unless it is empty.
func (o *Object) SomeText(name, value string) {
	if value != "" {
		o.Text(name, value)
	}
}

// Number writes a member.
func (o *Object) Number(name string, value int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, value, 10)
}

// End answers the bytes, with an error when a text was no UTF-8.
func (o *Object) End() ([]byte, error) { return append(o.b, '}'), o.err }

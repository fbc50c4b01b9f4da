package topics

import (
	"strconv"
	"time"

	"oms/schemas"
)

// Names of the headers that records carry: CloudEvents in binary content mode, W3C trace context, and the two that this system reads itself.
const (
	HeaderSpecVersion = "ce_specversion"
	HeaderID          = "ce_id"
	HeaderType        = "ce_type"
	HeaderSource      = "ce_source"
	HeaderSubject     = "ce_subject"
	HeaderTime        = "ce_time"
	HeaderTrace       = "traceparent"
	HeaderCorrelation = "correlation_id" // command_id of the border command that everything downstream follows from
	HeaderCause       = "cause"          // what the fact or outcome answers: ingest finds who waits without decoding the record
)

// Headers of a record, by name.
type Headers map[string][]byte

// HeadersOf are the headers of a message that is said at nowMS by source ("ingest", a group). Facts, outcomes and commands of the border are CloudEvents;
// what rooms say among themselves carries only what follows an order through them. parent holds the headers of the record that led to it; nil at the border.
func HeadersOf(m schemas.Message, source string, nowMS int64, parent Headers) Headers {
	h := Headers{}
	if trace, ok := parent[HeaderTrace]; ok {
		h[HeaderTrace] = trace
	}
	cause := schemas.CauseOf(m)
	id := cause
	switch o := m.(type) {
	case interface{ FactHead() *schemas.Fact }:
		f := o.FactHead()
		id = MessageID(m.Key(), f.Version, f.Ordinal)
		h[HeaderCause] = []byte(cause)
	case *schemas.CommandRefused:
		id = "refused." + o.CommandID
		h[HeaderCause] = []byte(o.CommandID)
	case *schemas.CommandRepeated:
		id = "repeated." + o.CommandID
		h[HeaderCause] = []byte(o.CommandID)
	}
	if c, ok := parent[HeaderCorrelation]; ok {
		h[HeaderCorrelation] = c
	} else if c, ok := m.(interface{ CommandHead() *schemas.Command }); ok {
		h[HeaderCorrelation] = []byte(c.CommandHead().CommandID)
	}
	if _, inside := m.(interface{ SaidHead() *schemas.Said }); inside {
		return h
	}
	h[HeaderSpecVersion] = []byte("1.0")
	h[HeaderID] = []byte(id)
	h[HeaderType] = []byte(m.Kind().String())
	h[HeaderSource] = []byte("/oms/" + source)
	h[HeaderSubject] = []byte(m.Key())
	h[HeaderTime] = time.UnixMilli(nowMS).UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z")
	return h
}

// MessageID is the identity of what a step says: the row's key, its version after the step, and the place within the step.
func MessageID(key string, version int64, ordinal int32) string {
	b := make([]byte, 0, len(key)+16)
	b = append(append(b, key...), '.')
	b = append(strconv.AppendInt(b, version, 10), '.')
	return string(strconv.AppendInt(b, int64(ordinal), 10))
}

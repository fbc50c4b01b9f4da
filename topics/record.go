package topics

import (
	"iter"
	"slices"
	"strconv"
	"strings"
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

// kindNames are the names of all kinds as the header wants them: most records carry one, and nobody changes it.
var kindNames = func() (names [][]byte) {
	for k := range slices.Max(schemas.Kinds()) + 1 {
		names = append(names, []byte(k.String()))
	}
	return names
}()

// sourcePrefix begins the source of every record of this system.
const sourcePrefix = "/oms/"

var specVersion = []byte("1.0")

// HeadersOf are the headers, by name, of a message that is said at nowMS by source ("ingest", a group). Facts, outcomes and commands of the border are CloudEvents;
// what rooms say among themselves carries only what follows an order through them. parent holds the headers of the record that led to it; nil at the border.
func HeadersOf(m schemas.Message, source string, nowMS int64, parent Headers) iter.Seq2[string, []byte] {
	return func(put func(string, []byte) bool) {
		if trace, ok := parent[HeaderTrace]; ok && !put(HeaderTrace, trace) {
			return
		}
		correlation, followed := parent[HeaderCorrelation]
		id := schemas.CauseOf(m)
		var cause string
		switch o := m.(type) {
		case interface{ SaidHead() *schemas.Said }:
			if followed {
				put(HeaderCorrelation, correlation)
			} else {
				put(HeaderSource, []byte(sourcePrefix+source))
			}
			return
		case interface{ FactHead() *schemas.Fact }:
			f := o.FactHead()
			id, cause = MessageID(m.Key(), f.Version, f.Ordinal), id
		case *schemas.CommandRefused:
			id, cause = "refused."+o.CommandID, o.CommandID
		case *schemas.CommandRepeated:
			id, cause = "repeated."+o.CommandID, o.CommandID
		case interface{ CommandHead() *schemas.Command }:
			if !followed {
				correlation, followed = []byte(o.CommandHead().CommandID), true
			}
		}
		if followed && !put(HeaderCorrelation, correlation) || cause != "" && !put(HeaderCause, []byte(cause)) {
			return
		}
		_ = put(HeaderSpecVersion, specVersion) && put(HeaderID, []byte(id)) && put(HeaderType, kindNames[m.Kind()]) && put(HeaderSource, []byte(sourcePrefix+source)) &&
			put(HeaderSubject, []byte(m.Key())) && put(HeaderTime, time.UnixMilli(nowMS).UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z"))
	}
}

// Newer answers schemas.ErrNewer for a record that a newer build of this system wrote; nil otherwise. A stranger's record may name any schema: it lacks the headers that every record
// of ours carries, but for the rows of tables, where no stranger can write.
func Newer(topic string, value []byte, header func(name string) []byte) error {
	table := slices.ContainsFunc(All, func(t Topic) bool { return t.Name == topic && t.Policy == Compact })
	if table || header(HeaderCorrelation) != nil || strings.HasPrefix(string(header(HeaderSource)), sourcePrefix) {
		return schemas.Newer(value)
	}
	return nil
}

// MessageID is the identity of what a step says: the row's key, its version after the step, and the place within the step.
func MessageID(key string, version int64, ordinal int32) string {
	b := make([]byte, 0, len(key)+16)
	b = append(append(b, key...), '.')
	b = append(strconv.AppendInt(b, version, 10), '.')
	return string(strconv.AppendInt(b, int64(ordinal), 10))
}

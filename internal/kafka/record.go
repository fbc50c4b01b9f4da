package kafka

import "github.com/twmb/franz-go/pkg/kgo"

// Record is a record as a Reader hands it out, for readers that have no other business with the client library.
type Record = kgo.Record

// Header of a record.
type Header = kgo.RecordHeader

// HeaderOf is the first header of the name; nil: there is none.
func HeaderOf(r *Record, name string) []byte {
	for i := range r.Headers {
		if r.Headers[i].Key == name {
			return r.Headers[i].Value
		}
	}
	return nil
}

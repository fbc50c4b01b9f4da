package kafka

import "github.com/twmb/franz-go/pkg/kgo"

// Record is a record as a Reader hands it out, for readers that have no other business with the client library.
type Record = kgo.Record

// Header of a record.
type Header = kgo.RecordHeader

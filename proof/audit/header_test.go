package audit

import "github.com/twmb/franz-go/pkg/kgo"

func header(key, value string) kgo.RecordHeader {
	return kgo.RecordHeader{Key: key, Value: []byte(value)}
}

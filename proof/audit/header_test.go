package audit

import "github.com/twmb/franz-go/pkg/kgo"

func aHeader(key, value string) kgo.RecordHeader {
	return kgo.RecordHeader{Key: key, Value: []byte(value)}
}

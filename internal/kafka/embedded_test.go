package kafka_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
)

func TestAnEmbeddedBrokerThatCannotStartSaysWhyInOneLine(t *testing.T) {
	dir := t.TempDir()
	e := kafkatest.EmbeddedAt(t, dir)
	for name, c := range map[string]struct {
		config kafka.EmbeddedConfig
		err    string
	}{
		"locked":        {kafka.EmbeddedConfig{Dir: dir}, "another process is using this directory"},
		"port taken":    {kafka.EmbeddedConfig{Dir: t.TempDir(), Listen: e.Addr()}, "address already in use"},
		"all addresses": {kafka.EmbeddedConfig{Dir: t.TempDir(), Listen: ":9092"}, "must be a loopback address"},
		"another host":  {kafka.EmbeddedConfig{Dir: t.TempDir(), Listen: "192.0.2.1:9092"}, "must be a loopback address"},
		"no port":       {kafka.EmbeddedConfig{Dir: t.TempDir(), Listen: "127.0.0.1"}, "missing port"},
		"no directory":  {kafka.EmbeddedConfig{Dir: "embedded_test.go"}, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := kafka.StartEmbedded(context.Background(), c.config)
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "\n") {
				t.Error(err)
			}
		})
	}
}

func TestWhatWasWrittenIsThereAfterACleanStopUnderTheSameClusterIDAndAnotherLife(t *testing.T) {
	for _, fsync := range []bool{false, true} {
		dir := t.TempDir()
		config := kafka.EmbeddedConfig{Dir: dir, Fsync: fsync, Log: kafkatest.Log(t)}
		e, err := kafka.StartEmbedded(context.Background(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		cl := ensure(t, e.Settings(), kafka.Topic{Name: "kept", Partitions: 1})
		if err := cl.ProduceSync(context.Background(), &kgo.Record{Topic: "kept", Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		id, life, addr := e.ClusterID(), e.Life(), e.Addr()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		config.Listen = addr
		if e, err = kafka.StartEmbedded(context.Background(), config); err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if e.ClusterID() != id || e.Life() == life || e.Addr() != addr {
			t.Errorf("cluster %s, life %s at %s; was %s, %s at %s", e.ClusterID(), e.Life(), e.Addr(), id, life, addr)
		}
		r, err := kafka.Settings{Brokers: []string{addr}}.NewReader(context.Background(), kafka.From{}, "kept") // over the network
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		n := 0
		if err := r.ToEnd(context.Background(), func(*kgo.Record) error { n++; return nil }); err != nil || n != 1 {
			t.Error(n, err)
		}
	}
}

func TestGarbageFromTheNetworkDoesNotEndTheBroker(t *testing.T) {
	e := kafkatest.Embedded(t)
	for _, garbage := range []string{
		"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"\x00\x00\x00\x08\x7f\xff\x00\x00\x00\x00\x00\x00",                         // no such request
		"\x00\x00\x00\x0a\x00\x00\x7f\xff\x00\x00\x00\x00\xff\xff",                 // produce of no such version
		"\x00\x00\x00\x02\x00\x00",                                                 // too short to name a version
		"\xff\xff\xff\xff\x00\x03\x00\x00\x00\x00\x00\x00",                         // four gigabytes
		"\x00\x00\x00\x0e\x00\x03\x00\x09\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff", // broken lengths
		"\x00\x00\x00\x00",
	} {
		c, err := net.Dial("tcp", e.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(garbage)); err != nil {
			t.Error(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil && !errors.Is(err, syscall.ENOTCONN) { // it may have hung up already
			t.Error(err)
		}
		c.Read(make([]byte, 64)) // an answer or the end
		c.Close()
	}
	if is, err := kafka.IsEmbedded(context.Background(), kafka.Settings{Brokers: []string{e.Addr()}}); !is || err != nil {
		t.Error("it no longer answers:", err)
	}
}

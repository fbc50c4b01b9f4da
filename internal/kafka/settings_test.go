package kafka_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
)

func TestSettingsCarryTLSAndTheCredentials(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(web.Certificate())
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: web.TLS.Certificates}), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "paula", "p-secret"), kfake.Superuser("SCRAM-SHA-256", "sam", "s-secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	good := kafka.Settings{Brokers: broker.ListenAddrs(), ClientID: "oms-test", Rack: "r1", TLS: &tls.Config{RootCAs: trusted}, SASL: plain.Auth{User: "paula", Pass: "p-secret"}.AsMechanism()}
	for name, change := range map[string]func(*kafka.Settings){
		"plain": func(*kafka.Settings) {},
		"scram": func(s *kafka.Settings) { s.SASL = scram.Auth{User: "sam", Pass: "s-secret"}.AsSha256Mechanism() },
		"!a wrong password": func(s *kafka.Settings) {
			s.SASL = plain.Auth{User: "paula", Pass: "guess"}.AsMechanism()
		},
		"!no credentials":           func(s *kafka.Settings) { s.SASL = nil },
		"!an untrusted certificate": func(s *kafka.Settings) { s.TLS = &tls.Config{} },
		"!no address":               func(s *kafka.Settings) { s.Brokers = nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			change(&s)
			ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
			defer cancel()
			id, err := s.ClusterID(ctx)
			if refused := strings.HasPrefix(name, "!"); (err != nil) != refused || (id == "kfake") == refused {
				t.Errorf("cluster %q, %v", id, err)
			}
		})
	}
}

func TestABatchAsLargeAsATopicTakesGoesThrough(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		topic := kafkatest.Name("large")
		cl := ensure(t, b.Settings, kafka.Topic{Name: topic, Partitions: 1, Config: map[string]string{"max.message.bytes": "8388608"}})
		value := bytes.Repeat([]byte("x"), 7<<20)
		none, err := b.NewProducer(kgo.ProducerBatchCompression(kgo.NoCompression()))
		if err != nil {
			t.Fatal(err)
		}
		defer none.Close()
		for _, cl := range []*kgo.Client{cl, none} {
			if err := cl.ProduceSync(context.Background(), &kgo.Record{Topic: topic, Value: value}).FirstErr(); err != nil {
				t.Error(err)
			}
		}
		r, err := b.NewReader(context.Background(), kafka.From{}, topic)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		n := 0
		if err := r.ToEnd(context.Background(), func(r *kgo.Record) error { n += len(r.Value); return nil }); err != nil || n != 14<<20 {
			t.Error(n, err)
		}
	})
}

func TestAnEmbeddedBrokerIsKnownByItsClusterID(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		is, err := kafka.IsEmbedded(context.Background(), kafka.Settings{Brokers: b.Brokers}) // as another process sees it
		if err != nil || is != (b.Embedded != nil) {
			t.Error(is, err)
		}
	})
}

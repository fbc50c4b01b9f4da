// Package kafka is the one door to the broker: client settings, topic creation, the key hash, a read-only reader, and an
// embedded broker whose transactions survive kill -9.
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
)

// MaxBatchBytes is the largest batch a producer of ours sends and an inbox, event, table or dead-letter topic takes: 8 MiB.
// A request body ends at 1 MiB, but the row that grows from it, and the batch around it, may be larger.
const MaxBatchBytes = 8 << 20

// Settings say how to reach a cluster. The zero value of every field but Brokers is a plain connection without identity.
type Settings struct {
	Brokers  []string       // host:port of at least one broker
	ClientID string         // shown in the broker's logs and quotas
	Rack     string         // consumers with a rack read from a replica in it
	TLS      *tls.Config    // nil: no encryption
	SASL     sasl.Mechanism // nil: no authentication

	// Gather is how long a record outside transactions waits for company, whatever its partition. Each request costs a real broker about as much as a transaction does.
	Gather time.Duration

	// Dial replaces the network, for an embedded broker in the same process. It excludes TLS.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Options are the client options that every client of ours starts from. Later options win.
func (s Settings) Options(extra ...kgo.Opt) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(s.Brokers...),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), // murmur2 of the key, as Partition
		kgo.ProducerBatchMaxBytes(MaxBatchBytes),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	}
	if s.ClientID != "" {
		opts = append(opts, kgo.ClientID(s.ClientID))
	}
	if s.Rack != "" {
		opts = append(opts, kgo.Rack(s.Rack))
	}
	if s.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(s.TLS))
	}
	if s.Dial != nil {
		opts = append(opts, kgo.Dialer(s.Dial))
	}
	if s.SASL != nil {
		opts = append(opts, kgo.SASL(s.SASL))
	}
	return append(opts, extra...)
}

// NewProducer is a client for records outside transactions: idempotent, acknowledged by all replicas in sync, sent when they have gathered.
func (s Settings) NewProducer(extra ...kgo.Opt) (*kgo.Client, error) {
	return s.client(append([]kgo.Opt{kgo.ProducerLinger(s.Gather)}, extra...)...)
}

func (s Settings) client(extra ...kgo.Opt) (*kgo.Client, error) {
	if len(s.Brokers) == 0 {
		return nil, errors.New("kafka: no broker address is set")
	}
	cl, err := kgo.NewClient(s.Options(extra...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: client for %s: %w", strings.Join(s.Brokers, ","), err)
	}
	return cl, nil
}

// ClusterID asks the cluster for its id. It fails, rather than trying on, when no broker answers within ten seconds.
func (s Settings) ClusterID(ctx context.Context) (string, error) {
	cl, err := s.client()
	if err != nil {
		return "", err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	meta, err := kadm.NewClient(cl).BrokerMetadata(ctx)
	if err != nil {
		return "", fmt.Errorf("kafka: no answer from %s: %w", strings.Join(s.Brokers, ","), err)
	}
	return meta.Cluster, nil
}

// IsEmbedded tells whether an embedded broker, of whatever process, answers at these settings. Its transactions are whole only
// while all of them go through the journal in its own process, so no other process may run a transactional role on it.
func IsEmbedded(ctx context.Context, s Settings) (bool, error) {
	id, err := s.ClusterID(ctx)
	return isEmbedded(id), err
}

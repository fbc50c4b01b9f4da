package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/schemas"
	"oms/topics"
)

// ErrOtherSecret says that the cluster's ids derive from another secret than ours.
var ErrOtherSecret = errors.New("ingest: the secret is not the cluster's")

// secretName is the key of the agreement.
const secretName = "ingest secret"

// agree makes our secret the cluster's, or learns that another is. Under two secrets one Idempotency-Key would be two orders, and one e-mail address two customers.
func (s *Server) agree(ctx context.Context) error {
	for {
		first, err := s.agreed(ctx)
		if err == nil && first == nil {
			err = s.adopt(ctx)
		} else if err == nil {
			if bytes.Equal(first.Fingerprint, s.secretFingerprint()) {
				s.ours.Store(true)
				return nil
			}
			return fmt.Errorf("%w: it was adopted at %s by a process with another directory of keys; let all processes with role ingest or views share that one (setting keys)",
				ErrOtherSecret, time.UnixMilli(first.AtMS).UTC().Format(time.RFC3339))
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.cfg.Log.Warn("agreeing on the secret; trying again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

func (s *Server) secretFingerprint() []byte { return s.digest("fingerprint of the secret")[:16] }

// agreed is the first agreement in the log; nil: there is none.
func (s *Server) agreed(ctx context.Context) (first *schemas.SecretAdopted, err error) {
	r, err := s.cfg.Kafka.NewReader(ctx, kafka.From{}, topics.Agreements.Name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	ends, err := r.Ends(ctx)
	if err != nil {
		return nil, err
	}
	for !r.Reached(ends) {
		err := r.Poll(ctx, func(rec *kgo.Record) error {
			if m, ok := schemas.Decode(rec.Value).(*schemas.SecretAdopted); ok && m.Name == secretName && first == nil {
				first = m // all of a key are in one partition, in order
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return first, nil
}

// adopt writes ours. Another process may have been quicker: the first one holds.
func (s *Server) adopt(ctx context.Context) error {
	m := &schemas.SecretAdopted{Name: secretName, Fingerprint: s.secretFingerprint(), AtMS: time.Now().UnixMilli()}
	value, err := schemas.Encode(m)
	if err != nil {
		return err
	}
	acked := make(chan error, 1)
	s.producer.TryProduce(ctx, &kgo.Record{Topic: topics.Of(m).Name, Key: []byte(m.Key()), Value: value}, func(_ *kgo.Record, err error) { acked <- err })
	return <-acked
}

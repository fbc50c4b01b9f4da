package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// settle closes the journal's entries once the broker runs on mended files and before anybody else is let in. A committed
// transaction moves its group's offsets, which the broker would have written after the last marker; never backwards, since
// another member may have moved them on. It may be killed and run again.
func settle(ctx context.Context, s Settings, j *Journal, entries []entry, committed []bool) error {
	cl, err := s.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for i, e := range entries {
		if committed[i] {
			if err := forward(ctx, adm, e.group, e.offsets); err != nil {
				return fmt.Errorf("offsets of transaction %d of %s: %w", e.seq, e.id, err)
			}
		}
		if err := j.Done(e.seq); err != nil {
			return err
		}
	}
	return nil
}

func forward(ctx context.Context, adm *kadm.Client, group string, offsets map[string]map[int32]int64) error {
	if group == "" || len(offsets) == 0 {
		return nil
	}
	have, err := adm.FetchOffsets(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return err
	}
	move := kadm.Offsets{}
	for topic, parts := range offsets {
		for p, at := range parts {
			if o, ok := have.Lookup(topic, p); !ok || o.At < at {
				move.AddOffset(topic, p, at, -1)
			}
		}
	}
	if len(move) == 0 {
		return nil
	}
	return adm.CommitAllOffsets(ctx, group, move)
}

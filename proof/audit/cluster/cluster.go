// Package cluster audits a Kafka cluster, live or stopped: it reads all topics once and hands every record to the books, which share nothing with what they check, and to
// the fold, which uses the machines.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"oms/gateways"
	"oms/internal/kafka"
	"oms/processors"
	"oms/proof/audit"
)

// Config of an audit.
type Config struct {
	Kafka      kafka.Settings
	Ledger     string       // file of what the payment provider did, JSON lines; empty: law I4 is checked in part
	Client     string       // file of what clients were told, JSON lines; empty: laws I6 and I11 are checked in part
	Checkpoint string       // file that keeps the books between two audits, or over an interruption; empty: none
	Archive    string       // directory of what inboxes have let go; empty: none
	Build      string       // of this program: a checkpoint of another one is refused, for its rows were folded by other machines
	Progress   func(string) // is told where the audit is, once a second at most; nil: it is not
}

// groups are the consumer groups of the inboxes.
var groups = func() []string {
	names := []string{gateways.Group}
	for _, g := range processors.Groups {
		names = append(names, g.Name)
	}
	return names
}()

// ErrInterrupted says that an audit was stopped before its end. With a checkpoint the next one goes on where it was.
var ErrInterrupted = errors.New("interrupted")

// rounds bounds how often the audit reads on while the topics grow; after them it calls the system live.
const rounds = 3

// Run reads every topic, from its start or from the checkpoint on, and checks the laws.
func Run(ctx context.Context, c Config) (audit.Report, error) {
	start := time.Now()
	s, err := open(ctx, c)
	if err != nil {
		return audit.Report{}, err
	}
	defer s.close()
	return s.run(ctx, start)
}

func (s *session) run(ctx context.Context, start time.Time) (_ audit.Report, err error) {
	asOf, still := time.Time{}, false
	for n := 0; n < rounds && !still; n++ {
		if asOf, still, err = s.round(ctx); err != nil {
			return audit.Report{}, s.stopped(ctx, err)
		}
	}
	if err := s.save(); err != nil {
		return audit.Report{}, err
	}
	return s.report(asOf, still, start)
}

// report reads the files, which are no part of a checkpoint, and checks what only the whole shows.
func (s *session) report(asOf time.Time, still bool, start time.Time) (audit.Report, error) {
	if err := errors.Join(file(s.Ledger, s.books.Ledger), file(s.Client, s.books.Client)); err != nil {
		return audit.Report{}, err
	}
	r := s.look(asOf, still)
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// file hands the file of that name to read; without a name there is none.
func file(name string, read func(io.Reader) error) error {
	if name == "" {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := read(f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"oms/internal/backup"
)

// BackupCmd copies the data of a shop while it runs.
type BackupCmd struct {
	Into string `arg:"" help:"Directory for the copy: empty, or not there yet." placeholder:"DIR"`
	Data string `help:"Directory of the shop (default ${data})." placeholder:"DIR"`
}

// Run copies and says what it has.
func (c BackupCmd) Run(r *run) error {
	conf, err := r.config(map[string]any{"data": c.Data})
	if err != nil {
		return err
	}
	if len(conf.Kafka.Brokers) > 0 {
		return errors.New("backup: the log is on a Kafka cluster, which has its own ways to be copied; of this system only the directory of keys belongs beside such a copy")
	}
	m, err := backup.Take(r.ctx, backup.Config{Data: conf.Data, Keys: cmp.Or(conf.Keys, filepath.Join(conf.Data, "keys")), Commit: version(), Progress: os.Stderr}, c.Into)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_, err = fmt.Fprintf(r.out, "%d files, %.1f MiB, as of %s; the shop was paused for %s\n", len(m.Files), float64(m.Bytes)/(1<<20), m.At.Format(time.RFC3339Nano), m.Paused.Round(time.Millisecond))
	return err
}

// RestoreCmd puts a copy back.
type RestoreCmd struct {
	From string `arg:"" help:"Directory of the backup." type:"existingdir" placeholder:"DIR"`
	Data string `help:"Directory for the shop: empty, or not there yet." required:"" placeholder:"DIR"`
}

// Run checks and copies.
func (c RestoreCmd) Run(r *run) error {
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return err
	}
	m, err := backup.Restore(r.ctx, c.From, data, os.Stderr)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	_, err = fmt.Fprintf(r.out, "%d files, %.1f MiB, as of %s: oms up --data %s goes on from there\n", len(m.Files), float64(m.Bytes)/(1<<20), m.At.Format(time.RFC3339Nano), c.Data)
	return err
}

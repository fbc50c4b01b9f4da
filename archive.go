package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"oms/internal/archive"
	"oms/internal/kafka"
	"oms/processors"
)

// ArchiveCmd moves the beginnings of inboxes into files.
type ArchiveCmd struct {
	Into      string `arg:"" help:"Directory of the archive: empty, not there yet, or one to go on with." placeholder:"DIR"`
	OlderThan age    `help:"Records that are younger stay: 30d, or 12h." default:"30d" placeholder:"AGE"`
	Kafka     string `help:"The Kafka, or the broker of a running shop: the address that its ready line prints." placeholder:"HOST:PORT"`
	Data      string `help:"Directory of a stopped shop with an embedded broker (default ${data})." placeholder:"DIR"`
}

// age is a duration, with days.
type age time.Duration

// UnmarshalText reads 30d or 12h.
func (a *age) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			*a = age(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return fmt.Errorf("%q: want an age such as 30d or 12h", s)
	}
	*a = age(d)
	return nil
}

// Run archives and says, for each inbox, what came of it.
func (c ArchiveCmd) Run(r *run) (err error) {
	flags := brokers(c.Kafka)
	flags["data"] = c.Data
	conf, err := r.config(flags)
	if err != nil {
		return err
	}
	s, closeKafka, err := c.kafka(r, conf)
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	defer func() { err = errors.Join(err, closeKafka()) }()
	tell, end := progressLine("archive")
	defer end()
	work := archive.Config{Kafka: s, OlderThan: time.Duration(c.OlderThan), Progress: tell}
	for _, g := range processors.Groups {
		work.Topics = append(work.Topics, archive.Topic{Name: g.Inbox.Name, Group: g.Name})
	}
	all, err := archive.Take(r.ctx, work, c.Into)
	end()
	for _, d := range all {
		if d.Stays == "" {
			continue // nothing was ever there
		}
		fmt.Fprintf(r.out, "%s/%d: %d records into %d files, %.1f MiB; offset %d stays: %s\n", d.Topic, d.Partition, d.Records, d.Files, float64(d.Bytes)/(1<<20), d.From, d.Stays)
	}
	if err != nil && r.ctx.Err() != nil {
		err = errors.New("archive: interrupted; the same command again goes on")
	}
	return err
}

// kafka finds the broker: a cluster, that of a running shop, or that of a stopped one, which runs here until it is closed.
func (c ArchiveCmd) kafka(r *run, conf Config) (kafka.Settings, func() error, error) {
	if len(conf.Kafka.Brokers) > 0 {
		s, err := conf.Kafka.settings()
		return s, func() error { return nil }, err
	}
	if _, err := os.Stat(filepath.Join(conf.Data, "kafka", "log")); err != nil {
		return kafka.Settings{}, nil, fmt.Errorf("no shop with an embedded broker, and no --kafka: %w", err)
	}
	e, err := kafka.StartEmbedded(r.ctx, embedded(conf, r.log))
	if err != nil {
		if errors.Is(err, kafka.ErrInUse) {
			err = fmt.Errorf("%w: name the broker of the running shop with --kafka", err)
		}
		return kafka.Settings{}, nil, err
	}
	return e.Settings(), e.Close, nil
}

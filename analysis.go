package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"oms/internal/clickhouse"
	"oms/internal/kafka"
	sink "oms/views/clickhouse"
)

// found is the analysts' ClickHouse of a command.
type found struct {
	full   string // URL of who may do everything
	reader string // URL of who may only read, where ClickHouse is ours
	close  func() error
}

// database finds the ClickHouse of the settings, else the embedded engine of a running process, else that of a stopped one, which is started for the command alone.
func (r *run) database(conf Config) (found, error) {
	r.level.Set(max(r.level.Level(), slog.LevelWarn)) // that an engine starts and stops is nothing to a command
	nothing := func() error { return nil }
	if url := conf.ClickHouse.URL; url != "" {
		return found{url, url, nothing}, nil
	}
	dirs, err := filepath.Glob(filepath.Join(conf.Data, "clickhouse", "*"))
	if err != nil || len(dirs) == 0 {
		return found{}, fmt.Errorf("no ClickHouse: clickhouse.url is not set, and %s holds no embedded one (--data names another directory)", conf.Data)
	}
	for _, dir := range dirs {
		if running, err := clickhouse.ReadEndpoint(dir); err == nil {
			full, err := running.FullURL()
			return found{full, running.ReaderURL(), nothing}, err
		}
	}
	if len(dirs) > 1 {
		return found{}, fmt.Errorf("%s holds the facts of %d Kafka clusters: start the one that is meant, or set clickhouse.url", filepath.Join(conf.Data, "clickhouse"), len(dirs))
	}
	engine, err := r.startEngine(r.ctx, conf, filepath.Base(dirs[0]))
	if err != nil {
		return found{}, err
	}
	return found{engine.URL(), engine.ReaderURL(), engine.Close}, nil
}

// analytics is a connection for who reads.
func (r *run) analytics(conf Config) (clickhouse.Conn, func() error, error) {
	at, err := r.database(conf)
	if err != nil {
		return nil, nil, err
	}
	conn, err := clickhouse.Open(at.reader)
	if err != nil {
		return nil, nil, errors.Join(err, at.close())
	}
	return conn, func() error { return errors.Join(conn.Close(), at.close()) }, nil
}

// databaseFlags name what a command about analytics works on.
type databaseFlags struct {
	Data       string `help:"Data directory of the process whose embedded ClickHouse is meant (default ${data})." placeholder:"DIR"`
	ClickHouse string `name:"clickhouse" help:"Another ClickHouse: http(s)://user:password@host:port/database or clickhouse(s)://…" placeholder:"URL"`
}

func (f databaseFlags) settings(r *run, more map[string]any) (Config, error) {
	more["data"], more["clickhouse.url"] = f.Data, f.ClickHouse
	return r.config(more)
}

// AnalyticsCmd shows that ClickHouse is true, and mends it.
type AnalyticsCmd struct {
	Verify  VerifyCmd  `cmd:"" help:"Compare ClickHouse with the topics, per partition and hour; exit status 1 on a difference, or when something is missing and no process fills the tables."`
	Rebuild RebuildCmd `cmd:"" help:"Fill a range of time, or everything, again from the topics, while the sink runs."`
}

// onTopics is a sink that is not run: it has the tools that need both sides.
func onTopics(r *run, flags databaseFlags, brokersFlag string) (*sink.Sink, func() error, error) {
	conf, err := flags.settings(r, brokers(brokersFlag))
	if err != nil {
		return nil, nil, err
	}
	if len(conf.Kafka.Brokers) == 0 {
		return nil, nil, errors.New("--kafka: want the address of the Kafka that ClickHouse is filled from")
	}
	cluster, err := conf.Kafka.settings()
	if err != nil {
		return nil, nil, err
	}
	id, err := cluster.ClusterID(r.ctx)
	if err != nil {
		return nil, nil, err
	}
	at, err := r.database(conf)
	if err != nil {
		return nil, nil, err
	}
	s, err := newTool(r, conf, cluster, id, at.full)
	if err != nil {
		return nil, nil, errors.Join(err, at.close())
	}
	return s, func() error { return errors.Join(s.Close(), at.close()) }, nil
}

func newTool(r *run, conf Config, cluster kafka.Settings, id, url string) (*sink.Sink, error) {
	host, _ := os.Hostname() // the name is for people
	return sink.New(sink.Config{Kafka: cluster, Cluster: id, URL: url, Keep: conf.ClickHouse.Keep, Instance: fmt.Sprintf("command %d on %s", os.Getpid(), host), Log: r.log})
}

// progress says what a long command is doing, to people only.
func progress(step string) {
	if terminal(os.Stderr) != nil {
		fmt.Fprintln(os.Stderr, time.Now().Format(time.TimeOnly), step)
	}
}

// VerifyCmd compares.
type VerifyCmd struct {
	databaseFlags
	Kafka  string `help:"The Kafka that ClickHouse is filled from: the address that the ready line prints." placeholder:"HOST:PORT"`
	Output string `short:"o" help:"text or json." enum:"text,json" default:"text"`
}

// Run compares and prints; exit status 1 on a difference.
func (c VerifyCmd) Run(r *run) error {
	s, closer, err := onTopics(r, c.databaseFlags, c.Kafka)
	if err != nil {
		return err
	}
	defer closer()
	report, err := s.Verify(r.ctx, progress)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if c.Output == "json" {
		if err := json.NewEncoder(r.out).Encode(report); err != nil {
			return err
		}
	} else {
		printReport(r, report)
	}
	if !report.Equal() {
		return exitStatus(1)
	}
	return nil
}

func printReport(r *run, report sink.Report) {
	for _, v := range report.Tables {
		word := "equal"
		if v.Different > 0 {
			word = "DIFFERENT"
		}
		var sums []string
		for _, s := range v.Sums {
			sums = append(sums, fmt.Sprintf("Σ %s %d", s.Column, s.Sum))
		}
		fmt.Fprintf(r.out, "%-16s %-9s %10d rows in %d partition hours  %s", v.Table, word, v.Rows, v.Cells, strings.Join(sums, ", "))
		if v.Duplicates > 0 {
			fmt.Fprintf(r.out, "  (%d repeated rows wait for their merge)", v.Duplicates)
		}
		fmt.Fprintln(r.out)
		if v.First != "" {
			fmt.Fprintln(r.out, "  ", v.First)
		}
		if v.Beyond > 0 {
			fmt.Fprintf(r.out, "   %d rows beyond where the table stands, and no process fills it\n", v.Beyond)
		}
	}
	switch behind := report.Behind(); {
	case behind > 0 && report.Filler == "":
		fmt.Fprintf(r.out, "up to %d offsets of the topics are in no table yet, and no process fills the tables: start one with the role analytics\n", behind)
	case report.Equal() && behind > 0:
		fmt.Fprintf(r.out, "ClickHouse equals the topics up to where its tables stand; %s is about to bring the last %d offsets\n", report.Filler, behind)
	case report.Equal():
		fmt.Fprintln(r.out, "ClickHouse equals the topics")
	}
}

// RebuildCmd fills tables again.
type RebuildCmd struct {
	databaseFlags
	Kafka  string   `help:"The Kafka that ClickHouse is filled from." placeholder:"HOST:PORT"`
	From   string   `help:"First instant of the range, RFC 3339 or a day such as 2026-11-24; without it and --to: everything." placeholder:"TIME"`
	To     string   `help:"End of the range: the first instant that is not of it." placeholder:"TIME"`
	Tables []string `name:"table" help:"Only these tables." placeholder:"TABLE"`
	DryRun bool     `help:"Only print what would be rebuilt; --no-dry-run does it." default:"true" negatable:""`
}

// Run rebuilds.
func (c RebuildCmd) Run(r *run) error {
	what := sink.Rebuild{Tables: c.Tables}
	var err error
	if what.From, err = instantFlag("--from", c.From); err != nil {
		return err
	}
	if what.To, err = instantFlag("--to", c.To); err != nil {
		return err
	}
	plan, err := what.Plan()
	if err != nil {
		return err
	}
	for _, line := range plan {
		fmt.Fprintln(r.out, line)
	}
	if c.DryRun {
		fmt.Fprintln(r.out, "nothing was done: --no-dry-run does it")
		return nil
	}
	s, closer, err := onTopics(r, c.databaseFlags, c.Kafka)
	if err != nil {
		return err
	}
	defer closer()
	started := time.Now()
	if err := s.Rebuild(r.ctx, what, progress); err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	fmt.Fprintf(r.out, "rebuilt in %s; oms analytics verify compares it\n", time.Since(started).Round(time.Millisecond))
	return nil
}

// instantFlag reads a time; empty is none.
func instantFlag(flag, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, value); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: %q: want RFC 3339 such as 2026-11-24T13:00:00Z, or a day such as 2026-11-24", flag, value)
}

// MigrateCmd makes or changes the tables of a ClickHouse.
type MigrateCmd struct {
	databaseFlags
}

// Run takes the steps that are missing. Steps only go forward.
func (c MigrateCmd) Run(r *run) error {
	conf, err := c.settings(r, map[string]any{})
	if err != nil {
		return err
	}
	at, err := r.database(conf)
	if err != nil {
		return err
	}
	defer at.close()
	db, err := clickhouse.OpenDB(at.full)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(r.ctx, 10*time.Minute)
	defer cancel()
	steps, err := sink.Migrate(ctx, db, conf.ClickHouse.Keep)
	for _, s := range steps {
		fmt.Fprintln(r.out, s)
	}
	if err == nil && len(steps) == 0 {
		fmt.Fprintln(r.out, "nothing to do")
	}
	return err
}

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"oms/proof/bench"
	"oms/proof/workload"
)

// BenchCmd measures.
type BenchCmd struct {
	Self      bool          `help:"Start a fresh system of its own for each scenario, instead of measuring one that runs."`
	Server    string        `help:"The running server." default:"http://127.0.0.1:8080" placeholder:"URL"`
	Kafka     string        `help:"Its Kafka." placeholder:"HOST:PORT"`
	PID       int           `help:"Its process, for processor time and memory." placeholder:"PID"`
	Data      string        `help:"Its data directory, for bytes per order." placeholder:"DIR"`
	Scenarios []string      `name:"scenario" help:"Which: ${scenarios}. Without it: all but ${optional}." placeholder:"NAME"`
	Door      string        `help:"kafka or http: only scenarios through this door." placeholder:"DOOR"`
	Duration  time.Duration `help:"How long each is measured." default:"20s"`
	Warm      time.Duration `help:"How long each is warmed up." default:"5s"`
	Rate      int           `help:"Orders per second of scenarios latency, hops and sink." default:"500"`
	Window    int           `help:"Orders under way at most, door kafka." default:"20000"`
	Live      int           `help:"Orders to hold in scenarios memory, growth and recovery." default:"100000"`
	Lines     int           `help:"Order lines of scenario reports." default:"1000000"`
	Seed      uint64        `help:"Another seed is another shop." default:"1"`
	Record    string        `help:"File that gets what the system said, for oms audit --client." placeholder:"FILE"`
	Profiles  string        `name:"profile" help:"Directory that gets a profile of the server's processor for each measurement with a duration; the share of each part is printed." placeholder:"DIR"`
	Output    string        `short:"o" help:"table or json." enum:"table,json" default:"table"`
}

// Run measures and prints.
func (c BenchCmd) Run(r *run) error {
	conf, err := r.config(brokers(c.Kafka))
	if err != nil {
		return err
	}
	b := bench.Config{Server: c.Server, PID: c.PID, DataDir: c.Data, Scenarios: c.Scenarios, Door: c.Door, Duration: c.Duration, Warm: c.Warm, Rate: c.Rate, Window: c.Window, Live: c.Live, Lines: c.Lines, Profiles: c.Profiles,
		Seed: c.Seed, File: r.cli.Config, Commit: version(), Durability: "killed process (written, not fsynced)", Bar: terminal(os.Stderr),
		Settings: fmt.Sprintf("partitions %d (0: 4 on the embedded broker), max batch %d", conf.Kafka.Partitions, conf.Engine.MaxBatch)}
	if conf.Kafka.Fsync {
		b.Durability = "power loss (fsync)"
	}
	if c.Record != "" {
		f, err := os.Create(c.Record)
		if err != nil {
			return fmt.Errorf("--record: %w", err)
		}
		defer f.Close()
		b.Record = workload.NewRecord(f)
	}
	var report bench.Report
	if c.Self {
		binary, err := os.Executable()
		if err != nil {
			return err
		}
		report, err = bench.Self(r.ctx, binary, os.Stderr, b)
		return errors.Join(err, c.show(r, report))
	}
	if b.Kafka, err = conf.Kafka.settings(); err != nil {
		return err
	}
	report, err = bench.Run(r.ctx, b)
	return errors.Join(err, c.show(r, report))
}

func (c BenchCmd) show(r *run, report bench.Report) error {
	if c.Output == "json" {
		return report.JSON(r.out)
	}
	return report.Table(r.out)
}

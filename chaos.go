package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"oms/proof/chaos"
)

// ChaosCmd breaks a shop of its own.
type ChaosCmd struct {
	Seed     uint64 `help:"The same seed is the same plan of faults." default:"1"`
	Orders   int    `help:"Orders to place." default:"20000"`
	Rate     int    `help:"Orders per second." default:"400"`
	Every    int    `help:"Orders from one fault to the next." default:"1000"`
	Faults   string `help:"all, or kinds parted by commas: ${faults}." default:"all" placeholder:"LIST"`
	Topology string `help:"embedded: broker and roles in one process; kafka: a real Kafka and three processes of each role." enum:"embedded,kafka" default:"embedded"`
	Jars     string `help:"Folder with the jars of a real Kafka (default where make setup puts them)." placeholder:"DIR"`
	Data     string `help:"Directory of everything kept on disk, empty or missing; it stays (default: a temporary one, which stays after a violation)." placeholder:"DIR"`
	Record   string `help:"File that gets what the shop said, for oms audit --client." placeholder:"FILE"`
	DryRun   bool   `help:"Only print the plan."`
	Output   string `short:"o" help:"table or json." enum:"table,json" default:"table"`
}

// Run starts the shop, loads and breaks it; exit status 1 on a violation.
func (c ChaosCmd) Run(r *run) error {
	kinds, err := chaos.ParseFaults(c.Faults, c.Topology)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		value int
	}{{"orders", c.Orders}, {"rate", c.Rate}, {"every", c.Every}} {
		if f.value < 1 {
			return fmt.Errorf("--%s: %d: want 1 or more", f.name, f.value)
		}
	}
	if c.DryRun {
		return chaos.NewPlan(c.Seed, c.Topology, kinds, c.Orders, c.Every).Text(r.out)
	}
	return broken(r, chaos.Config{Topology: c.Topology, Seed: c.Seed, Orders: c.Orders, Rate: c.Rate, Every: c.Every, Faults: kinds, Jars: c.Jars, Record: c.Record}, c.Data, func(conf chaos.Config) ([]string, error) {
		report, err := chaos.Run(r.ctx, conf)
		show := report.Table
		if c.Output == "json" {
			show = report.JSON
		}
		return report.Violations, errors.Join(err, show(r.out))
	})
}

// broken lets a run have a directory, which stays when it was asked for or something was violated: exit status 1.
func broken(r *run, conf chaos.Config, data string, do func(chaos.Config) (violations []string, err error)) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	dir, keep, err := workDir(data)
	if err != nil {
		return err
	}
	if conf.Record == "" {
		conf.Record = filepath.Join(dir, "client.jsonl")
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	conf.Binary, conf.Dir, conf.Commit, conf.Progress, conf.Log = binary, dir, version(), os.Stderr, log
	violations, err := do(conf)
	if err != nil || len(violations) > 0 {
		fmt.Fprintf(os.Stderr, "data and log of the run are in %s\n", dir)
	} else if !keep {
		err = os.RemoveAll(dir)
	}
	if err == nil && len(violations) > 0 {
		return exitStatus(1)
	}
	return err
}

// workDir is the directory of a run: the one that was asked for, which stays and must be empty, or a temporary one.
func workDir(dir string) (path string, keep bool, err error) {
	if dir == "" {
		path, err = os.MkdirTemp("", "oms-")
		return path, false, err
	}
	if found, _ := os.ReadDir(dir); len(found) > 0 {
		return "", true, fmt.Errorf("--data: %s is not empty: want a directory for this run alone", dir)
	}
	path, err = filepath.Abs(dir)
	return path, true, errors.Join(err, os.MkdirAll(dir, 0o750))
}

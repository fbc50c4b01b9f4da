package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"oms/proof/bench/peers"
)

// PeersCmd compares this system with what a shop would use instead.
type PeersCmd struct {
	Jars     string        `help:"Folder with the jars of Kafka and Kafka Streams (make bench-peers brings them)." required:"" type:"existingdir" placeholder:"DIR"`
	Rounds   int           `help:"How often each side is measured, by turns." default:"3"`
	Duration time.Duration `help:"How long each is measured." default:"20s"`
	Warm     time.Duration `help:"How long each is warmed up." default:"10s"`
	Seed     uint64        `help:"Another seed is another shop." default:"1"`
	Out      string        `help:"Folder that gets peers.json, peers.md and peers.svg." default:"." type:"existingdir" placeholder:"DIR"`
}

// Run measures, prints the table, and writes the report in three forms.
func (c PeersCmd) Run(r *run) error {
	if c.Rounds < 1 || c.Duration <= 0 || c.Warm <= 0 {
		return fmt.Errorf("--rounds, --duration, --warm: %d, %s, %s: want more than nothing", c.Rounds, c.Duration, c.Warm)
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(c.Out, "peers.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	report, err := peers.Run(r.ctx, peers.Config{Binary: binary, Jars: c.Jars, Rounds: c.Rounds, Warm: c.Warm, Duration: c.Duration, Seed: c.Seed, Commit: version(), Log: log, Progress: os.Stderr})
	if err != nil {
		return fmt.Errorf("%w (what the systems said: %s)", err, log.Name())
	}
	if err := report.Table(r.out); err != nil {
		return err
	}
	return errors.Join(write(filepath.Join(c.Out, "peers.json"), report.JSON), write(filepath.Join(c.Out, "peers.md"), report.Table), write(filepath.Join(c.Out, "peers.svg"), report.SVG))
}

func write(path string, print func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(print(f), f.Close())
}

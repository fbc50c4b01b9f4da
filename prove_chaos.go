package main

import (
	"errors"
	"fmt"
	"os"

	"oms/proof/chaos"
)

// ProveOversellCmd shows that nothing is oversold.
type ProveOversellCmd struct {
	proofFlags
	Buyers int `help:"Who wants one unit each." default:"3000"`
	Units  int `help:"That there are; fewer than buyers." default:"1800"`
}

// ProveExactlyOnceCmd shows that each order and each charge happens once.
type ProveExactlyOnceCmd struct {
	proofFlags
	Orders int `help:"Orders, each of which is sent three times or more." default:"3000"`
}

// proofFlags are those of the proofs on a shop that is broken.
type proofFlags struct {
	Seed   uint64 `help:"The same seed is the same plan of faults." default:"1"`
	Rate   int    `help:"Orders per second." default:"75"`
	SVG    string `name:"svg" help:"File that gets the picture." default:"proof.svg" placeholder:"FILE"`
	Output string `short:"o" help:"table or json." enum:"table,json" default:"table"`
}

// faultsInAProof is about how many steps the plan of a proof has.
const faultsInAProof = 8

// Run proves; exit status 1 when something was oversold, or anything else was violated.
func (c ProveOversellCmd) Run(r *run) error {
	if c.Units < 1 || c.Buyers <= c.Units {
		return fmt.Errorf("--units: %d of %d buyers: want 1 or more, and fewer than buyers", c.Units, c.Buyers)
	}
	return c.prove(r, c.Buyers, func(conf chaos.Config) (chaos.Proof, error) { return chaos.Oversell(r.ctx, conf, c.Units) })
}

// Run proves; exit status 1 when something happened twice or not at all, or anything else was violated.
func (c ProveExactlyOnceCmd) Run(r *run) error {
	return c.prove(r, c.Orders, func(conf chaos.Config) (chaos.Proof, error) { return chaos.ExactlyOnce(r.ctx, conf) })
}

func (c proofFlags) prove(r *run, orders int, run func(chaos.Config) (chaos.Proof, error)) error {
	for _, f := range []struct {
		name  string
		value int
	}{{"orders", orders}, {"rate", c.Rate}} {
		if f.value < 1 {
			return fmt.Errorf("--%s: %d: want 1 or more", f.name, f.value)
		}
	}
	picture, err := os.Create(c.SVG)
	if err != nil {
		return fmt.Errorf("--svg: %w", err)
	}
	defer picture.Close()
	return broken(r, chaos.Config{Seed: c.Seed, Orders: orders, Rate: c.Rate, Every: max(1, orders/(faultsInAProof+1))}, "", func(conf chaos.Config) ([]string, error) {
		proof, err := run(conf)
		show := proof.Table
		if c.Output == "json" {
			show = proof.JSON
		}
		return proof.Report.Violations, errors.Join(err, proof.SVG(picture), show(r.out))
	})
}

package main

import (
	"fmt"
	"maps"
	"slices"

	"oms/proof/simulation"
)

// ProveCmd shows what the system promises.
type ProveCmd struct {
	Oversell    ProveOversellCmd    `cmd:"" help:"Let more buyers than there are units want one product while processes are killed: table, picture, and the auditor's verdict in a minute."`
	ExactlyOnce ProveExactlyOnceCmd `cmd:"" help:"Send every order several times while processes are killed and the provider answers twice or not at all: the same."`
	Simulation  ProveSimulationCmd  `cmd:"" help:"Run the whole system in simulated time under the faults that a seed draws, with the auditor reading along; exit status 1 on a violation."`
}

// ProveSimulationCmd runs one seed.
type ProveSimulationCmd struct {
	Seed   uint64 `help:"What happens follows from it alone." default:"1"`
	Orders int    `help:"Orders to place." default:"500"`
	Only   []int  `help:"Numbers of the orders that take part, from 0, parted by commas; the others are left out." placeholder:"N"`
}

// Run simulates and prints; exit status 1 on a violation.
func (c ProveSimulationCmd) Run(r *run) error {
	if c.Orders < 1 {
		return fmt.Errorf("--orders: %d: want at least 1", c.Orders)
	}
	result, err := simulation.Run(simulation.Config{Seed: c.Seed, Orders: c.Orders, Only: c.Only})
	if err != nil {
		return fmt.Errorf("simulation: %w", err)
	}
	fmt.Fprintf(r.out, "seed %d: %d orders, %d steps in %d transactions, %d records, %s of simulated time\n", result.Seed, result.Orders, result.Steps, result.Commits, result.Records, result.Lasted)
	for _, name := range slices.Sorted(maps.Keys(result.Faults)) {
		fmt.Fprintf(r.out, "%7d %s\n", result.Faults[name], name)
	}
	fmt.Fprintf(r.out, "sum %s\n", result.Sum)
	if result.Violation != "" {
		fmt.Fprintf(r.out, "BROKEN after %d orders: %s\n", result.Placed, result.Violation)
		return exitStatus(1)
	}
	_, err = fmt.Fprintln(r.out, "all laws hold")
	return err
}

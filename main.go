// oms is an order management system: orders come in over HTTP, every decision is made in an exactly-once step over a Kafka log, and every fact is published on a topic.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"oms/proof/bench"
	"oms/proof/chaos"
)

// commit is set by the build; without it, what the Go toolchain recorded.
var commit = ""

// CLI is every command of the binary.
type CLI struct {
	Config string `help:"YAML file of settings." type:"existingfile" placeholder:"FILE"`
	Log    string `help:"debug, info, warn or error." placeholder:"LEVEL"`

	Up        UpCmd        `cmd:"" help:"Run everything in one process: broker, processors, gateways, views, HTTP, and a payment sandbox."`
	Run       RunCmd       `cmd:"" help:"Run some roles against a Kafka cluster."`
	Demo      DemoCmd      `cmd:"" help:"Start a shop, let orders flow, show the outcomes, and stay up."`
	Load      LoadCmd      `cmd:"" help:"Place the orders of a file or folder over HTTP. Repeatable: nothing is ordered twice."`
	Audit     AuditCmd     `cmd:"" help:"Check the laws of the shop from the topics alone; exit status 1 on a violation."`
	Chaos     ChaosCmd     `cmd:"" help:"Start a shop, load it, break it by a seeded plan, and audit it; exit status 1 on a violation."`
	Prove     ProveCmd     `cmd:"" help:"Show on this machine that the promises hold."`
	Bench     BenchCmd     `cmd:"" help:"Measure throughput and latency of this machine (--self) or of a running system."`
	Peers     PeersCmd     `cmd:"" help:"Measure PostgreSQL, Kafka Streams and stock goka beside this system, by turns (make bench-peers)."`
	Backup    BackupCmd    `cmd:"" help:"Copy the data of a shop with an embedded broker while it runs."`
	Restore   RestoreCmd   `cmd:"" help:"Put a backup into a new data directory, every file checked."`
	Archive   ArchiveCmd   `cmd:"" help:"Move the beginnings of inboxes into files, from which oms audit --archive reads them."`
	Topics    TopicsCmd    `cmd:"" help:"Topics of the system."`
	Report    ReportCmd    `cmd:"" help:"Ask a report: a table, CSV, JSON or Parquet, and a chart."`
	SQL       SQLCmd       `cmd:"" name:"sql" help:"Ask ClickHouse: one statement, or a prompt. It only reads."`
	Analytics AnalyticsCmd `cmd:"" help:"Show that ClickHouse equals the topics, and mend it when it does not."`
	Migrate   MigrateCmd   `cmd:"" help:"Make or change the tables of a ClickHouse server (an embedded one does it itself)."`
	Sandbox   SandboxCmd   `cmd:"" help:"Run the payment sandbox alone."`
	Conf      ConfigCmd    `cmd:"" name:"config" help:"Settings."`
	Engine    EngineCmd    `cmd:"" name:"clickhouse-engine" hidden:""`
	Version   VersionCmd   `cmd:"" help:"Print the version."`
}

// run is what every command gets.
type run struct {
	ctx   context.Context // ends with SIGINT or SIGTERM
	out   io.Writer
	cli   *CLI
	log   *slog.Logger
	level *slog.LevelVar
}

func main() {
	var cli CLI
	k := kong.Parse(&cli, kong.Name("oms"), kong.Description("An order management system on a Kafka log. Settings come from a file (--config), OMS_* in the environment and flags, the later before the earlier; oms config print shows them all."), kong.UsageOnError(),
		kong.Vars{"scenarios": strings.Join(bench.Names(), ", "), "optional": strings.Join(bench.Optional(), ", "), "faults": chaos.Names(), "data": "./" + defaults().Data, "http": defaults().HTTP}, kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200) // most memory is caches: collecting half as often saves a tenth of the processor time and costs some hundred MiB
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	level := new(slog.LevelVar)
	r := &run{ctx: ctx, out: os.Stdout, cli: &cli, level: level, log: slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))}
	err := k.Run(r)
	var status exitStatus
	switch {
	case errors.As(err, &status):
		os.Exit(int(status))
	case err != nil:
		fmt.Fprintf(os.Stderr, "oms: %v\n", err)
		os.Exit(1)
	}
}

// exitStatus ends the process with a status and without another word.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// config merges file, environment and the flags that were given; keys are those of the settings.
func (r *run) config(flags map[string]any) (Config, error) {
	for key, v := range flags {
		if v == "" {
			delete(flags, key)
		}
	}
	if r.cli.Log != "" {
		flags["log"] = r.cli.Log
	}
	c, err := loadConfig(r.cli.Config, os.Environ(), flags)
	if err != nil {
		return c, fmt.Errorf("configuration:\n%w", err)
	}
	if err := r.level.UnmarshalText([]byte(c.Log)); err != nil {
		return c, err
	}
	c.Data, err = filepath.Abs(c.Data)
	return c, err
}

// UpCmd runs all roles.
type UpCmd struct {
	Data      string `help:"Directory of everything kept on disk (default ${data})." placeholder:"DIR"`
	HTTP      string `name:"http" help:"Address of the HTTP server (default ${http})." placeholder:"HOST:PORT"`
	Kafka     string `help:"A Kafka cluster instead of the embedded broker." placeholder:"HOST:PORT"`
	Sandbox   string `help:"Address of the payment sandbox (default any free port)." placeholder:"HOST:PORT"`
	Analytics bool   `help:"Keep ClickHouse current: a server (setting clickhouse.url) or an embedded one." default:"true" negatable:""`
}

func (c *UpCmd) settings(r *run) (Config, error) {
	flags := brokers(c.Kafka)
	flags["data"], flags["http"], flags["payments.sandbox.listen"] = c.Data, c.HTTP, c.Sandbox
	return r.config(flags)
}

// Run serves until it is told to stop.
func (c *UpCmd) Run(r *run) error {
	conf, err := c.settings(r)
	if err != nil {
		return err
	}
	roles := allRoles
	if !c.Analytics {
		roles = slices.DeleteFunc(slices.Clone(roles), func(r string) bool { return r == roleAnalytics })
	}
	return serve(r, conf, roles, nil)
}

// RunCmd runs some roles.
type RunCmd struct {
	Roles    []string `help:"Any of ingest, orders, products, customers, gateways, views, analytics." enum:"ingest,orders,products,customers,gateways,views,analytics" required:""`
	Kafka    string   `help:"The Kafka cluster, one or more addresses parted by commas." placeholder:"HOST:PORT"`
	Data     string   `help:"Directory of everything kept on disk (default ${data})." placeholder:"DIR"`
	HTTP     string   `name:"http" help:"Address of the HTTP server (default ${http})." placeholder:"HOST:PORT"`
	Keys     string   `help:"Directory of keys, which processes with role ingest or views share (default keys below --data)." placeholder:"DIR"`
	Instance string   `help:"Stable name of this process among its like." placeholder:"NAME"`
	Sandbox  string   `help:"URL of the payment sandbox, for role gateways." placeholder:"URL"`
}

// Run serves until it is told to stop.
func (c *RunCmd) Run(r *run) error {
	flags := brokers(c.Kafka)
	flags["data"], flags["http"], flags["keys"], flags["instance"], flags["payments.sandbox.url"] = c.Data, c.HTTP, c.Keys, c.Instance, c.Sandbox
	conf, err := r.config(flags)
	if err != nil {
		return err
	}
	if len(conf.Kafka.Brokers) == 0 {
		return errors.New("kafka.brokers: empty: oms run needs a cluster (--kafka HOST:PORT); oms up brings its own broker")
	}
	return serve(r, conf, c.Roles, nil)
}

// ConfigCmd shows settings.
type ConfigCmd struct {
	Print ConfigPrintCmd `cmd:"" help:"Print every setting with its value and meaning; secrets are masked."`
}

// ConfigPrintCmd prints settings.
type ConfigPrintCmd struct {
	Output string `short:"o" help:"table or json." enum:"table,json" default:"table"`
}

// Run prints the settings that a start would see.
func (c ConfigPrintCmd) Run(r *run) error {
	conf, err := r.config(map[string]any{})
	if err != nil {
		return err
	}
	if c.Output == "json" {
		all := map[string]string{}
		conf.describe(func(key, value, _ string) { all[key] = value })
		return json.NewEncoder(r.out).Encode(all)
	}
	conf.describe(func(key, value, doc string) { fmt.Fprintf(r.out, "%-36s %-24s # %s\n", key, value, doc) })
	return nil
}

// VersionCmd prints what was built.
type VersionCmd struct{}

// Run prints it.
func (VersionCmd) Run(r *run) error {
	_, err := fmt.Fprintf(r.out, "oms %s\n", version())
	return err
}

func version() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(len(s.Value), 12)]
			}
		}
	}
	return "unknown"
}

// stopWithin is how long a stop may take; what is not done then is left to the next start, which finds it in the log.
const stopWithin = 10 * time.Second

package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"oms/proof/audit"
	"oms/proof/audit/cluster"
)

// AuditCmd checks the laws of the shop.
type AuditCmd struct {
	Kafka      string `help:"The Kafka to audit, live or stopped: the address that the ready line prints." placeholder:"HOST:PORT"`
	Ledger     string `help:"Ledger file of the payment sandbox, for law I4." type:"existingfile" placeholder:"FILE"`
	Client     string `help:"What clients were told (--record of load and bench), for laws I6 and I11." type:"existingfile" placeholder:"FILE"`
	Checkpoint string `help:"File that keeps the books: an audit that was interrupted, or the next one, reads only what came since." placeholder:"FILE"`
	Archive    string `help:"Directory into which the beginnings of inboxes were archived." type:"existingdir" placeholder:"DIR"`
	Follow     bool   `help:"Run beside a live system until it is stopped: a line a minute, and each law's first violation at once."`
	Metrics    string `help:"With --follow: address that serves Prometheus metrics at /metrics." placeholder:"HOST:PORT"`
	Output     string `short:"o" help:"text or json." enum:"text,json" default:"text"`
}

// Run audits; exit status 1 on a violation.
func (c AuditCmd) Run(r *run) error {
	conf, err := c.config(r)
	if err != nil {
		return err
	}
	report, err := c.audit(r, conf)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	show := report.Text
	if c.Output == "json" {
		show = report.JSON
	}
	if err := show(r.out); err != nil {
		return err
	}
	if report.Violations > 0 {
		return exitStatus(1)
	}
	return nil
}

func (c AuditCmd) audit(r *run, conf cluster.Config) (report audit.Report, err error) {
	if !c.Follow {
		if c.Metrics != "" {
			return report, errors.New("--metrics: only with --follow")
		}
		tell, end := progressLine("audit")
		defer end()
		conf.Progress = tell
		return cluster.Run(r.ctx, conf)
	}
	registry := prometheus.NewRegistry()
	if c.Metrics != "" {
		l, err := net.Listen("tcp", c.Metrics)
		if err != nil {
			return report, fmt.Errorf("--metrics: %w", err)
		}
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
		server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		defer func() { err = errors.Join(err, server.Close(), closed(<-served)) }()
		fmt.Fprintf(os.Stderr, "audit: metrics at http://%s/metrics\n", l.Addr())
	}
	return cluster.Follow(r.ctx, conf, cluster.Watch{Metrics: registry, Say: func(line string) {
		fmt.Fprintf(os.Stderr, "%s audit: %s\n", time.Now().UTC().Format(time.RFC3339), line)
	}})
}

// closed is the error of a server, if it is more than its end.
func closed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (c AuditCmd) config(r *run) (cluster.Config, error) {
	conf, err := r.config(brokers(c.Kafka))
	if err != nil {
		return cluster.Config{}, err
	}
	if len(conf.Kafka.Brokers) == 0 {
		return cluster.Config{}, errors.New("--kafka: want the address of the Kafka to audit")
	}
	s, err := conf.Kafka.settings()
	if err != nil {
		return cluster.Config{}, err
	}
	return cluster.Config{Kafka: s, Ledger: c.Ledger, Client: c.Client, Checkpoint: c.Checkpoint, Archive: c.Archive, Build: version()}, nil
}

// progressLine writes lines of a command to standard error: on a terminal over each other, and wiped out before anything else is written.
func progressLine(command string) (tell func(string), end func()) {
	if terminal(os.Stderr) == nil {
		return func(line string) { fmt.Fprintf(os.Stderr, "%s: %s\n", command, line) }, func() {}
	}
	return func(line string) { fmt.Fprintf(os.Stderr, "\r\x1b[K%s: %s", command, line) }, func() { fmt.Fprint(os.Stderr, "\r\x1b[K") }
}

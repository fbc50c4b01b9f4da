package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"oms/proof/load"
	"oms/proof/workload"
)

// LoadCmd places the documents of a file or folder.
type LoadCmd struct {
	Path    string `arg:"" help:"JSON lines (- for standard input), or the folder of uci-online-retail."`
	Server  string `help:"The server." default:"http://127.0.0.1:8080" placeholder:"URL"`
	Format  string `help:"jsonl or uci-online-retail." enum:"jsonl,uci-online-retail" default:"jsonl"`
	Workers int    `help:"Requests at once." default:"64"`
	Record  string `help:"File that gets what the server said, for oms audit --client." placeholder:"FILE"`
	Output  string `short:"o" help:"table or json." enum:"table,json" default:"table"`
}

// Run loads until every document has its outcome; exit status 1 when one has none.
func (c LoadCmd) Run(r *run) error {
	if c.Workers < 1 {
		return fmt.Errorf("--workers: %d: want 1 or more", c.Workers)
	}
	documents, closing, err := c.documents()
	if err != nil {
		return err
	}
	defer closing()
	var record *workload.Record
	if c.Record != "" {
		f, err := os.Create(c.Record)
		if err != nil {
			return fmt.Errorf("--record: %w", err)
		}
		defer f.Close()
		record = workload.NewRecord(f)
	}
	sum, err := load.Run(r.ctx, load.Config{Server: c.Server, Documents: documents, Workers: c.Workers, Record: record, Bar: terminal(os.Stderr), Color: os.Getenv("NO_COLOR") == "", Notice: os.Stderr})
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted; the same load again goes on where this one ended")
	}
	show := sum.Table
	if c.Output == "json" {
		show = sum.JSON
	}
	if err := errors.Join(err, show(r.out)); err != nil {
		return err
	}
	if n := sum.Undecided(); n > 0 {
		return fmt.Errorf("%d documents have no outcome yet; the same load again takes them up", n)
	}
	return nil
}

func (c LoadCmd) documents() (iter.Seq2[workload.Document, error], func(), error) {
	if c.Format == "uci-online-retail" {
		if s, err := os.Stat(c.Path); err != nil || !s.IsDir() {
			return nil, nil, fmt.Errorf("%s: want the folder that holds the wholesaler's documents and products", c.Path)
		}
		return workload.UCI(c.Path), func() {}, nil
	}
	if c.Path == "-" {
		return workload.Lines(os.Stdin), func() {}, nil
	}
	f, err := os.Open(c.Path)
	if err != nil {
		return nil, nil, err
	}
	if s, err := f.Stat(); err == nil && s.IsDir() {
		return nil, nil, errors.Join(fmt.Errorf("%s is a folder: want a file of JSON lines, or --format uci-online-retail", c.Path), f.Close())
	}
	return workload.Lines(f), func() { f.Close() }, nil
}

// terminal is f when a person looks at it, otherwise nil.
func terminal(f *os.File) io.Writer {
	if s, err := f.Stat(); err != nil || s.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return f
}

// DemoCmd shows a shop at work.
type DemoCmd struct {
	Data   string `help:"Directory of everything kept on disk." placeholder:"DIR"`
	HTTP   string `name:"http" help:"Address of the HTTP server." placeholder:"HOST:PORT"`
	Orders int    `help:"Orders to place." default:"5000"`
	Seed   uint64 `help:"Another seed is another shop." default:"1"`
	Exit   bool   `help:"End after the summary instead of staying up."`
}

// errDone ends a demo that was asked to.
var errDone = errors.New("done")

// Run starts everything, places the orders of a generated shop, prints what became of them, and stays up.
func (c DemoCmd) Run(r *run) error {
	if c.Orders < 1 {
		return fmt.Errorf("--orders: %d: want 1 or more", c.Orders)
	}
	if c.Data == "" {
		c.Data = "data/demo"
	}
	conf, err := r.config(map[string]any{"data": c.Data, "http": c.HTTP, "payments.sandbox.decline_percent": 3})
	if err != nil {
		return err
	}
	err = serve(r, conf, allRoles, func(ctx context.Context, a *app) error {
		// A shop with less stock than its buyers want, so that not everybody is served. Each run brings its own products.
		shop := workload.NewShop(workload.Shop{Seed: c.Seed, Products: 300, OnHand: int64(max(1, c.Orders/150)), Prefix: time.Now().UTC().Format("20060102t150405-")})
		fmt.Fprintf(r.out, "placing %d orders on %d products …\n", c.Orders, shop.Products)
		sum, err := load.Run(ctx, load.Config{Server: a.httpURL(), Documents: shop.Documents(0, c.Orders), Total: shop.Products + c.Orders, Workers: 32, Bar: terminal(os.Stderr), Color: os.Getenv("NO_COLOR") == ""})
		if err := errors.Join(err, sum.Table(r.out)); err != nil {
			return err
		}
		fmt.Fprintf(r.out, "\nlook at it:\n%[4]s  curl '%[1]s/api/orders?limit=3'\n  %[1]s/docs\n  oms audit --kafka %[2]s --ledger %[3]s\nkill this process with -9, start it again, and audit again at its new address: nothing is lost, nothing doubled\n",
			a.httpURL(), a.cluster.Brokers[0], filepath.Join(a.conf.Data, "sandbox", "ledger.jsonl"), a.analytics.lookAt(ctx, a.httpURL()))
		if c.Exit {
			return errDone
		}
		fmt.Fprintln(r.out, "Ctrl-C ends it")
		return nil
	})
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

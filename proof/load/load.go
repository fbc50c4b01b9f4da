// Package load is a shop's storefront: it takes documents to the server over HTTP until each has its outcome, through restarts of the server, and never orders twice.
package load

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"oms/proof/workload"
)

// Config of a run.
type Config struct {
	Server    string        // base URL, http://host:port
	Pick      func() string // the base URL of each request, where several servers share the work; nil: Server
	Documents iter.Seq2[workload.Document, error]
	Total     int                                       // documents and products to come, for the progress bar; 0: unknown
	Workers   int                                       // requests at once; 0: 64
	Patience  time.Duration                             // how long one document may take before it is left UNDECIDED; 0: 15 minutes, more than an order's decision may take
	Record    *workload.Record                          // what the server told; nil: not kept
	Bar       io.Writer                                 // a terminal for the progress bar; nil: none
	Color     bool                                      // of the bar
	Notice    io.Writer                                 // where to say that the server does not answer; nil: nowhere
	Ended     func(d workload.Document, outcome string) // told of each document's outcome, by many goroutines; nil: nobody
}

// run is a run under way.
type run struct {
	Config
	client  *client
	bar     *progressbar.ProgressBar
	sum     *summing
	mu      sync.Mutex
	awaited map[string]*placed
}

// placed is an order that a later document waits for.
type placed struct {
	done    chan struct{}
	orderID string // set before done is closed; empty: there is no order
}

// Run takes every document to its outcome. It ends early, with the summary so far, when the documents cannot be read or the context ends.
func Run(ctx context.Context, c Config) (Summary, error) {
	if c.Workers == 0 {
		c.Workers = 64
	}
	if c.Patience == 0 {
		c.Patience = 15 * time.Minute
	}
	client, err := newClient(c.Server, c.Workers, c.Notice)
	if client != nil && c.Pick != nil {
		client.pick = c.Pick
	}
	if err != nil {
		return Summary{}, err
	}
	r := &run{Config: c, client: client, sum: newSumming(), awaited: map[string]*placed{}}
	defer r.client.close()
	if c.Bar != nil {
		total := int64(c.Total)
		if total == 0 {
			total = -1
		}
		r.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(c.Bar), progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("docs"),
			progressbar.OptionEnableColorCodes(c.Color), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	err = r.all(ctx)
	if r.bar != nil {
		_ = r.bar.Finish()
	}
	sum := r.sum.close(r.client.retries.Load())
	return sum, errors.Join(err, c.Record.Flush())
}

// all hands the documents to the workers in order. The catalogue is whole before the first document that sells from it.
func (r *run) all(ctx context.Context) error {
	work := make(chan workload.Document)
	var workers, catalogue sync.WaitGroup
	for range r.Workers {
		workers.Go(func() {
			for d := range work {
				r.one(ctx, d)
				if d.Action == workload.Open {
					catalogue.Done()
				}
			}
		})
	}
	defer workers.Wait()
	defer close(work)
	for d, err := range r.Documents {
		if err != nil {
			return err
		}
		switch {
		case d.Action == workload.Open:
			catalogue.Add(1)
		default:
			catalogue.Wait()
		}
		if d.Awaited {
			r.mu.Lock()
			r.awaited[d.Key] = &placed{done: make(chan struct{})}
			r.mu.Unlock()
		}
		select {
		case work <- d:
		case <-ctx.Done():
			if d.Action == workload.Open {
				catalogue.Done()
			}
			return ctx.Err()
		}
	}
	return nil
}

// one takes a document to its outcome and counts it.
func (r *run) one(ctx context.Context, d workload.Document) {
	ctx, cancel := context.WithTimeout(ctx, r.Patience)
	defer cancel()
	var out outcome
	switch d.Action {
	case workload.Place:
		out = r.place(ctx, d)
	case workload.Open:
		out = r.open(ctx, d)
	case workload.Adjust:
		out = r.adjust(ctx, d)
	case workload.Cancel:
		out = r.cancel(ctx, d)
	default:
		out = outcome{name: d.Outcome, detail: d.Reason}
		r.Record.Add(workload.Told{Key: d.Key, Asked: "nothing", Outcome: d.Outcome})
	}
	r.sum.add(d, out)
	if r.Ended != nil {
		r.Ended(d, out.name)
	}
	if r.bar != nil {
		_ = r.bar.Add(1)
	}
}

// ticket is the order that document key placed; nil when nobody waits for it.
func (r *run) ticket(key string) *placed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.awaited[key]
}

package stream_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
	"oms/internal/stream"
)

// order is what a parent test asks a child process to be: a member of the counting group.
type order struct {
	Group    string
	Instance string
	State    string   // its directory
	Brokers  []string // a real Kafka, or
	Broker   string   // the directory of an embedded broker in the same process
	Tables   []string // that the embedded broker compacts
	Feed     bool     // it also fills its own inbox, without end
	Hold     string   // the point at which it says "holding" and waits for a line on its standard input
	HoldAt   int      // the time that it comes there, from 1
}

const orderVariable = "OMS_STREAM_CHILD"

// child runs what a parent test asked this binary to be.
func child() bool {
	text := os.Getenv(orderVariable)
	if text == "" {
		return false
	}
	var o order
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = o.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// run lasts until SIGTERM, which ends it in order.
func (o order) run() error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	fmt.Println("started")
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	b := kafkatest.Broker{Settings: kafka.Settings{Brokers: o.Brokers}}
	if o.Broker != "" {
		e, err := kafka.StartEmbedded(ctx, kafka.EmbeddedConfig{Dir: o.Broker, Tables: o.Tables, Log: log})
		if err != nil {
			return err
		}
		defer e.Close()
		b = kafkatest.Broker{Settings: e.Settings(), Embedded: e}
	}
	r := named(b, o.Group)
	if o.Feed {
		feed, err := r.feeder(ctx)
		if err != nil {
			return err
		}
		go feed()
	}
	i, p, err := r.assemble(o.State, log, count(r), func(c *stream.Config) {
		c.Instance, c.Fault = o.Instance, o.hold
		c.MaxBatch = 1 + rand.IntN(100)
	})
	if err != nil {
		return err
	}
	go func() {
		if i.engine.WaitReady(ctx) == nil {
			fmt.Println("ready")
		}
	}()
	return errors.Join(stream.Run(ctx, p), i.store.Close())
}

// hold is the engine's fault hook: nothing fails, it only takes its time.
func (o *order) hold(point string) error {
	if point != o.Hold {
		return nil
	}
	if o.HoldAt--; o.HoldAt == 0 {
		fmt.Println("holding")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	}
	return nil
}

// feeder makes the topics and answers what fills the inbox, in bursts, with records that say where they come from.
func (r *rig) feeder(ctx context.Context) (func(), error) {
	cl, err := r.broker.NewProducer()
	if err != nil {
		return nil, err
	}
	if _, err := kafka.EnsureTopics(ctx, kadm.NewClient(cl), r.topics(), false); err != nil {
		return nil, err
	}
	return func() {
		for n := 0; ctx.Err() == nil; n++ {
			var recs []*kgo.Record
			for range 1 + rand.IntN(60) {
				recs = append(recs, record(r.in, "k"+strconv.Itoa(rand.IntN(40)), fmt.Sprintf("%d.%d.%d", os.Getpid(), n, len(recs))))
			}
			if err := cl.ProduceSync(ctx, recs...).FirstErr(); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "feeding:", err)
				os.Exit(1)
			}
			<-time.After(time.Duration(rand.IntN(5)) * time.Millisecond)
		}
	}, nil
}

// process is a child as its parent sees it.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *output
	done chan struct{}
	err  error
}

// output collects what a child says.
type output struct {
	mu    sync.Mutex
	text  strings.Builder
	heard chan struct{} // closed and replaced at each write
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.heard)
	o.heard = make(chan struct{})
	return o.text.Write(b)
}

func (o *output) said() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.heard
}

// spawn starts a child; it ends with the test at the latest.
func spawn(t testing.TB, o order) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(self), out: &output{heard: make(chan struct{})}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), orderVariable+"="+string(text))
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if said, _ := p.out.said(); t.Failed() && said != "" {
			t.Logf("child %s said: %s", o.Instance, said[max(0, len(said)-3000):])
		}
	})
	return p
}

// hear waits until the child has said something.
func (p *process) hear(text string) {
	p.t.Helper()
	late := time.After(patience)
	for {
		said, more := p.out.said()
		if strings.Contains(said, text) {
			return
		}
		select {
		case <-more:
		case <-p.done:
			if said, _ := p.out.said(); !strings.Contains(said, text) {
				p.t.Fatalf("the child ended before it said %q: %v\n%s", text, p.err, said)
			}
		case <-late:
			p.t.Fatalf("the child does not say %q: %s", text, said)
		}
	}
}

// alive fails the test when the child has ended by itself.
func (p *process) alive() {
	p.t.Helper()
	select {
	case <-p.done:
		said, _ := p.out.said()
		p.t.Fatalf("the child ended by itself: %v\n%s", p.err, said)
	default:
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %v: %v", s, err)
	}
}

// kill is signal 9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop ends the child in order.
func (p *process) stop() {
	p.t.Helper()
	p.hear("started") // or the signal ends it like any other process
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if p.err != nil {
			said, _ := p.out.said()
			p.t.Fatalf("a stop in order: %v\n%s", p.err, said)
		}
	case <-time.After(patience):
		p.t.Fatal("the child does not end")
	}
}

package peers

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
)

//go:embed Orders.java
var orders []byte

// commits are the commit intervals of Kafka Streams, in ms: its default for exactly once, with which it has the most throughput, and a tenth of it, for those who wait. One
// running topology has one of them.
var commits = []int{100, 10}

const threads = 2

// under way at most where throughput is measured, as in ours.
const window = 20_000

// streams is the compiled topology.
type streams struct {
	Config
	classes string
}

func compileStreams(ctx context.Context, c Config, dir string) (*streams, error) {
	source := filepath.Join(dir, "Orders.java")
	if err := os.WriteFile(source, orders, 0o600); err != nil {
		return nil, err
	}
	s := &streams{c, filepath.Join(c.Jars, "*") + ":" + dir}
	if out, err := exec.CommandContext(ctx, "javac", "-cp", s.classes, "-d", dir, source).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("javac: %w: %s", err, out)
	}
	return s, nil
}

var version = regexp.MustCompile(`-([0-9][0-9.]*)\.jar$`)

// jarVersion is the version in the name of a jar; empty when there is none.
func jarVersion(jars, name string) string {
	found, _ := filepath.Glob(filepath.Join(jars, name+"-*.jar"))
	for _, f := range found {
		if m := version.FindStringSubmatch(f); m != nil && strings.HasPrefix(filepath.Base(f), name+"-"+m[1]) {
			return m[1]
		}
	}
	return ""
}

// measure throughput, then latency at the rate, with each commit interval.
func (s *streams) measure(ctx context.Context, k kafka.Settings, dir string) (map[string]float64, error) {
	admin, err := k.NewProducer()
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	var topics []kafka.Topic
	for _, name := range []string{"orders", "reserve", "reserved", "pay", "paid", "confirmed"} {
		topics = append(topics, kafka.Topic{Name: name, Partitions: partitions})
	}
	if _, err := kafka.EnsureTopics(ctx, kadm.NewClient(admin), topics, false); err != nil {
		return nil, err
	}
	got := map[string]float64{}
	for _, commit := range commits {
		id := fmt.Sprintf("streams-%d", commit)
		err := s.running(ctx, k, dir, commit, func() (err error) {
			if got[id], err = s.closed(ctx, k); err != nil {
				return err
			}
			syscall.Sync() // what throughput has left to be written is not of the next measurement
			h, err := s.open(ctx, k)
			if err == nil {
				got[id+"-p50"], got[id+"-p99"] = float64(h.ValueAtPercentile(50))/1000, float64(h.ValueAtPercentile(99))/1000
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return got, nil
}

// running lets do happen while the topology runs.
func (s *streams) running(ctx context.Context, k kafka.Settings, dir string, commit int, do func() error) (err error) {
	cmd := exec.CommandContext(ctx, "java", "-Xmx1g", "-XX:+UseG1GC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", s.classes, "Orders",
		k.Brokers[0], filepath.Join(dir, "streams"), strconv.Itoa(commit), strconv.Itoa(threads))
	cmd.Stderr = s.Log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stdin.Close(), cmd.Wait()) }()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "running\n" {
		return fmt.Errorf("the topology said %q: %w", line, err)
	}
	return do()
}

type said struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Product  string `json:"product,omitempty"`
	Quantity int64  `json:"quantity,omitempty"`
	Price    int64  `json:"price,omitempty"`
	Lines    []said `json:"lines,omitempty"`
}

// order with lines as many and as distinct as in PostgreSQL's.
func order(id string, dice *rand.Rand) (*kgo.Record, error) {
	m := said{ID: id, Kind: "place"}
	for _, p := range draw(dice) {
		m.Lines = append(m.Lines, said{Product: fmt.Sprintf("p%04d", p), Quantity: 1, Price: int64(100 + p*37%9900)})
	}
	value, err := json.Marshal(m)
	return &kgo.Record{Topic: "orders", Key: []byte(id), Value: value}, err
}

// buyers place orders and read what became of them.
type buyers struct {
	producer *kgo.Client
	reader   *kafka.Reader
	prefix   string
	dice     *rand.Rand
	failed   atomic.Pointer[error]
}

func (s *streams) buyers(ctx context.Context, k kafka.Settings, linger time.Duration) (*buyers, error) {
	b := &buyers{prefix: strconv.FormatInt(time.Now().UnixMicro(), 36) + "-", dice: rand.New(rand.NewPCG(s.Seed, 0))}
	var err error
	if b.producer, err = k.NewProducer(kgo.ProducerLinger(linger), kgo.MaxBufferedRecords(2*window)); err != nil {
		return nil, err
	}
	if b.reader, err = k.NewReader(ctx, kafka.From{End: true}, "confirmed"); err != nil {
		b.producer.Close()
	}
	return b, err
}

func (b *buyers) close() {
	b.producer.Close()
	b.reader.Close()
}

func (b *buyers) place(ctx context.Context, n int) error {
	r, err := order(b.prefix+strconv.Itoa(n), b.dice)
	if err != nil {
		return err
	}
	b.producer.Produce(ctx, r, func(_ *kgo.Record, err error) {
		if err != nil {
			b.failed.CompareAndSwap(nil, &err)
		}
	})
	return b.fault()
}

func (b *buyers) fault() error {
	if f := b.failed.Load(); f != nil {
		return *f
	}
	return nil
}

// follow hands every decision to take, until ctx ends.
func (b *buyers) follow(ctx context.Context, take func(key string)) {
	for ctx.Err() == nil {
		err := b.reader.Poll(ctx, func(r *kgo.Record) error {
			if strings.HasPrefix(string(r.Key), b.prefix) {
				take(string(r.Key))
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			b.failed.CompareAndSwap(nil, &err)
			return
		}
	}
}

// patience is how long nothing may be confirmed before a measurement is given up.
const patience = time.Minute

// closed keeps the window full and answers orders a second. It begins with the first confirmation and ends when everything is confirmed.
func (s *streams) closed(ctx context.Context, k kafka.Settings) (perSecond float64, err error) {
	b, err := s.buyers(ctx, k, 2*time.Millisecond)
	if err != nil {
		return 0, err
	}
	defer b.close()
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	slots, enough := make(chan struct{}, window), make(chan struct{})
	var confirmed, placed atomic.Int64
	all.Go(func() {
		b.follow(ctx, func(string) {
			confirmed.Add(1)
			<-slots
		})
	})
	all.Go(func() {
		for n := 0; ; n++ {
			select {
			case slots <- struct{}{}:
			case <-enough:
				return
			case <-ctx.Done():
				return
			}
			placed.Add(1)
			if b.place(ctx, n) != nil {
				return
			}
		}
	})
	if err := b.until(ctx, func() bool { return confirmed.Load() > 0 }); err != nil {
		return 0, err
	}
	rest(ctx, s.Warm)
	from, began := confirmed.Load(), time.Now()
	rest(ctx, s.Duration)
	perSecond = float64(confirmed.Load()-from) / time.Since(began).Seconds()
	close(enough)
	return perSecond, b.until(ctx, func() bool { return confirmed.Load() == placed.Load() })
}

// until waits for a condition, looking ten times a second: what it waits for takes seconds.
func (b *buyers) until(ctx context.Context, is func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not every order was confirmed by Kafka Streams within %s", patience))
	defer cancel()
	for !is() {
		if err := b.fault(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// open places orders at the rate and answers how long each took from when it was meant to be placed, in microseconds.
func (s *streams) open(ctx context.Context, k kafka.Settings) (*hdr.Histogram, error) {
	b, err := s.buyers(ctx, k, 0)
	if err != nil {
		return nil, err
	}
	defer b.close()
	warm := int(s.Warm.Seconds() * rate)
	total := warm + int(s.Duration.Seconds()*rate)
	ctx, cancel := context.WithTimeoutCause(ctx, s.Warm+s.Duration+time.Minute, errors.New("not every order was confirmed within a minute"))
	defer cancel()
	h := hdr.New(1, int64(5*time.Minute/time.Microsecond), 3)
	start, all := time.Now(), make(chan struct{})
	meant := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second / rate) }
	var reader sync.WaitGroup
	left := total
	reader.Go(func() {
		b.follow(ctx, func(key string) {
			n, err := strconv.Atoi(strings.TrimPrefix(key, b.prefix))
			if err == nil && n >= warm {
				_ = h.RecordValue(time.Since(meant(n)).Microseconds())
			}
			if left--; left == 0 {
				close(all)
			}
		})
	})
	for n := range total {
		time.Sleep(time.Until(meant(n)))
		if err := b.place(ctx, n); err != nil {
			return nil, err
		}
	}
	select {
	case <-all:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	cancel()
	reader.Wait()
	return h, errors.Join(err, b.fault())
}

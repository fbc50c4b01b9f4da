package chaos

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"

	"oms/internal/kafka/apache"
)

// The command's own run, as short as it can be and still meet every kind that does not wait for a session to end.
func TestAShopOnTheEmbeddedBrokerStandsWhatAPlanDoesToIt(t *testing.T) {
	t.Parallel() // it mostly waits
	r := ran(t, Config{Topology: Embedded, Seed: 1, Orders: 3_000, Rate: 400, Every: 280, Faults: []Kind{Kill, Restart, ProviderDead, ProviderWrong, ProviderTwice, StateLost, StateOld, BitFlip, DiskFull}})
	if len(r.Faults)+len(r.Skipped) != 9 || os.Getuid() == 0 && len(r.Skipped) > 0 {
		t.Errorf("done %v, skipped %v", r.Faults, r.Skipped)
	}
}

// The only broker is away for longer than a transaction and a membership may last, and one of three processes is killed.
func TestAShopOnARealKafkaStandsWhatAPlanDoesToIt(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	r := ran(t, Config{Topology: Cluster, Seed: 7, Orders: 500, Rate: 200, Every: 150, Faults: []Kind{Kill, KillBroker, Cut}, Jars: os.Getenv("OMS_KAFKA_JARS")})
	if r.Faults[KillBroker] != 1 || r.Faults[Kill] != 1 {
		t.Errorf("done %v", r.Faults)
	}
}

// ran runs a plan to its end and demands that nothing was violated.
func ran(t *testing.T, c Config) Report {
	t.Helper()
	c.Binary, c.Dir, c.Progress, c.Log = binary, t.TempDir(), t.Output(), logFile(t)
	c.Record = filepath.Join(c.Dir, "client.jsonl")
	r, err := Run(t.Context(), c)
	if errors.Is(err, apache.ErrMissing) {
		t.Skip(err)
	}
	must(t, err, r.Table(t.Output()))
	for _, v := range r.Violations {
		t.Error(v)
	}
	steps := len(NewPlan(c.Seed, c.Topology, c.Faults, c.Orders, c.Every))
	if r.Load.Documents < c.Orders || r.All.Faults < steps-1 || r.Audit.Records < int64(c.Orders) || r.Memory.End == 0 || r.Kills == 0 { // the last fault may meet no more orders
		t.Errorf("%d documents, %d recoveries of %d steps, %d records audited, %d bytes resident, %d kills", r.Load.Documents, r.All.Faults, steps, r.Audit.Records, r.Memory.End, r.Kills)
	}
	return r
}

// echoes answers a network with one member, before a server that sends back what it gets.
func echoes(t *testing.T) (n *network, dial func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	p, err := newProxy("oms", l.Addr().String())
	must(t, err)
	t.Cleanup(p.Stop)
	return &network{proxies: map[string]*toxiproxy.Proxy{"oms": p}}, func() net.Conn {
		c, err := net.Dial("tcp", p.Listen)
		must(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
}

// echo answers how long a byte was under way, or why it did not come back within limit.
func echo(c net.Conn, limit time.Duration) (time.Duration, error) {
	began := time.Now()
	_ = c.SetDeadline(began.Add(limit))
	if _, err := c.Write([]byte("x")); err != nil {
		return 0, err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return time.Since(began), err
}

func TestTheNetworkFailsAsItIsTold(t *testing.T) {
	n, dial := echoes(t)
	during := func(k Kind, look func()) {
		t.Helper()
		must(t, n.suffers("oms", k, 300*time.Millisecond, func() error { look(); return nil }))
	}
	c := dial()
	calm := func() {
		t.Helper()
		if took, err := echo(c, 5*time.Second); err != nil {
			t.Errorf("afterwards: %v after %v", err, took)
		}
	}
	calm()
	during(Delay, func() {
		if took, err := echo(c, 5*time.Second); err != nil || took < 90*time.Millisecond { // 50 ms at least in each direction
			t.Errorf("delayed: %v, %v", took, err)
		}
	})
	calm()
	during(HalfOpen, func() {
		if took, err := echo(c, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("half-open: %v, %v: want silence", took, err)
		}
	})
	c = dial()
	during(SlowClose, func() {
		must(t, c.(*net.TCPConn).CloseWrite(), c.SetDeadline(time.Now().Add(200*time.Millisecond)))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("slow close: %v: want no end yet", err)
		}
	})
	c = dial()
	calm()
	during(Cut, nil)
	if _, err := echo(c, time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("cut: %v: want a connection that is gone", err)
	}
	c = dial()
	calm()
}

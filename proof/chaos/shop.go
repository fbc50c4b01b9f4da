package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"oms/internal/kafka"
	"oms/proof/sandbox"
)

// shop is the system under test: its processes, its provider, and with a real Kafka that and the network between them.
type shop struct {
	dir      string
	topology string
	config   string // file of the members' settings
	members  []*member
	provider *provider
	network  *network // nil on the embedded broker

	mu sync.Mutex
	on []*member // fronts that answered last time, for who places orders
	n  int
}

// roles of a real Kafka's members, in order of start.
var roles = []struct{ name, roles string }{
	{"orders", "orders"}, {"products", "products,customers"}, {"gateways", "gateways"}, {"front", "ingest,views"},
}

// instances of each role on a real Kafka.
const instances = 3

// names of the members that have a part of the data; with an empty part, of all.
func names(topology, part string) (all []string) {
	if topology == Embedded {
		return []string{"oms"}
	}
	for _, r := range roles {
		for i := range instances {
			if part == "" || part == "state" && strings.HasSuffix(r.name, "s") && r.name != "gateways" || part == "views" && r.name == "front" {
				all = append(all, fmt.Sprintf("%s-%d", r.name, i+1))
			}
		}
	}
	return all
}

func rolesOf(name string) string {
	for _, r := range roles {
		if strings.HasPrefix(name, r.name) {
			return r.roles
		}
	}
	return ""
}

// openShop starts everything.
func openShop(ctx context.Context, c Config) (*shop, error) {
	s := &shop{dir: c.Dir, topology: c.Topology, config: filepath.Join(c.Dir, "oms.yaml")}
	if err := s.start(ctx, c); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *shop) start(ctx context.Context, c Config) (err error) {
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return err
	}
	if s.provider, err = openProvider(ctx, filepath.Join(s.dir, "ledger.jsonl")); err != nil {
		return err
	}
	settings := fmt.Sprintf("log: info\npayments:\n  timeout: 3s\n  sandbox:\n    url: %s\n", s.provider.url)
	if err := os.WriteFile(s.config, []byte(settings), 0o640); err != nil {
		return err
	}
	if s.topology == Cluster {
		if s.network, err = openNetwork(ctx, s.dir, c.Jars, names(s.topology, "")); err != nil {
			return err
		}
	}
	for _, name := range names(s.topology, "") {
		m, err := s.member(name, c)
		if err != nil {
			return err
		}
		s.members = append(s.members, m)
	}
	return s.each(func(m *member) error {
		m.turn.Lock()
		defer m.turn.Unlock()
		return m.up(ctx)
	})
}

// member is prepared, not started.
func (s *shop) member(name string, c Config) (*member, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	m := &member{name: name, binary: c.Binary, address: address, data: filepath.Join(s.dir, name), log: &words{to: c.Log}}
	m.args = []string{"--config", s.config, "up", "--no-analytics", "--data", m.data, "--http", address}
	if s.topology == Cluster {
		m.args = []string{"--config", s.config, "run", "--roles", rolesOf(name), "--instance", name, "--kafka", s.network.proxies[name].Listen, "--data", m.data, "--http", address, "--keys", filepath.Join(s.dir, "keys")}
	}
	if slices.Contains(c.Faults, DiskFull) && os.Getuid() == 0 {
		if m.disk, err = mountDisk(m.data); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// each does the same to all members at once.
func (s *shop) each(do func(*member) error) error {
	failed := make([]error, len(s.members))
	var all sync.WaitGroup
	for i, m := range s.members {
		all.Go(func() { failed[i] = do(m) })
	}
	all.Wait()
	return errors.Join(failed...)
}

// close ends everything.
func (s *shop) close() (err error) {
	for _, m := range s.members {
		m.close()
		if m.disk != nil {
			err = errors.Join(err, m.disk.close())
		}
	}
	if s.provider != nil {
		err = errors.Join(err, s.provider.close())
	}
	if s.network != nil {
		err = errors.Join(err, s.network.close())
	}
	return err
}

// named finds a member.
func (s *shop) named(name string) *member {
	return s.members[slices.IndexFunc(s.members, func(m *member) bool { return m.name == name })]
}

// kafka is where the log can be read from outside.
func (s *shop) kafka() (kafka.Settings, error) {
	if s.network != nil {
		return s.network.kafka.Settings, nil
	}
	p := s.members[0].current()
	if p == nil {
		return kafka.Settings{}, fmt.Errorf("%s is down", s.members[0].name)
	}
	return kafka.Settings{Brokers: []string{p.Kafka}, ClientID: "oms-chaos"}, nil
}

// again stops a member in order, does something, and starts it.
func (s *shop) again(m *member, do func() error) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	err := m.stop()
	return errors.Join(err, do(), m.up(context.Background()))
}

// server is the base URL for the next request: of the fronts that answer, each in turn.
func (s *shop) server() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if len(s.on) == 0 {
		return "http://" + s.members[len(s.members)-1].address
	}
	return "http://" + s.on[s.n%len(s.on)].address
}

// balance looks which fronts answer, until ctx ends.
func (s *shop) balance(ctx context.Context) {
	for ctx.Err() == nil {
		var on []*member
		for _, m := range s.members {
			if s.topology == Embedded || strings.HasPrefix(m.name, "front") {
				if ready, _ := m.health(ctx); ready {
					on = append(on, m)
				}
			}
		}
		s.mu.Lock()
		s.on = on
		s.mu.Unlock()
		select {
		case <-time.After(300 * time.Millisecond): // as a load balancer does: nobody tells it
		case <-ctx.Done():
		}
	}
}

// memory of all members, resident bytes.
func (s *shop) memory() (resident int64) {
	for _, m := range s.members {
		if p := m.current(); p != nil {
			now, _ := Memory(p.PID())
			resident += now
		}
	}
	return resident
}

// unready answers which members say that they are not ready, and why.
func (s *shop) unready(ctx context.Context) (all []string) {
	for _, m := range s.members {
		if ready, why := m.health(ctx); !ready {
			all = append(all, m.name+" "+why)
		}
	}
	return all
}

// provider is the payment provider, which can be dead, and come back at the same address with the same ledger.
type provider struct {
	mu     sync.Mutex
	server *sandbox.Server
	ledger string
	url    string
	listen string
}

// declines is the share of authorizations that it declines on a good day too.
const declines = 3

func openProvider(ctx context.Context, ledger string) (*provider, error) {
	p := &provider{ledger: ledger, listen: "127.0.0.1:0"}
	if err := p.open(ctx); err != nil {
		return nil, err
	}
	p.listen, p.url = p.server.Addr(), p.server.URL()
	return p, nil
}

func (p *provider) open(ctx context.Context) (err error) {
	p.server, err = sandbox.Start(ctx, sandbox.Config{Listen: p.listen, Ledger: p.ledger, Behaviour: sandbox.Behaviour{DeclinePercent: declines}, Log: slog.New(slog.DiscardHandler)})
	return err
}

func (p *provider) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil {
		return nil
	}
	return p.server.Close()
}

// suffers has a bad time of the kind.
func (p *provider) suffers(k Kind, d time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k == ProviderDead {
		if err := p.server.Close(); err != nil {
			return err
		}
		<-time.After(d)
		return p.open(context.Background())
	}
	b := sandbox.Behaviour{DeclinePercent: declines}
	switch k {
	case ProviderSlow:
		b.SlowPercent, b.SlowMS = 60, 1000
	case ProviderWrong:
		b.WrongPercent = 50
	case ProviderDown:
		b.Down = true
	case ProviderSilent:
		b.TimeoutAfterChargePercent = 50
	case ProviderTwice:
		b.DuplicatePercent = 50
	}
	if err := p.server.Behave(b); err != nil {
		return err
	}
	<-time.After(d)
	return p.server.Behave(sandbox.Behaviour{DeclinePercent: declines})
}

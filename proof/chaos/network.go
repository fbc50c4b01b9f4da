package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"oms/internal/kafka/apache"
)

// network is a real Kafka with a proxy before it for each member. The broker has a listener for each, which tells its clients the proxy's address: so a member never
// learns of another way.
type network struct {
	kafka   *apache.Broker
	proxies map[string]*toxiproxy.Proxy // by member
}

func openNetwork(ctx context.Context, dir, jars string, members []string) (*network, error) {
	n := &network{proxies: map[string]*toxiproxy.Proxy{}}
	var doors []apache.Door
	for _, name := range members {
		upstream, err := freeAddress()
		if err != nil {
			return nil, err
		}
		at, err := net.ResolveTCPAddr("tcp", upstream)
		if err != nil {
			return nil, err
		}
		p, err := newProxy(name, upstream)
		if err != nil {
			return nil, errors.Join(err, n.close())
		}
		n.proxies[name] = p
		doors = append(doors, apache.Door{Port: at.Port, Advertised: p.Listen})
	}
	dir = filepath.Join(dir, "kafka")
	err := os.MkdirAll(dir, 0o750)
	if err == nil {
		n.kafka, err = apache.Start(ctx, apache.Config{Jars: jars, Dir: dir, Doors: doors, Properties: "num.network.threads=1\n"}) // for each listener
	}
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func newProxy(name, upstream string) (*toxiproxy.Proxy, error) {
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), name, "127.0.0.1:0", upstream)
	return p, p.Start()
}

func (n *network) close() (err error) {
	if n.kafka != nil {
		err = n.kafka.Kill() // its data is thrown away
	}
	for _, p := range n.proxies {
		p.Stop()
	}
	return err
}

// toxics of a kind, for each of the two directions.
var toxics = map[Kind]string{
	Delay:     `{"name":"%[1]s","type":"latency","stream":"%[1]s","attributes":{"latency":200,"jitter":150}}`,
	HalfOpen:  `{"name":"%[1]s","type":"timeout","stream":"%[1]s","attributes":{"timeout":0}}`,
	SlowClose: `{"name":"%[1]s","type":"slow_close","stream":"%[1]s","attributes":{"delay":3000}}`,
}

// suffers breaks the network between a member and Kafka for a while; meanwhile, something else may be done.
func (n *network) suffers(member string, k Kind, d time.Duration, meanwhile func() error) error {
	p := n.proxies[member]
	if k == Cut {
		p.Stop()
		<-time.After(d)
		return p.Start()
	}
	directions := []string{"upstream", "downstream"}
	for _, stream := range directions {
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(toxics[k], stream))); err != nil {
			return err
		}
	}
	until := time.After(d)
	err := meanwhile()
	<-until
	for _, stream := range directions {
		err = errors.Join(err, p.Toxics.RemoveToxic(context.Background(), stream))
	}
	return err
}

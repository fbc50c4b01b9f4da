// Package apache starts a real Apache Kafka on loopback from its jars: broker and controller in one process. For tests, chaos and measurements; nothing that serves uses it.
package apache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"oms/internal/kafka"
)

// ErrMissing says that there is no Java, or no Kafka in the folder of jars.
var ErrMissing = errors.New("no real Kafka")

// Jars is where `make setup` puts the jars.
func Jars() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "oms-kafka", "jars")
}

// Config of a broker.
type Config struct {
	Jars       string // folder with the jars; empty: Jars()
	Dir        string // its data, settings and log; it goes on with what is there
	Properties string // further lines of server.properties
	Doors      []Door // further listeners
}

// Door is a listener whose clients are told another address than its own, such as that of a proxy before it.
type Door struct {
	Port       int    // on loopback
	Advertised string // host:port
}

// properties of one broker and controller in one process. The last line matters most: with its default of 20 each transaction that follows another at once waits that many
// milliseconds in the broker.
const properties = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:%[2]d
listeners=PLAINTEXT://127.0.0.1:%[1]d,CONTROLLER://127.0.0.1:%[2]d%[4]s
advertised.listeners=PLAINTEXT://127.0.0.1:%[1]d%[5]s
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT%[6]s
log.dirs=%[3]s
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
add.partitions.to.txn.retry.backoff.ms=1
`

// Broker that runs. It dies with the process that started it.
type Broker struct {
	Settings kafka.Settings

	process *exec.Cmd
	command []string
	dir     string
}

// Start a broker and wait until it answers. ErrMissing when there is none to start.
func Start(ctx context.Context, c Config) (*Broker, error) {
	if c.Jars == "" {
		c.Jars = Jars()
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("%w: java is not on the PATH", ErrMissing)
	}
	if found, _ := filepath.Glob(filepath.Join(c.Jars, "kafka_*.jar")); len(found) == 0 {
		return nil, fmt.Errorf("%w: no kafka_*.jar in %s", ErrMissing, c.Jars)
	}
	b, err := prepare(java, filepath.Join(c.Jars, "*"), c)
	if err == nil {
		err = b.Again(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("starting a real Kafka: %w", err)
	}
	return b, nil
}

func prepare(java, classes string, c Config) (*Broker, error) {
	var ports [2]int
	for i := range ports {
		var err error
		if ports[i], err = freePort(); err != nil {
			return nil, err
		}
	}
	file, logs := filepath.Join(c.Dir, "server.properties"), filepath.Join(c.Dir, "log")
	var listeners, advertised, protocols string
	for i, d := range c.Doors {
		listeners += fmt.Sprintf(",DOOR%d://127.0.0.1:%d", i, d.Port)
		advertised += fmt.Sprintf(",DOOR%d://%s", i, d.Advertised)
		protocols += fmt.Sprintf(",DOOR%d:PLAINTEXT", i)
	}
	if err := os.WriteFile(file, append(fmt.Appendf(nil, properties, ports[0], ports[1], logs, listeners, advertised, protocols), c.Properties...), 0o600); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(logs, "meta.properties")); err != nil {
		id, err := exec.Command(java, "-cp", classes, "kafka.tools.StorageTool", "random-uuid").Output()
		lines := strings.Fields(string(id))
		if err != nil || len(lines) == 0 {
			return nil, fmt.Errorf("a cluster id: %q: %w", id, err)
		}
		if out, err := exec.Command(java, "-cp", classes, "kafka.tools.StorageTool", "format", "-t", lines[len(lines)-1], "-c", file).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("formatting its directory: %w: %s", err, out)
		}
	}
	return &Broker{Settings: kafka.Settings{Brokers: []string{fmt.Sprintf("127.0.0.1:%d", ports[0])}}, dir: c.Dir,
		command: []string{java, "-Xms256m", "-Xmx768m", "-cp", classes, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "kafka.Kafka", file}}, nil
}

// Again starts a broker that was killed, on its data and under its addresses, and waits until it answers.
func (b *Broker) Again(ctx context.Context) error {
	log := filepath.Join(b.dir, "out.log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	b.process = exec.Command(b.command[0], b.command[1:]...)
	b.process.Stdout, b.process.Stderr = out, out
	b.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.process.Start(); err != nil {
		return err
	}
	if err := b.answers(ctx, log); err != nil {
		return errors.Join(err, b.Kill())
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func (b *Broker) answers(ctx context.Context, log string) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	for {
		asked, done := context.WithTimeout(ctx, 3*time.Second)
		_, err := b.Settings.ClusterID(asked)
		done()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			out, _ := os.ReadFile(log)
			return fmt.Errorf("no answer in 90 s: %w: %s", err, bytes.TrimSpace(out))
		}
	}
}

// PID of its process.
func (b *Broker) PID() int { return b.process.Process.Pid }

// Kill ends it by signal 9 and waits for its end. Its directory stays.
func (b *Broker) Kill() error {
	err := b.process.Process.Kill()
	_ = b.process.Wait() // it says that it was killed
	return err
}

package kafkatest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"oms/internal/kafka"
)

// apache is the one Kafka of this test binary.
var apache struct {
	sync.Mutex
	settings kafka.Settings
	process  *exec.Cmd
	dir      string
	missing  string // why there is none, and tests skip
	err      error  // why it did not start, and tests fail
}

// Real answers a real Apache Kafka: the one at OMS_KAFKA (host:port), otherwise one broker started from the jars in
// OMS_KAFKA_JARS (~/.cache/oms-kafka/jars), once per test binary. Without Java or jars the test is skipped.
func Real(t testing.TB) kafka.Settings {
	t.Helper()
	apache.Lock()
	defer apache.Unlock()
	if apache.settings.Brokers == nil && apache.missing == "" && apache.err == nil {
		launch()
	}
	if apache.err != nil {
		t.Fatal(apache.err)
	}
	if apache.missing != "" {
		t.Skip(apache.missing)
	}
	return apache.settings
}

// Name is a topic or group name that no other test uses, for brokers that outlive a test.
func Name(prefix string) string { return prefix + "." + strings.ToLower(rand.Text()[:8]) }

func launch() {
	if at := os.Getenv("OMS_KAFKA"); at != "" {
		apache.settings = kafka.Settings{Brokers: strings.Split(at, ",")}
		return
	}
	home, err := os.UserHomeDir()
	if err != nil {
		apache.missing = "no real Kafka: " + err.Error()
		return
	}
	jars := lookup("OMS_KAFKA_JARS", filepath.Join(home, ".cache", "oms-kafka", "jars"))
	java, err := exec.LookPath("java")
	if err != nil {
		apache.missing = "no real Kafka: java is not on the PATH"
		return
	}
	if found, _ := filepath.Glob(filepath.Join(jars, "kafka_*.jar")); len(found) == 0 {
		apache.missing = "no real Kafka: no kafka_*.jar in " + jars + " (set OMS_KAFKA_JARS, or OMS_KAFKA to a running broker)"
		return
	}
	if apache.err = run(java, filepath.Join(jars, "*")); apache.err != nil {
		apache.err = errors.Join(fmt.Errorf("starting a real Kafka: %w", apache.err), stopLocked())
	}
}

// properties of one broker and controller in one JVM. The last line matters most: with its default of 20 each transaction
// that follows another at once waits that many milliseconds in the broker.
const properties = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:%[2]d
listeners=PLAINTEXT://127.0.0.1:%[1]d,CONTROLLER://127.0.0.1:%[2]d
advertised.listeners=PLAINTEXT://127.0.0.1:%[1]d
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
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

func run(java, classes string) (err error) {
	if apache.dir, err = os.MkdirTemp("", "oms-kafka-"); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	controller, err := freePort()
	if err != nil {
		return err
	}
	file := filepath.Join(apache.dir, "server.properties")
	if err := os.WriteFile(file, fmt.Appendf(nil, properties, port, controller, filepath.Join(apache.dir, "log")), 0o644); err != nil {
		return err
	}
	id, err := exec.Command(java, "-cp", classes, "kafka.tools.StorageTool", "random-uuid").Output()
	if err != nil {
		return fmt.Errorf("a cluster id: %w", err)
	}
	lines := strings.Fields(string(id))
	if len(lines) == 0 {
		return errors.New("a cluster id: none was printed")
	}
	if out, err := exec.Command(java, "-cp", classes, "kafka.tools.StorageTool", "format", "-t", lines[len(lines)-1], "-c", file).CombinedOutput(); err != nil {
		return fmt.Errorf("formatting its directory: %w: %s", err, out)
	}
	logFile, err := os.Create(filepath.Join(apache.dir, "out.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	p := exec.Command(java, "-Xms256m", "-Xmx768m", "-cp", classes, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "kafka.Kafka", file)
	p.Stdout, p.Stderr = logFile, logFile
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a killed test binary leaves no broker behind
	if err := p.Start(); err != nil {
		return err
	}
	apache.process = p
	apache.settings = kafka.Settings{Brokers: []string{fmt.Sprintf("127.0.0.1:%d", port)}}
	return answers(apache.settings, logFile.Name())
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func answers(s kafka.Settings, log string) error {
	deadline := time.Now().Add(90 * time.Second)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		_, err := s.ClusterID(ctx)
		cancel()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			out, _ := os.ReadFile(log)
			return fmt.Errorf("no answer in 90 s: %w: %s", err, bytes.TrimSpace(out))
		}
	}
}

func stop() error {
	apache.Lock()
	defer apache.Unlock()
	return stopLocked()
}

func stopLocked() (err error) {
	if apache.process != nil {
		err = apache.process.Process.Kill() // its data is thrown away
		apache.process.Wait()
		apache.process = nil
	}
	if apache.dir != "" {
		err = errors.Join(err, os.RemoveAll(apache.dir))
		apache.dir = ""
	}
	return err
}

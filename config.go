package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/structs"
	"github.com/knadh/koanf/v2"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"oms/internal/kafka"
)

// Config is every setting of the binary. Defaults are overruled by the YAML file, that by OMS_* in the environment, that by flags.
// A setting kafka.sasl.password is OMS_KAFKA_SASL_PASSWORD; with _FILE behind it, the value is read from that file.
type Config struct {
	Data       string           `koanf:"data" doc:"directory of everything kept on disk"`
	ClickHouse ClickHouseConfig `koanf:"clickhouse"`
	Keys       string           `koanf:"keys" doc:"directory of the keys of personal data and of the secret that ids derive from; empty: keys below data. Processes with role ingest or views must share it"`
	HTTP       string           `koanf:"http" doc:"address of the HTTP server"`
	Instance   string           `koanf:"instance" doc:"stable name of this process among its like; part of its transactional ids"`
	Log        string           `koanf:"log" doc:"debug, info, warn or error"`
	Kafka      KafkaConfig      `koanf:"kafka"`
	Orders     OrdersConfig     `koanf:"orders"`
	Payments   PaymentsConfig   `koanf:"payments"`
	Engine     EngineConfig     `koanf:"engine"`
}

// ClickHouseConfig says which database the analysts ask, and how it is filled.
type ClickHouseConfig struct {
	URL      string        `koanf:"url" doc:"http(s)://user:password@host:port/database, or clickhouse(s)://… for the native protocol; empty: the embedded engine" secret:"true"`
	Listen   string        `koanf:"listen" doc:"address of the embedded engine: loopback only"`
	Library  string        `koanf:"library" doc:"libchdb.so of the embedded engine; empty: where make clickhouse puts it"`
	Memory   int64         `koanf:"memory" doc:"most memory of the embedded engine, bytes"`
	Interval time.Duration `koanf:"interval" doc:"how long a fact waits for others to be inserted with"`
	Keep     time.Duration `koanf:"keep" doc:"how long facts are kept in ClickHouse, by whole days; 0: for ever"`
}

// KafkaConfig says which cluster, and how topics are made on it.
type KafkaConfig struct {
	Brokers     []string  `koanf:"brokers" doc:"addresses of the cluster; none: the embedded broker"`
	Listen      string    `koanf:"listen" doc:"address of the embedded broker"`
	Fsync       bool      `koanf:"fsync" doc:"embedded broker: wait for the disk at each write (survives power loss, slower)"`
	Partitions  int32     `koanf:"partitions" doc:"partitions of every topic, chosen once; 0: 12, and 4 on the embedded broker"`
	Replication int16     `koanf:"replication" doc:"replicas of every partition; 0: 3, and 1 on a cluster of fewer brokers"`
	ClientID    string    `koanf:"client_id" doc:"shown in the broker's logs"`
	Rack        string    `koanf:"rack" doc:"read from replicas in this rack"`
	TLS         TLSConfig `koanf:"tls"`
	SASL        struct {
		Mechanism string `koanf:"mechanism" doc:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty: none"`
		User      string `koanf:"user" doc:"user name"`
		Password  string `koanf:"password" doc:"password" secret:"true"`
	} `koanf:"sasl"`
}

// TLSConfig of the connection to Kafka.
type TLSConfig struct {
	Enabled bool   `koanf:"enabled" doc:"encrypt"`
	CA      string `koanf:"ca" doc:"file of the certificate authority; empty: the system's"`
	Cert    string `koanf:"cert" doc:"file of the client certificate"`
	Key     string `koanf:"key" doc:"file of its key"`
}

// OrdersConfig is stamped on each order when it is placed; a change concerns later orders only.
type OrdersConfig struct {
	DecisionTimeout time.Duration `koanf:"decision_timeout" doc:"an order not decided by then expires"`
	CancelTimeout   time.Duration `koanf:"cancel_timeout" doc:"how long the undoing of a cancelled order may take before it is asked for again"`
	MaxTotalMinor   int64         `koanf:"max_total_minor" doc:"largest total of an order in minor units; 0: no limit"`
}

// PaymentsConfig says who is asked for money.
type PaymentsConfig struct {
	Provider string        `koanf:"provider" doc:"provider of methods that have no route"`
	Routes   []string      `koanf:"routes" doc:"METHOD=provider, one a method"`
	Tries    int32         `koanf:"tries" doc:"authorizations that may be declined before the order is rejected"`
	Timeout  time.Duration `koanf:"timeout" doc:"how long a provider's answer is waited for before it is asked what became of it"`
	Sandbox  SandboxConfig `koanf:"sandbox"`
}

// SandboxConfig is the provider of play money.
type SandboxConfig struct {
	URL            string `koanf:"url" doc:"where the gateway finds it; empty: the one that oms up starts"`
	Listen         string `koanf:"listen" doc:"its own address, when this process starts it"`
	DeclinePercent int    `koanf:"decline_percent" doc:"share of authorizations that it declines"`
}

// EngineConfig holds the measured numbers of the engine.
type EngineConfig struct {
	MaxBatch   int   `koanf:"max_batch" doc:"records in one transaction at most"`
	CacheBytes int64 `koanf:"cache_bytes" doc:"cache of the state store, its memtables of up to 96 MiB included"`
}

// year bounds what an order may wait for: the machines refuse terms of more than 366 days.
const year = 365 * 24 * time.Hour

func defaults() Config {
	c := Config{Data: "data", HTTP: "127.0.0.1:8080", Instance: "oms-0", Log: "info"}
	c.Kafka.Listen = "127.0.0.1:0"
	c.Kafka.ClientID = "oms"
	c.Orders = OrdersConfig{DecisionTimeout: 5 * time.Minute, CancelTimeout: 5 * time.Minute}
	c.Payments = PaymentsConfig{Provider: "sandbox", Tries: 1, Timeout: 10 * time.Second, Sandbox: SandboxConfig{Listen: "127.0.0.1:0"}}
	c.ClickHouse = ClickHouseConfig{Listen: "127.0.0.1:0", Memory: 2 << 30, Interval: 700 * time.Millisecond}
	c.Engine = EngineConfig{MaxBatch: 2_000, CacheBytes: 160 << 20}
	return c
}

// loadConfig merges defaults, the file (none when path is empty), the environment and the flags that were given. The error lists every fault at once.
func loadConfig(path string, environ []string, flags map[string]any) (Config, error) {
	k := koanf.New(".")
	if err := k.Load(structs.Provider(defaults(), "koanf"), nil); err != nil {
		return Config{}, err
	}
	known := k.Keys()
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			return Config{}, fmt.Errorf("configuration %s: %w", path, err)
		}
	}
	var faults []error
	read := func(name, value string) (string, any) {
		key, value, err := fromEnvironment(known, name, value)
		if err != nil {
			faults = append(faults, err)
		}
		if v := reflect.ValueOf(k.Get(key)); v.Kind() == reflect.Slice {
			return key, strings.Split(value, ",")
		}
		return key, value
	}
	if err := k.Load(env.Provider(".", env.Opt{Prefix: "OMS_", TransformFunc: read, EnvironFunc: func() []string { return environ }}), nil); err != nil {
		return Config{}, err
	}
	if err := k.Load(confmap.Provider(flags, "."), nil); err != nil {
		return Config{}, err
	}
	for _, key := range k.Keys() {
		if !slices.Contains(known, key) {
			faults = append(faults, fmt.Errorf("%s: no such setting", key))
		}
	}
	var c Config
	unreadable := k.Unmarshal("", &c)
	faults = append(faults, typeFaults(unreadable, k)...)
	for _, f := range c.check() { // of a value that could not be read it would judge the zero in its place
		if key, _, _ := strings.Cut(f.Error(), ":"); unreadable == nil || !strings.Contains(unreadable.Error(), "'"+key+"'") {
			faults = append(faults, f)
		}
	}
	return c, errors.Join(faults...)
}

// typeFaults says in the words of the settings what the decoder says in those of Go.
func typeFaults(unreadable error, k *koanf.Koanf) (faults []error) {
	if unreadable == nil {
		return nil
	}
	walk("", reflect.ValueOf(defaults()), func(key string, f reflect.StructField, _ reflect.Value) {
		if !strings.Contains(unreadable.Error(), "'"+key+"'") {
			return
		}
		want := map[reflect.Kind]string{reflect.String: "a text", reflect.Bool: "true or false", reflect.Slice: "a list"}[f.Type.Kind()]
		if want == "" {
			want = "a whole number"
		}
		if f.Type == reflect.TypeFor[time.Duration]() {
			want = "a duration, such as 90s"
		}
		faults = append(faults, fmt.Errorf("%s: %v: want %s", key, k.Get(key), want))
	})
	if len(faults) == 0 {
		return []error{unreadable}
	}
	return faults
}

// fromEnvironment finds the setting that a variable means: OMS_KAFKA_SASL_PASSWORD is kafka.sasl.password. Variables of the tests are none of ours.
func fromEnvironment(known []string, name, value string) (key, v string, err error) {
	bare, fromFile := strings.CutSuffix(strings.TrimPrefix(name, "OMS_"), "_FILE")
	for _, key := range known {
		if !strings.EqualFold(strings.ReplaceAll(key, ".", "_"), bare) {
			continue
		}
		if fromFile {
			b, err := os.ReadFile(value)
			if err != nil {
				return "", "", fmt.Errorf("%s: %w", name, err)
			}
			value = strings.TrimSpace(string(b))
		}
		return key, value, nil
	}
	if slices.Contains(testVariables, name) {
		return "", "", nil
	}
	return "", "", fmt.Errorf("%s: no such setting", name)
}

// testVariables steer the tests and may be set while a binary runs.
var testVariables = []string{"OMS_CACHE", "OMS_SHARED", "OMS_KAFKA", "OMS_KAFKA_JARS", "OMS_KILLS", "OMS_SEED", "OMS_CLICKHOUSE_TEST_URL"}

func (c Config) check() (faults []error) {
	rule := func(ok bool, key string, value any, want string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s: %v: want %s", key, value, want))
		}
	}
	rule(c.Data != "", "data", `""`, "a directory")
	rule(isAddress(c.HTTP), "http", c.HTTP, "HOST:PORT, such as 127.0.0.1:8080")
	rule(isAddress(c.Kafka.Listen), "kafka.listen", c.Kafka.Listen, "HOST:PORT, such as 127.0.0.1:9092")
	rule(isAddress(c.Payments.Sandbox.Listen), "payments.sandbox.listen", c.Payments.Sandbox.Listen, "HOST:PORT, such as 127.0.0.1:8090")
	rule(c.Instance != "" && !strings.ContainsAny(c.Instance, " /"), "instance", c.Instance, "a name without spaces and slashes")
	rule(slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log), "log", c.Log, "debug, info, warn or error")
	rule(c.Kafka.Partitions >= 0 && c.Kafka.Partitions <= 1000, "kafka.partitions", c.Kafka.Partitions, "0 to 1000")
	rule(c.Kafka.Replication >= 0 && c.Kafka.Replication <= 7, "kafka.replication", c.Kafka.Replication, "0 to 7")
	rule(slices.Contains([]string{"", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}, c.Kafka.SASL.Mechanism), "kafka.sasl.mechanism", c.Kafka.SASL.Mechanism, "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
	rule(c.Orders.DecisionTimeout >= time.Second && c.Orders.DecisionTimeout <= year, "orders.decision_timeout", c.Orders.DecisionTimeout, "1s to 8760h, a year")
	rule(c.Orders.CancelTimeout >= time.Second && c.Orders.CancelTimeout <= year, "orders.cancel_timeout", c.Orders.CancelTimeout, "1s to 8760h, a year")
	rule(c.Orders.MaxTotalMinor >= 0, "orders.max_total_minor", c.Orders.MaxTotalMinor, "0 or more")
	rule(c.Payments.Tries >= 1 && c.Payments.Tries <= 10, "payments.tries", c.Payments.Tries, "1 to 10")
	rule(c.Payments.Timeout >= time.Second && c.Payments.Timeout <= year, "payments.timeout", c.Payments.Timeout, "1s to 8760h, a year")
	rule(c.Payments.Sandbox.DeclinePercent >= 0 && c.Payments.Sandbox.DeclinePercent <= 100, "payments.sandbox.decline_percent", c.Payments.Sandbox.DeclinePercent, "0 to 100")
	rule(isAddress(c.ClickHouse.Listen), "clickhouse.listen", c.ClickHouse.Listen, "HOST:PORT, such as 127.0.0.1:8123")
	rule(c.ClickHouse.Memory >= 512<<20, "clickhouse.memory", c.ClickHouse.Memory, "512 MiB or more")
	rule(c.ClickHouse.Interval >= 10*time.Millisecond && c.ClickHouse.Interval <= time.Minute, "clickhouse.interval", c.ClickHouse.Interval, "10ms to 1m")
	rule(c.ClickHouse.Keep == 0 || c.ClickHouse.Keep >= 24*time.Hour, "clickhouse.keep", c.ClickHouse.Keep, "0, or 24h or more")
	rule(c.Engine.MaxBatch >= 1 && c.Engine.MaxBatch <= 100_000, "engine.max_batch", c.Engine.MaxBatch, "1 to 100000")
	rule(c.Engine.CacheBytes >= 1<<20, "engine.cache_bytes", c.Engine.CacheBytes, "1 MiB or more")
	for _, r := range c.Payments.Routes {
		method, provider, ok := strings.Cut(r, "=")
		rule(ok && method != "" && provider != "", "payments.routes", r, "METHOD=provider")
	}
	return faults
}

// isAddress tells whether one can listen there: HOST:PORT, port 0 meaning any that is free.
func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	_, bad := strconv.ParseUint(port, 10, 16)
	return err == nil && bad == nil
}

// settings are the Kafka client's view of the configuration.
func (k KafkaConfig) settings() (kafka.Settings, error) {
	s := kafka.Settings{Brokers: k.Brokers, ClientID: k.ClientID, Rack: k.Rack, Gather: 5 * time.Millisecond}
	if k.TLS.Enabled {
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		if k.TLS.CA != "" {
			pem, err := os.ReadFile(k.TLS.CA)
			if err != nil {
				return s, fmt.Errorf("kafka.tls.ca: %w", err)
			}
			s.TLS.RootCAs = x509.NewCertPool()
			if !s.TLS.RootCAs.AppendCertsFromPEM(pem) {
				return s, fmt.Errorf("kafka.tls.ca: %s holds no certificate", filepath.Base(k.TLS.CA))
			}
		}
		if k.TLS.Cert != "" {
			pair, err := tls.LoadX509KeyPair(k.TLS.Cert, k.TLS.Key)
			if err != nil {
				return s, fmt.Errorf("kafka.tls.cert: %w", err)
			}
			s.TLS.Certificates = []tls.Certificate{pair}
		}
	}
	s.SASL = k.mechanism()
	return s, nil
}

func (k KafkaConfig) mechanism() sasl.Mechanism {
	switch user, pass := k.SASL.User, k.SASL.Password; k.SASL.Mechanism {
	case "PLAIN":
		return plain.Auth{User: user, Pass: pass}.AsMechanism()
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: pass}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: pass}.AsSha512Mechanism()
	}
	return nil
}

// describe walks the settings in order: dotted key, value with secrets masked, and what it means.
func (c Config) describe(each func(key, value, doc string)) {
	walk("", reflect.ValueOf(c), func(key string, f reflect.StructField, v reflect.Value) {
		value := fmt.Sprint(v.Interface())
		if list, ok := v.Interface().([]string); ok {
			value = strings.Join(list, ",") // as the environment takes it
		}
		if f.Tag.Get("secret") != "" && value != "" {
			value = "****"
		}
		each(key, value, f.Tag.Get("doc"))
	})
}

// walk calls each with every setting below v, in order.
func walk(prefix string, v reflect.Value, each func(key string, f reflect.StructField, v reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := prefix + f.Tag.Get("koanf")
		if f.Type.Kind() == reflect.Struct {
			walk(key+".", v.Field(i), each)
			continue
		}
		each(key, f, v.Field(i))
	}
}

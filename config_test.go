package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oms/internal/kafka"
	"oms/topics"
)

func TestFlagsOverruleTheEnvironmentWhichOverrulesTheFile(t *testing.T) {
	dir := t.TempDir()
	path, secret := filepath.Join(dir, "oms.yaml"), filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte("data: from-file\nhttp: 127.0.0.1:1\norders:\n  decision_timeout: 90s\nkafka:\n  partitions: 6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secret, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(path, []string{"OMS_HTTP=127.0.0.1:2", "OMS_DATA=from-env", "OMS_KAFKA_BROKERS=a:1,b:2", "OMS_KAFKA_SASL_PASSWORD_FILE=" + secret, "OMS_KILLS=7", "OMS_CACHE=/y", "HOME=/x"},
		map[string]any{"data": "from-flag"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Data != "from-flag" || c.HTTP != "127.0.0.1:2" || c.Orders.DecisionTimeout != 90*time.Second || c.Kafka.Partitions != 6 || strings.Join(c.Kafka.Brokers, " ") != "a:1 b:2" || c.Kafka.SASL.Password != "hush" {
		t.Errorf("merged to %+v", c)
	}
	c.describe(func(key, value, doc string) {
		if strings.Contains(value, "hush") {
			t.Errorf("%s shows the secret", key)
		}
		if doc == "" {
			t.Errorf("%s has no word of explanation", key)
		}
	})
}

func TestSettingsAndTopicsAreScriptable(t *testing.T) {
	var b bytes.Buffer
	r := &run{out: &b, cli: &CLI{}, level: new(slog.LevelVar)}
	if err := errors.Join(ConfigPrintCmd{Output: "json"}.Run(r), TopicsListCmd{Output: "json"}.Run(r)); err != nil {
		t.Fatal(err)
	}
	var settings map[string]string
	var pages []map[string]string
	d := json.NewDecoder(&b)
	if err := errors.Join(d.Decode(&settings), d.Decode(&pages)); err != nil || settings["orders.decision_timeout"] != "5m0s" || len(pages) != len(topics.All) || pages[0]["topic"] != topics.All[0].Name {
		t.Errorf("%v %v %v", settings, pages, err)
	}
}

func TestAnAddressThatStrangersReachIsRefusedBeforeAnythingIsMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	conf := defaults()
	conf.Data, conf.HTTP = dir, "0.0.0.0:0"
	err := serve(&run{ctx: t.Context(), log: slog.New(slog.DiscardHandler)}, conf, allRoles, nil)
	if err == nil || !strings.Contains(err.Error(), "0.0.0.0:0 is not a loopback address") {
		t.Errorf("the address was answered with %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory of the refused start: %v", err)
	}
}

func TestEveryFaultOfTheConfigurationIsNamedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oms.yaml")
	if err := os.WriteFile(path, []byte("htpp: 127.0.0.1:1\nlog: loud\norders:\n  decision_timeout: 1ms\n  cancel_timeout: soon\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := loadConfig(path, []string{"OMS_NONSENSE=1", "OMS_PAYMENTS_TRIES=0", "OMS_ENGINE_MAX_BATCH=many", "OMS_HTTP=localhost"}, nil)
	if err == nil {
		t.Fatal("a bad configuration was taken")
	}
	for _, want := range []string{"htpp: no such setting", "log: loud: want debug, info, warn or error", "orders.decision_timeout: 1ms: want 1s to 8760h, a year", "OMS_NONSENSE: no such setting", "payments.tries: 0: want 1 to 10",
		"orders.cancel_timeout: soon: want a duration", "engine.max_batch: many: want a whole number", "http: localhost: want HOST:PORT"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 8 {
		t.Errorf("8 faults are said in %d lines:\n%v", len(lines), err)
	}
}

func TestKeysOutliveAPowerLossWhereTheLogDoes(t *testing.T) {
	for _, c := range []struct{ embedded, fsync, want bool }{{false, false, true}, {false, true, true}, {true, false, false}, {true, true, true}} {
		a := &app{}
		if a.conf.Kafka.Fsync = c.fsync; c.embedded {
			a.embedded = new(kafka.Embedded)
		}
		if a.syncKeys() != c.want {
			t.Errorf("embedded %v, fsync %v: synced is %v", c.embedded, c.fsync, !c.want)
		}
	}
}

func TestATimeoutThatTheMachinesRefuseIsNoSetting(t *testing.T) {
	for _, key := range []string{"orders.decision_timeout", "orders.cancel_timeout", "payments.timeout"} {
		for value, good := range map[string]bool{"999ms": false, "1s": true, "8760h": true, "8761h": false} {
			if _, err := loadConfig("", nil, map[string]any{key: value}); (err == nil) != good {
				t.Errorf("%s of %s: %v", key, value, err)
			}
		}
	}
}

func TestAnAgeHasDays(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 720 * time.Hour, "0d": 0, "12h": 12 * time.Hour, "0s": 0} {
		var a age
		if err := a.UnmarshalText([]byte(text)); err != nil || time.Duration(a) != want {
			t.Errorf("%s is %v: %v", text, time.Duration(a), err)
		}
	}
	for _, text := range []string{"", "5", "d", "-1d", "1.5d", "-1h", "99999d"} {
		if err := new(age).UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "want an age such as 30d or 12h") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

package stream_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"oms/internal/kafka/kafkatest"
)

// kills is how often the plug is pulled; OMS_KILLS says otherwise.
func kills(t *testing.T, usual int) int {
	t.Helper()
	text := os.Getenv("OMS_KILLS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("OMS_KILLS is %q: want a number, 1 or more", text)
	}
	return n
}

// killed counts kills by what they met.
type killed struct{ starting, working int }

// atRandom kills the child: one time in four while it starts, otherwise some time after it was ready.
func (k *killed) atRandom(p *process, meanwhile func()) {
	p.t.Helper()
	if rand.IntN(4) == 0 {
		k.starting++
		<-time.After(rand.N(150 * time.Millisecond))
	} else {
		k.working++
		p.hear("ready")
		for until := time.Now().Add(20*time.Millisecond + rand.N(400*time.Millisecond)); time.Now().Before(until); {
			meanwhile()
		}
	}
	p.alive()
	p.kill()
}

// verifyLog holds the exactly-once sentence against the inbox itself, for records whose sender was killed too.
func (r *rig) verifyLog() {
	r.t.Helper()
	sent := map[string][]string{}
	for _, rec := range r.read(r.in) {
		k := string(rec.Key)
		sent[k] = append(sent[k], string(rec.Value))
	}
	got := map[string][]string{}
	for _, rec := range r.read(r.out) {
		k := string(rec.Key)
		got[k] = append(got[k], string(rec.Value))
	}
	table := map[string]int{}
	for _, rec := range r.read(r.table()) {
		table[string(rec.Key)] = int(binary.BigEndian.Uint64(rec.Value))
	}
	r.sent = map[string]int{}
	for k, values := range sent {
		r.sent[k] = len(values)
		for n := range values {
			values[n] = fmt.Sprintf("%d|%s", n+1, values[n])
		}
		if !slices.Equal(values, got[k]) {
			r.t.Errorf("%s: %d inputs, %d outputs; they differ from number %d on", k, len(values), len(got[k]), differ(values, got[k]))
		}
	}
	if len(got) != len(sent) {
		r.t.Errorf("outputs of %d keys, inputs of %d", len(got), len(sent))
	}
	if !maps.Equal(table, r.sent) {
		r.t.Errorf("table: %v, inputs: %v", table, r.sent)
	}
}

func differ(a, b []string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func total(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// The broker and the journal are killed with the engine.
func TestAfterKillsOfBrokerAndEngineEveryInputHasHadOneStep(t *testing.T) {
	if testing.Short() {
		t.Skip("kills take their time")
	}
	dir := t.TempDir()
	o := order{Group: "count", Instance: "a", State: filepath.Join(dir, "state"), Broker: filepath.Join(dir, "broker"), Tables: []string{"count-table"}, Feed: true}
	var k killed
	for range kills(t, 20) {
		k.atRandom(spawn(t, o), func() { <-time.After(time.Millisecond) })
	}
	e := kafkatest.EmbeddedAt(t, o.Broker, o.Tables...)
	r := rigOf(t, kafkatest.Broker{Settings: e.Settings(), Embedded: e}, o.Group)
	before := len(r.read(r.out))
	i := r.start(o.State, count(r), nil)
	r.awaitPassed(i)
	i.halt()
	r.verifyLog()
	r.verifyStore(o.State)
	t.Logf("killed %d times while starting, %d while working; %d inputs, %d of them passed before the last start", k.starting, k.working, total(r.sent), before)
	if before == 0 {
		t.Error("the killed ones have done nothing")
	}
}

func TestAfterKillsOfTheEngineEveryInputHasHadOneStep(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	b := kafkatest.Broker{Settings: kafkatest.Real(t)}
	r, dir := newRig(t, b), stateDir(t)
	o := order{Group: r.group, Instance: "a", State: dir, Brokers: b.Brokers}
	var k killed
	for range kills(t, 20) {
		r.send(200, 40)
		k.atRandom(spawn(t, o), func() {
			r.send(1+rand.IntN(60), 40)
			<-time.After(rand.N(20 * time.Millisecond))
		})
	}
	before := len(r.read(r.out))
	i := r.start(dir, count(r), nil)
	r.awaitPassed(i)
	if err := i.engine.WaitReady(t.Context()); err != nil { // the killed ones may have passed everything, and not have stored it
		t.Fatal(err)
	}
	i.halt()
	r.verify()
	r.verifyStore(dir)
	t.Logf("killed %d times while starting, %d while working; %d inputs, %d of them passed before the last start", k.starting, k.working, total(r.sent), before)
	if before == 0 {
		t.Error("the killed ones have done nothing")
	}
}

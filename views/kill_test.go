package views

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
	"oms/internal/web"
	"oms/schemas"
)

// Set for the process that the test kills.
const (
	childBroker = "OMS_TEST_VIEWS_BROKER"
	childDir    = "OMS_TEST_VIEWS_DIR"
)

func TestMain(m *testing.M) {
	if broker := os.Getenv(childBroker); broker != "" {
		fmt.Fprintln(os.Stderr, followUntilKilled(broker, os.Getenv(childDir)))
		os.Exit(1)
	}
	os.Exit(kafkatest.Main(m))
}

// followUntilKilled flushes all the time, so that a kill meets files of all ages.
func followUntilKilled(broker, dir string) error {
	v, err := New(Config{Kafka: kafka.Settings{Brokers: []string{broker}}, Dir: dir, Unseal: plainText{}, Cursors: web.NewCursors(nil), Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	ctx := context.Background()
	v.disk.flushEvery(3*time.Millisecond, ctx.Done(), v.settle)
	go func() {
		for !v.Ready() {
			time.Sleep(time.Millisecond) // between two looks at the condition; nothing tells when it holds
		}
		fmt.Println("following") // and so everything of the lives before was read
	}()
	return v.Run(ctx)
}

// life is what an order should look like.
type life struct {
	version int64
	status  schemas.OrderStatus
}

func TestKillsLeaveNoTornRowNoLostFactAndNoStaleEntry(t *testing.T) {
	kills := 12
	if n, err := strconv.Atoi(os.Getenv("OMS_KILLS")); err == nil {
		kills = n
	}
	s := openShop(t)
	s.stop()
	broker := s.kafka.Brokers[0]
	orders := map[string]*life{}
	said := 0
	for range kills {
		said += s.killOnce(broker, orders)
	}
	s.open()
	until(t, "the views are ready", s.views.Ready)
	until(t, "the views stand at the end", func() bool { lag, err := s.views.Lag(soon(t)); return err == nil && lag == 0 })
	again := int(s.metric("views_records_total"))
	t.Logf("%d kills, %d orders, %d records, %d of them read by the last run", kills, len(orders), said, again)
	if again == said {
		t.Error("the last run read everything: the killed ones left nothing, and nothing was shown")
	}
	facts := 0
	for id, want := range orders {
		if body := s.order(id, want.version); body["version"] != float64(want.version) || body["status"] != string(want.status) {
			t.Errorf("%s is version %v in %v, want %+v", id, body["version"], body["status"], want)
		}
		got, err := s.views.factsAfter(id, place{})
		if err != nil || int64(len(got)) != want.version {
			t.Errorf("%s has %d facts, want %d: %v", id, len(got), want.version, err)
		}
		facts += len(got)
		for _, index := range indexes {
			key := card{shopTenant, "cus_1", string(want.status), 1000}.appendEntry(nil, index, id)
			if value, err := s.views.disk.get(key); err != nil || value == nil {
				t.Errorf("%s: entry %q is not there: %v", id, key, err)
			}
		}
	}
	for kind, want := range map[byte]int{kindPlaced: len(orders), kindStatus: len(orders), kindCustomer: len(orders), kindFact: facts, kindRow: len(orders)} {
		if n := s.entries(kind); n != want {
			t.Errorf("%d keys of kind %c, want %d", n, kind, want)
		}
	}
}

// killOnce lets a process follow while orders move, and kills it. It answers how many records were said.
func (s *shop) killOnce(broker string, orders map[string]*life) (said int) {
	s.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childBroker+"="+broker, childDir+"="+s.dir)
	var out bytes.Buffer
	cmd.Stderr = &out
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.Fatal(err)
	}
	if _, err := pipe.Read(make([]byte, 1)); err != nil {
		s.Fatalf("the process does not follow: %v: %s", err, out.String())
	}
	statuses := []schemas.OrderStatus{schemas.OrderStatusPending, schemas.OrderStatusConfirmed, schemas.OrderStatusCancelling, schemas.OrderStatusCancelled}
	for until := time.Now().Add(time.Duration(60+rand.IntN(200)) * time.Millisecond); time.Now().Before(until); {
		var messages []schemas.Message
		for range 20 {
			id := fmt.Sprintf("ord_%d", rand.IntN(300))
			if orders[id] == nil {
				orders[id] = new(life)
			}
			o := orders[id]
			o.version++
			o.status = statuses[rand.IntN(len(statuses))]
			messages = append(messages, created(id, o.version, 0, o.version), counted(id, o.version, o.status, o.version, 0))
		}
		s.say(messages...)
		said += len(messages)
	}
	if err := cmd.Process.Kill(); err != nil {
		s.Error(err)
	}
	if err = cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		s.Errorf("the process was not killed but ended by itself: %v: %s", err, out.String())
	}
	return said
}

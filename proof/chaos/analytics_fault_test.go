package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/clickhouse"
	"oms/internal/clickhouse/clickhousetest"
	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
	"oms/schemas"
	"oms/topics"
)

// metric is what /metrics says behind a name; empty: nothing.
func metric(t *testing.T, server, name string) string {
	t.Helper()
	for line := range strings.Lines(call(t, "GET", server+"/metrics", nil).want(t, 200).Raw) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// becomes waits until the sink of a process is as wanted, and answers what it says.
func becomes(t *testing.T, server, state, why string) condition {
	t.Helper()
	var now condition
	until(t, fmt.Sprintf("the sink says %q and %q", state, why), func() bool {
		now = looks(server)
		return now.State == state && strings.Contains(now.Error, why)
	})
	if n := metric(t, server, `oms_analytics_state{state="`+state+`"}`); n != "1" && looks(server).State == state {
		t.Errorf("the metric of state %s is %q", state, n)
	}
	return now
}

// A process of its own has the role; it is killed, doubled by mistake, and loses its Kafka.
func TestASinkOfItsOwnIsKilledDoubledAndLosesItsKafka(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	clickhousetest.Library(t)
	broker, log, data, address := kafkatest.Real(t).Brokers[0], listen(t), t.TempDir(), address(t)
	ledger := filepath.Join(installation, "ledger")
	sandbox := start(t, log, "sandbox", "--listen", "127.0.0.1:0", "--data", ledger)
	rest := start(t, log, "run", "--roles", "ingest,views,orders,products,customers,gateways", "--kafka", broker, "--http", "127.0.0.1:0", "--instance", "rest", "--keys", filepath.Join(installation, "keys"), "--data", t.TempDir(), "--sandbox", sandbox.Sandbox)
	first := "http://" + address
	c := newCrew(t, log, []string{"run", "--roles", "analytics", "--kafka", broker, "--http", address, "--instance", "first", "--data", data})
	following := func() bool { return looks(first).State == "following" }
	until(t, "the sink follows", following)
	unmerged(t, full(t, data))
	alive, broken := context.WithCancel(t.Context())
	defer broken()
	buyers := buying(alive, t, rest.HTTP, 200, false)

	end := func() func() []int { _, end := c.haunt(t, kills(t, 4), 3*time.Second); return end }()
	within(t, time.Minute+time.Duration(kills(t, 4))*15*time.Second, "all kills are done", func() bool { return log.count("ready http="+first+" ") > kills(t, 4) || t.Failed() })
	killed := end()
	caughtUp(t, broker, log.reader)
	t.Logf("killed: %v, while orders flow; %d inserts without a known outcome were repeated", killed, log.count("an insert without a known outcome was repeated"))
	equal(t, log.reader(), "--data", data, "--kafka", broker)

	// A second one by mistake: it goes on, the first stands by; and when the second dies, the first goes on.
	t.Setenv("OMS_CLICKHOUSE_URL", full(t, data))
	second := start(t, log, "run", "--roles", "analytics", "--kafka", broker, "--http", "127.0.0.1:0", "--instance", "second", "--data", t.TempDir())
	must(t, os.Unsetenv("OMS_CLICKHOUSE_URL"))
	until(t, "the second follows", func() bool { return looks(second.HTTP).State == "following" })
	if by := becomes(t, first, "standing by", "another process fills the tables"); !strings.Contains(by.Error, "second/") {
		t.Errorf("it does not say who fills them: %q", by.Error)
	}
	caughtUp(t, broker, log.reader)
	second.Kill()
	until(t, "the first goes on", following)
	caughtUp(t, broker, log.reader)
	t.Logf("two at once: the later went on, the first stood by and went on when the other was gone")

	buyers.home() // what a Kafka that is killed under load means for orders is not asked here
	caughtUp(t, broker, log.reader)
	orders := buyers.present(log.reader())
	if kafkatest.Again(t, func() { becomes(t, first, "waiting", "kafka") }) {
		until(t, "the sink follows again", following)
		t.Log("Kafka was killed and came back: the sink waited and went on")
	} else {
		t.Log("the real Kafka was not started here: it is not restarted")
	}
	buyers = buying(alive, t, rest.HTTP, 200, false)
	until(t, "orders flow again", func() bool {
		return strings.Contains(mustAsk(t, log.reader(), "SELECT count() > "+fmt.Sprint(orders+300)+" FROM order_events WHERE type = 'OrderCreated'"), "1")
	})
	buyers.home()
	caughtUp(t, broker, log.reader)
	all, status := verify(t, "--data", data, "--kafka", broker)
	for _, v := range all {
		if v.Different > 0 {
			t.Error(v.First)
		}
		if v.Duplicates > 0 { // what was under way when the lead changed, may be inserted by both; the key is the same
			t.Logf("%s: %d rows came twice, and are seen once", v.Table, v.Duplicates)
		}
	}
	if status != 0 {
		t.Errorf("verify ended with status %d", status)
	}
	t.Logf("%d orders are present", orders+buyers.present(log.reader()))
}

// said writes facts of orders of other days to the topics, as a shop that is older than this test would have them: n orders a day.
func said(t *testing.T, broker string, n int, days ...time.Time) {
	t.Helper()
	writer, err := kafka.Settings{Brokers: []string{broker}}.NewProducer()
	must(t, err)
	defer writer.Close()
	var records []*kgo.Record
	for _, day := range days {
		for i := range n {
			at := day.Add(time.Duration(i) * 24 * time.Hour / time.Duration(n)).UnixMilli()
			id := fmt.Sprintf("ord_%s_%06d", day.Format("20060102"), i)
			fact := func(version int64) schemas.Fact {
				return schemas.Fact{Tenant: "default", AtMS: at + version, Version: version, Sequence: version}
			}
			for _, m := range []schemas.Message{
				&schemas.OrderCreated{Fact: fact(1), OrderID: id, Currency: "EUR", ShipCountry: "AT", PaymentMethod: "CARD", Lines: []schemas.OrderLine{{Line: 1, ProductID: "old", Quantity: 2}}},
				&schemas.PaymentProcessed{Fact: fact(1), OrderID: id, Operation: "AUTHORIZE", Outcome: "CAPTURED", Method: "CARD", Provider: "sandbox", AmountMinor: 900, Currency: "EUR"},
				&schemas.OrderConfirmed{Fact: fact(2), OrderID: id, Currency: "EUR", TotalMinor: 900, PlacedAtMS: at, ShipCountry: "AT",
					Lines: []schemas.PricedLine{{Line: 1, ProductID: "old", Quantity: 2, UnitPriceMinor: 450, TotalMinor: 900}}},
			} {
				value, err := schemas.Encode(m)
				must(t, err)
				records = append(records, &kgo.Record{Topic: topics.Of(m).Name, Key: []byte(m.Key()), Value: value})
			}
		}
	}
	must(t, writer.ProduceSync(t.Context(), records...).FirstErr())
}

func TestADayIsRebuiltWhileOrdersFlow(t *testing.T) {
	clickhousetest.Library(t)
	log, data := listen(t), t.TempDir()
	p := up(t, log, data)
	until(t, "the sink follows", func() bool { return looks(p.HTTP).State == "following" })
	old := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	said(t, p.Kafka, 500, old.AddDate(0, 0, -1), old, old.AddDate(0, 0, 1), old.AddDate(0, 1, 0))
	alive, broken := context.WithCancel(t.Context())
	defer broken()
	buyers := buying(alive, t, p.HTTP, 500, false)
	until(t, "orders flow", func() bool { n, _ := ask(log.reader(), "SELECT count() > 500 FROM order_events"); return n == "1" })
	caughtUp(t, p.Kafka, log.reader)
	equal(t, log.reader(), "--data", data, "--kafka", p.Kafka)
	for _, day := range []time.Time{old, time.Now().UTC().Truncate(24 * time.Hour)} {
		rebuilt(t, p, log, data, day)
	}
	buyers.home()
	took := time.Since(buyers.started)
	caughtUp(t, p.Kafka, log.reader)
	equal(t, log.reader(), "--data", data, "--kafka", p.Kafka)
	n := buyers.present(log.reader())
	t.Logf("%d orders in %v, %.0f a second of 500 that were meant", n, took.Round(time.Second), float64(n)/took.Seconds())
}

// rebuilt damages a day and has it rebuilt; what is not of the day is equal all the while.
func rebuilt(t *testing.T, p *Process, log *heard, data string, day time.Time) {
	t.Helper()
	from, to, on := day.Format(time.DateOnly), day.AddDate(0, 0, 1).Format(time.DateOnly), []string{"--data", data, "--kafka", p.Kafka}
	where := fmt.Sprintf("at >= '%s' AND at < '%s' AND cityHash64(order_id) %% 3 = 0 SETTINGS mutations_sync = 2", from, to)
	for _, damage := range []string{"order_lines DELETE WHERE ", "order_events UPDATE total_minor = 1 WHERE ", "payments DELETE WHERE "} {
		mustAsk(t, full(t, data), "ALTER TABLE "+damage+where)
	}
	first, status := verify(t, on...)
	if status != 1 {
		t.Fatalf("verify of a damaged day ended with status %d", status)
	}
	damaged := map[string]int{}
	for _, v := range first {
		if damaged[v.Table] = v.Different; v.Different > 0 && !strings.Contains(v.First, "in the hour of "+from) {
			t.Errorf("outside the day: %s", v.First)
		}
	}
	outside := `SELECT groupArray((d, n, total)) FROM (SELECT toDate(at) AS d, count() AS n, sum(total_minor) AS total FROM order_lines FINAL WHERE at < '2026-05-01' AND toDate(at) != '` + from + `' GROUP BY d ORDER BY d)`
	want := mustAsk(t, log.reader(), outside)
	done := make(chan error, 1)
	go func() {
		out, err := exec.Command(binary, append([]string{"analytics", "rebuild", "--from", from, "--to", to, "--no-dry-run"}, on...)...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		done <- err
	}()
	looked := make(chan int, 1)
	watching, stop := context.WithCancel(t.Context())
	go func() { // what readers see of other days never changes
		n := 0
		for ; watching.Err() == nil; n++ {
			if have, err := ask(log.reader(), outside); err != nil || have != want {
				t.Errorf("while %s was rebuilt, other days became %s, were %s: %v", from, have, want, err)
				break
			}
		}
		looked <- n
	}()
	verified, running := 0, true
	for running {
		all, _ := verify(t, on...)
		for _, v := range all {
			if v.Different != 0 && v.Different != damaged[v.Table] || v.Different > 0 && !strings.Contains(v.First, "in the hour of "+from) {
				t.Errorf("while %s was rebuilt: %d cells differ, %d were damaged: %s", from, v.Different, damaged[v.Table], v.First)
			}
		}
		verified++
		select {
		case err := <-done:
			must(t, err)
			running = false
		default:
		}
	}
	stop()
	all, status := verify(t, on...)
	if status != 0 {
		t.Errorf("after the rebuild of %s: %+v", from, all)
	}
	t.Logf("%s: damaged cells %v; verified %d times while it was rebuilt, other days looked at %d times", from, damaged, verified, <-looked)
}

func TestWithoutTheLibraryOrdersFlowAndALaterStartCatchesUp(t *testing.T) {
	library, log, data := clickhousetest.Library(t), listen(t), t.TempDir()
	t.Setenv("OMS_CLICKHOUSE_LIBRARY", "/nonexistent/libchdb.so")
	p := up(t, log, data)
	stock(t, p.HTTP, "p1", 1000)
	var l ledger
	for i := range 50 {
		l.buy(t, p.HTTP, fmt.Sprintf("without-%d", i))
	}
	if now := looks(p.HTTP); now.State != "off" || !strings.Contains(now.Error, "/nonexistent/libchdb.so") || !strings.Contains(now.Error, "make clickhouse") {
		t.Errorf("/readyz says %+v", now)
	}
	call(t, "GET", p.HTTP+"/readyz", nil).want(t, 200)
	if n := log.count("analytics"); n != 1 {
		t.Errorf("%d lines are about it, want one", n)
	}
	must(t, p.Stop())
	t.Setenv("OMS_CLICKHOUSE_LIBRARY", library)
	p = up(t, log, data)
	caughtUp(t, p.Kafka, log.reader)
	equal(t, log.reader(), "--data", data, "--kafka", p.Kafka)
	if n := number(t, log.reader(), "SELECT count() FROM orders_now FINAL WHERE status = 'CONFIRMED'"); n != 50 {
		t.Errorf("%d orders are confirmed, want 50", n)
	}
	l.stands(t, p.HTTP)
}

// door is an address that leads to a ClickHouse while it is open.
type door struct {
	address string
	to      *clickhouse.Engine
	server  *http.Server
}

func (d *door) open(t *testing.T) {
	t.Helper()
	target, err := url.Parse("http://" + d.to.Addr())
	must(t, err)
	d.server = &http.Server{Addr: d.address, Handler: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Del("X-ClickHouse-User")
		r.Out.Header.Del("X-ClickHouse-Key")
		r.Out.SetBasicAuth("default", d.to.Password())
	}}}
	server, failed := d.server, make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	until(t, "the door is open", func() bool {
		select {
		case err := <-failed:
			if errors.Is(err, syscall.EADDRINUSE) {
				t.Fatal(err)
			}
		default:
		}
		_, err := ask("http://"+d.address, "SELECT 1")
		return err == nil
	})
	t.Cleanup(func() { server.Close() })
}

func (d *door) close() { d.server.Close() } // with the connections that lead through it

func TestAClickHouseThatIsAwayIsWaitedForAndOrdersFlow(t *testing.T) {
	log, data, address := listen(t), t.TempDir(), address(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	engine, err := clickhouse.Start(ctx, clickhouse.Config{Library: clickhousetest.Library(t), Dir: t.TempDir(), Executable: binary, Args: []string{"clickhouse-engine"}})
	must(t, err)
	t.Cleanup(func() { must(t, engine.Close()) })
	d := &door{address: address, to: engine}
	server := "http://somebody:secret@" + address + "/oms"
	t.Setenv("OMS_CLICKHOUSE_URL", server)
	p := up(t, log, data)
	stock(t, p.HTTP, "p1", 1000)
	var l ledger
	buy := func(why string) {
		for i := range 20 {
			l.buy(t, p.HTTP, fmt.Sprintf("%s-%d", why, i))
		}
	}
	waiting := func(times int) {
		t.Helper()
		buy(fmt.Sprintf("away-%d", times)) // who has nothing to write does not notice
		becomes(t, p.HTTP, "waiting", "")
		if n := log.count(`"msg":"analytics","state":"waiting"`); n != times {
			t.Errorf("%d lines say that it waits, want %d", n, times)
		}
		call(t, "GET", p.HTTP+"/readyz", nil).want(t, 200)
	}
	waiting(1)
	d.open(t)
	becomes(t, p.HTTP, "wrong schema", "oms migrate")
	if out, err := exec.Command(binary, "migrate", "--clickhouse", server).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	becomes(t, p.HTTP, "following", "")
	caughtUp(t, p.Kafka, engine.ReaderURL)
	equal(t, engine.ReaderURL(), "--clickhouse", server, "--kafka", p.Kafka)
	d.close()
	waiting(2)
	d.open(t)
	becomes(t, p.HTTP, "following", "")
	caughtUp(t, p.Kafka, engine.ReaderURL)
	equal(t, engine.ReaderURL(), "--clickhouse", server, "--kafka", p.Kafka)
	if strings.Contains(log.text.String(), "secret") {
		t.Error("the log shows the password")
	}
	l.stands(t, p.HTTP)
	must(t, p.Stop())
}

// smallDisk mounts a disk of a size on a directory.
func smallDisk(t *testing.T, dir, size string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may mount a small disk: nothing is filled")
	}
	must(t, os.MkdirAll(dir, 0o750))
	if err := syscall.Mount("oms-test", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk cannot be mounted here (%v): nothing is filled", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
}

func TestAFullOrReadOnlyDiskOfClickHouseNeverTouchesOrders(t *testing.T) {
	clickhousetest.Library(t)
	log, data := listen(t), t.TempDir()
	disk := filepath.Join(data, "clickhouse")
	smallDisk(t, disk, "64m")
	p := up(t, log, data)
	stock(t, p.HTTP, "p1", 100_000)
	var l ledger
	buy := func(why string) {
		for i := range 40 {
			l.buy(t, p.HTTP, fmt.Sprintf("%s-%d", why, i))
		}
	}
	buy("before")
	becomes(t, p.HTTP, "following", "")

	room := fill(t, disk)
	buy("full")
	now := becomes(t, p.HTTP, "waiting", "")
	t.Logf("a full disk: %+v", now)
	buy("still full")
	room()
	becomes(t, p.HTTP, "following", "")
	caughtUp(t, p.Kafka, log.reader)
	equal(t, log.reader(), "--data", data, "--kafka", p.Kafka)

	room = fill(t, disk)
	p.Kill()
	p = up(t, log, data)
	buy("full from the start")
	until(t, "the log says why", func() bool { return log.count("no space left on device")+log.count("NOT_ENOUGH_SPACE") > 0 })
	t.Logf("a full disk at the start: %+v", looks(p.HTTP))
	room()
	becomes(t, p.HTTP, "following", "")
	caughtUp(t, p.Kafka, log.reader)
	equal(t, log.reader(), "--data", data, "--kafka", p.Kafka)

	must(t, p.Stop())
	must(t, syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	p = up(t, log, data)
	buy("read-only")
	until(t, "the log says why", func() bool { return log.count("read-only file system") > 0 })
	t.Logf("a read-only disk: %+v", looks(p.HTTP))
	must(t, syscall.Mount("", disk, "", syscall.MS_REMOUNT, "size=64m"))
	becomes(t, p.HTTP, "following", "")
	caughtUp(t, p.Kafka, log.reader)
	equal(t, log.reader(), "--data", data, "--kafka", p.Kafka)
	l.stands(t, p.HTTP)
	audited(t, p, "--ledger", filepath.Join(data, "sandbox", "ledger.jsonl"))
}

func TestSIGTERMUnderLoadEndsSinkAndEngineInTime(t *testing.T) {
	clickhousetest.Library(t)
	log, data, address := listen(t), t.TempDir(), address(t)
	args := []string{"up", "--data", data, "--http", address}
	p := start(t, log, args...)
	until(t, "the sink follows", func() bool { return looks(p.HTTP).State == "following" })
	unmerged(t, full(t, data))
	alive, broken := context.WithCancel(t.Context())
	defer broken()
	buyers := buying(alive, t, p.HTTP, 300, false)
	rows := func() string { n, _ := ask(log.reader(), "SELECT count() FROM order_events"); return n }
	for range 3 {
		before := rows()
		until(t, "more rows have come", func() bool { n := rows(); return n != "" && n != before })
		engine := engineOf(p.PID())
		must(t, p.Stop())
		if err := syscall.Kill(engine, 0); engine == 0 || !errors.Is(err, syscall.ESRCH) {
			t.Errorf("engine %d after a stop: %v", engine, err)
		}
		p = start(t, log, args...)
	}
	buyers.home()
	caughtUp(t, p.Kafka, log.reader)
	equal(t, log.reader(), "--data", data, "--kafka", p.Kafka)
	buyers.present(log.reader())
}

// The engine is alive and answers nothing, as on a machine that is suspended or a disk that hangs.
func TestAnEngineThatHangsTouchesNoOrder(t *testing.T) {
	clickhousetest.Library(t)
	log, data := listen(t), t.TempDir()
	p := up(t, log, data)
	stock(t, p.HTTP, "p1", 10_000)
	var l ledger
	buy := func(why string) {
		for i := range 40 {
			l.buy(t, p.HTTP, fmt.Sprintf("%s-%d", why, i))
		}
	}
	becomes(t, p.HTTP, "following", "")
	unmerged(t, full(t, data))
	engine := engineOf(p.PID())
	must(t, syscall.Kill(engine, syscall.SIGSTOP))
	buy("hung")
	t.Logf("an engine that hangs: %+v", becomes(t, p.HTTP, "waiting", "not answered"))
	buy("still hung")
	call(t, "GET", p.HTTP+"/readyz", nil).want(t, 200)
	must(t, syscall.Kill(engine, syscall.SIGCONT))
	becomes(t, p.HTTP, "following", "")
	caughtUp(t, p.Kafka, log.reader)
	equal(t, log.reader(), "--data", data, "--kafka", p.Kafka)

	must(t, syscall.Kill(engine, syscall.SIGSTOP))
	buy("hung at the end")
	p.Kill()
	must(t, syscall.Kill(engine, syscall.SIGCONT)) // it hears only now that its parent is gone
	until(t, "the engine is gone", func() bool { return errors.Is(syscall.Kill(engine, 0), syscall.ESRCH) })
	p = up(t, log, data)
	caughtUp(t, p.Kafka, log.reader)
	equal(t, log.reader(), "--data", data, "--kafka", p.Kafka)
	l.stands(t, p.HTTP)
}

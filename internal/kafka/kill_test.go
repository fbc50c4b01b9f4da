package kafka_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
)

// killsPerRound share one data directory; after them everything is read.
const killsPerRound = 20

// The number of kills is OMS_KILLS (40). With OMS_KILLS_WITHOUT=journal the test shows what the journal is for, by failing;
// with OMS_KILLS_STABLE=1 transactional ids do not change between lives, and it still passes.
func TestAfterKillsAtRandomMomentsNoTransactionIsTornLostOrDoubled(t *testing.T) {
	if testing.Short() {
		t.Skip("kills take their time")
	}
	kills := 2 * killsPerRound
	if n, err := strconv.Atoi(os.Getenv("OMS_KILLS")); err == nil {
		kills = n
	}
	var total findings
	var c campaign
	for done := 0; done < kills; done += killsPerRound {
		dir := t.TempDir()
		for range min(killsPerRound, kills-done) {
			c.kill(t, dir)
		}
		f := audit(t, dir)
		if f.torn+f.twice+f.lost+f.doubled+f.broken > 0 {
			t.Errorf("after %d kills: %+v", min(done+killsPerRound, kills), f)
		}
		total.add(f)
	}
	t.Logf("%d kills, %d of them while opening; %d entries undone, %d index files, %d commit and %d abort markers mended; %+v",
		kills, c.opening, c.undone, c.indexes, c.commits, c.aborts, total)
}

// campaign counts what the children had to mend.
type campaign struct{ opening, undone, indexes, commits, aborts int }

// kill starts a child on dir and kills it: one in four while it opens the directory, the others while its groups work.
func (c *campaign) kill(t *testing.T, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := exec.Command(self)
	p.Env = append(os.Environ(), childDir+"="+dir)
	p.Stderr = os.Stderr
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	early := rand.IntN(4) == 0
	dead := make(chan struct{})
	shoot := func(after time.Duration) {
		time.AfterFunc(after, func() { p.Process.Kill(); close(dead) })
	}
	armed := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		switch {
		case line == "opening" && early:
			armed = true
			shoot(time.Duration(rand.IntN(60_000)) * time.Microsecond)
			c.opening++
		case line == "open" && !early:
			armed = true
			shoot(200*time.Millisecond + time.Duration(rand.IntN(300_000))*time.Microsecond)
		case strings.Contains(line, "mended"):
			c.count(line)
		}
	}
	if !armed {
		t.Fatal("the child ended by itself")
	}
	<-dead
	if err := p.Wait(); !strings.Contains(fmt.Sprint(err), "killed") {
		t.Fatal("the child ended by itself: ", err)
	}
}

func (c *campaign) count(line string) {
	for name, n := range map[string]*int{"undone=": &c.undone, "indexes=": &c.indexes, `"commit markers"=`: &c.commits, `"abort markers"=`: &c.aborts} {
		if _, rest, ok := strings.Cut(line, name); ok {
			v, _ := strconv.Atoi(strings.Fields(rest)[0])
			*n += v
		}
	}
}

// findings of a reading from the first record to the last. A transaction is torn when it is neither in all of its places nor in
// none; an input is lost or doubled when it has no effect or more than one; records outside transactions are broken when one
// is missing, doubled or out of order.
type findings struct{ transactions, inputs, foreign, torn, twice, lost, doubled, broken int }

func (f *findings) add(g findings) {
	*f = findings{f.transactions + g.transactions, f.inputs + g.inputs, f.foreign + g.foreign, f.torn + g.torn, f.twice + g.twice, f.lost + g.lost, f.doubled + g.doubled, f.broken + g.broken}
}

// audit lets the groups finish their inputs and reads everything.
func audit(t *testing.T, dir string) findings {
	t.Helper()
	d, err := startDriver(dir, kafkatest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	drain(t, d)
	topics := []string{"out.a", "out.b"}
	for g := range groups {
		topics = append(topics, input(g))
	}
	r, err := d.Settings().NewReader(context.Background(), kafka.From{}, topics...)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := books{transactions: map[string]*transaction{}, inputs: map[string]int{}, foreign: map[string][]int{}, at: map[string]bool{}}
	if err := r.ToEnd(context.Background(), b.take); err != nil {
		t.Fatal(err)
	}
	return b.close()
}

func drain(t *testing.T, d *driver) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, groups)
	names := []string{}
	for g := range groups {
		names = append(names, fmt.Sprintf("g%d", g))
		go func() { ended <- d.group(ctx, g) }()
	}
	defer func() {
		cancel()
		for range groups {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}()
	cl, err := d.Settings().NewProducer()
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for poll := time.NewTicker(20 * time.Millisecond); ; <-poll.C {
		lags, err := kadm.NewClient(cl).Lag(ctx, names...)
		if err != nil {
			t.Fatal(err)
		}
		left := int64(0)
		for _, l := range lags {
			left += l.Lag.Total()
		}
		if left == 0 && len(lags) == groups {
			return
		}
	}
}

type transaction struct{ marks, want, inputs, twice int }

type books struct {
	transactions map[string]*transaction
	inputs       map[string]int // effects per input
	foreign      map[string][]int
	at           map[string]bool
}

func (b *books) take(r *kgo.Record) error {
	place := fmt.Sprintf("%s/%d", r.Topic, r.Partition)
	if strings.HasPrefix(r.Topic, "in") {
		b.inputs[fmt.Sprintf("%s/%d", place, r.Offset)] += 0
		return nil
	}
	f := strings.Split(string(r.Value), "|")
	number, _ := strconv.Atoi(f[2])
	if f[0] == "F" {
		b.foreign[f[1]+place] = append(b.foreign[f[1]+place], number)
		return nil
	}
	x := b.transactions[f[1]]
	if x == nil {
		x = &transaction{}
		b.transactions[f[1]] = x
	}
	if f[0] == "T" {
		x.marks, x.want = x.marks+1, number
	} else {
		x.inputs++
		b.inputs[f[2]]++
	}
	if key := place + string(r.Value); b.at[key] {
		x.twice++
	} else {
		b.at[key] = true
	}
	return nil
}

func (b *books) close() (f findings) {
	for _, x := range b.transactions {
		if x.twice > 0 {
			f.twice++
		} else if x.marks != 12 || x.inputs != x.want {
			f.torn++
		}
	}
	for _, effects := range b.inputs {
		if effects == 0 {
			f.lost++
		} else if effects > 1 {
			f.doubled++
		}
	}
	for _, numbers := range b.foreign {
		f.foreign += len(numbers)
		for i, n := range numbers {
			if i != n {
				f.broken++
			}
		}
	}
	f.transactions, f.inputs = len(b.transactions), len(b.inputs)
	return f
}

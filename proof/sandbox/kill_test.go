package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// childLedger makes this test binary a sandbox on its own, for a parent that will kill it.
const childLedger = "OMS_TEST_SANDBOX_LEDGER"

func TestMain(m *testing.M) {
	ledger := os.Getenv(childLedger)
	if ledger == "" {
		os.Exit(m.Run())
	}
	s, err := Start(context.Background(), Config{Ledger: ledger})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.URL())
	select {}
}

// process starts a sandbox in a process of its own.
func process(t *testing.T, ledger string) (p *exec.Cmd, url string) {
	t.Helper()
	p = exec.Command(os.Args[0])
	p.Env = append(os.Environ(), childLedger+"="+ledger)
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if url = strings.TrimSpace(line); err != nil || !strings.HasPrefix(url, "http") {
		t.Fatalf("the sandbox says %q, %v", line, err)
	}
	return p, url
}

func TestWhatWasAnsweredSurvivesKill9(t *testing.T) {
	ledger := filepath.Join(t.TempDir(), "ledger.jsonl")
	var answered sync.Map // request id → body of the answer
	next := atomic.Int64{}
	for range 5 {
		p, url := process(t, ledger)
		var enough atomic.Int64
		var buyers sync.WaitGroup
		for range 8 {
			buyers.Go(func() {
				for {
					key := fmt.Sprint("r", next.Add(1))
					body, err := post(url, key)
					if err != nil {
						return // killed
					}
					answered.Store(key, body)
					if enough.Add(1) == 300 {
						p.Process.Kill()
					}
				}
			})
		}
		buyers.Wait()
		p.Wait()
	}
	_, url := process(t, ledger)
	n := 0
	answered.Range(func(key, body any) bool {
		n++
		if again, err := post(url, key.(string)); err != nil || again != body {
			t.Errorf("%s was answered %s, after the kills %s, %v", key, body, again, err)
		}
		return !t.Failed()
	})
	if n < 1500 {
		t.Errorf("only %d requests were answered", n)
	}
}

func post(url, key string) (answer string, err error) {
	r, err := http.NewRequest("POST", url+"/v1/authorizations", strings.NewReader(`{"order_id":"ord_1","payment_id":"pay_1","token":"tok","amount_minor":500,"currency":"EUR"}`))
	if err != nil {
		return "", err
	}
	r.Header.Set("Idempotency-Key", key)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

package clickhouse_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oms/internal/clickhouse"
	"oms/internal/clickhouse/clickhousetest"
)

// Readers that want much get it one after the other: together they use no more than three quarters of the engine's memory, and inserts go on beside them.
func TestReadersLeaveMemoryToInserts(t *testing.T) {
	conf := clickhousetest.Config(t, t.TempDir())
	conf.Memory = 1 << 30
	e, err := clickhouse.Start(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c := connect(t, e.URL())
	execute(t, c, tokenTable)
	// Up to 384 MiB each.
	const much = "SELECT length(groupArray(number)) AS wants_much FROM numbers(15000000) WHERE NOT ignore(sipHash64(number))"
	var readers, writer sync.WaitGroup
	var done atomic.Bool
	for range 5 {
		readers.Go(func() {
			if status, answer := post(t, e, "reader", "", much); status != 200 || answer != "15000000" {
				t.Errorf("a reader: %d %s", status, answer)
			}
		})
	}
	batches := uint64(0)
	writer.Go(func() {
		for ; !done.Load(); batches++ {
			if err := send(t.Context(), c, "tokens", fmt.Sprint("batch-", batches), batches, 50_000); err != nil {
				t.Errorf("an insert: %v", err)
			}
		}
	})
	most := int64(0)
	go func() {
		readers.Wait()
		done.Store(true)
	}()
	for !done.Load() {
		most = max(most, value[int64](t, c, "SELECT sum(memory_usage) FROM system.processes WHERE position(query, 'wants_' || 'much') > 0"))
		time.Sleep(time.Millisecond)
	}
	writer.Wait()
	if most < 100<<20 || most > conf.Memory*3/4 {
		t.Errorf("readers used %d MiB at most", most>>20)
	}
	t.Logf("%d MiB at most, %d batches", most>>20, batches)
	if status, answer := post(t, e, "reader", "", "SELECT length(groupArray(number)) FROM numbers(200000000)"); status == 200 {
		t.Errorf("more than half of all: %s", answer)
	}
}

// A statement gets the threads that there are, although the engine has less memory than ClickHouse wants to see free for two.
func TestAStatementGetsItsThreads(t *testing.T) {
	if runtime.NumCPU() < 2 { // nothing to see: also what is right gives one
		t.Skip("one processor: there is one thread")
	}
	c := connect(t, clickhousetest.Start(t).URL())
	if plan := value[string](t, c, "SELECT arrayStringConcat(groupArray(explain), '\n') FROM (EXPLAIN PIPELINE SELECT number % 10, count() FROM numbers_mt(100000000) GROUP BY 1)"); !strings.Contains(plan, "AggregatingTransform ×") {
		t.Errorf("one thread:\n%s", plan)
	}
}

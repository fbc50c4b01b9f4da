package clickhouse_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/shopspring/decimal"

	"oms/internal/clickhouse"
	"oms/internal/clickhouse/clickhousetest"
)

const benchTable = `CREATE TABLE facts (event UInt64, id String, type LowCardinality(String), sku LowCardinality(String), qty Int32, amount Decimal(18, 4), at DateTime64(3), tags Array(LowCardinality(String)))
	ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(at) ORDER BY (type, id, event) SETTINGS non_replicated_deduplication_window = 1000`

func insertFacts(b *testing.B, c clickhouse.Conn, token string, from, rows int) (send time.Duration) {
	b.Helper()
	settings := driver.WithSettings(driver.Settings{"insert_deduplication_token": token})
	batch, err := c.PrepareBatch(driver.Context(b.Context(), settings), "INSERT INTO facts")
	if err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC)
	for i := from; i < from+rows; i++ {
		if err := batch.Append(uint64(i), fmt.Sprintf("ord-%08d", i/7), [...]string{"created", "paid", "packed", "shipped"}[i%4], fmt.Sprint("sku-", i%500), int32(i%9), decimal.New(int64(i%100_000), -2), at.Add(time.Duration(i)*time.Millisecond), []string{"web"}); err != nil {
			b.Fatal(err)
		}
	}
	began := time.Now()
	if err := batch.Send(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// BenchmarkInsert inserts batches of eight columns, each under a token: rows a second from values to acknowledged, and in the send alone.
func BenchmarkInsert(b *testing.B) {
	for _, rows := range []int{100, 100_000} {
		b.Run(fmt.Sprint(rows, " rows"), func(b *testing.B) {
			e := clickhousetest.Start(b)
			c := connect(b, e.URL())
			execute(b, c, benchTable)
			insertFacts(b, c, "warm", 0, rows)
			var sends time.Duration
			n := 0
			for b.Loop() {
				n++
				sends += insertFacts(b, c, fmt.Sprint("t", n), n*rows, rows)
			}
			b.ReportMetric(float64(n*rows)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(n*rows)/sends.Seconds(), "sent_rows/s")
			b.ReportMetric(resident(b, e), "MB")
		})
	}
}

// BenchmarkSelect asks for one value.
func BenchmarkSelect(b *testing.B) {
	c := connect(b, clickhousetest.Start(b).URL())
	for b.Loop() {
		value[uint8](b, c, "SELECT 1")
	}
}

// BenchmarkStart starts and stops an engine with nothing in it; memory is at rest.
func BenchmarkStart(b *testing.B) {
	clickhousetest.Library(b)
	var start time.Duration
	var memory float64
	n := 0
	for b.Loop() {
		n++
		began := time.Now()
		e, err := clickhouse.Start(b.Context(), clickhousetest.Config(b, b.TempDir()))
		if err != nil {
			b.Fatal(err)
		}
		start += time.Since(began)
		memory = max(memory, resident(b, e))
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(start.Milliseconds())/float64(n), "ms/start")
	b.ReportMetric(memory, "MB")
}

// resident is the memory of the engine's process in megabytes, the pages of its library among it.
func resident(b *testing.B, e *clickhouse.Engine) (mb float64) {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.PID()))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		b.Fatal(err)
	}
	return kb / 1000
}

package kafka_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"oms/internal/kafka"
	"oms/internal/kafka/kafkatest"
)

const table = "rows-table"

// grow writes 200 rows twelve times, 10 MiB a partition, and then half of them in a transaction that is aborted: what the
// broker's own cleaner would lose. It answers the table as it must stay.
func grow(t *testing.T, dir string) map[string]string {
	t.Helper()
	ctx := context.Background()
	e := kafkatest.EmbeddedAt(t, dir)
	defer e.Close()
	ensure(t, e.Settings(), kafka.Topic{Name: table, Partitions: 2, Compact: true})
	cl, err := kgo.NewClient(e.Settings().Options(kgo.TransactionalID("rows"), kgo.DefaultProduceTopic(table),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(64<<10))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	random := make([]byte, 8<<10)
	rand.Read(random)
	rows := map[string]string{}
	for round := range 13 {
		commit := round < 12
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			key, value := fmt.Sprintf("row-%d", i), fmt.Sprintf("%d-%s", round, random)
			if commit {
				rows[key] = value
			} else if i%2 == 0 {
				continue
			}
			cl.Produce(ctx, kgo.KeySliceRecord([]byte(key), []byte(value)), nil)
		}
		if err := cl.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

// fold reads the table as a group would, and counts its records.
func fold(t *testing.T, s kafka.Settings) (rows map[string]string, records int) {
	t.Helper()
	r, err := s.NewReader(context.Background(), kafka.From{}, table)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rows = map[string]string{}
	if err := r.ToEnd(context.Background(), func(rec *kgo.Record) error {
		rows[string(rec.Key)] = string(rec.Value)
		records++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows, records
}

func diskOf(t *testing.T, dir string) (n int64) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCompactionAtTheStartKeepsTheLastValueOfEachRowAndGivesSpaceBack(t *testing.T) {
	dir := t.TempDir()
	want := grow(t, dir)
	was := diskOf(t, dir)
	e := kafkatest.EmbeddedAt(t, dir, table, "a-table-that-is-not-there-yet")
	got, records := fold(t, e.Settings())
	if !maps.Equal(got, want) || records != len(want) {
		t.Errorf("%d rows in %d records, not %d rows as they were", len(got), records, len(want))
	}
	if is := diskOf(t, dir); is > was/2 {
		t.Errorf("%d bytes on disk, %d before", is, was)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	e, err := kafka.StartEmbedded(context.Background(), kafka.EmbeddedConfig{Dir: dir, Tables: []string{table}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if strings.Contains(log.String(), "compacted") {
		t.Error("a table that has not grown is compacted again:", log.String())
	}
}

func TestAKillDuringCompactionLosesNoRow(t *testing.T) {
	if testing.Short() {
		t.Skip("kills take their time")
	}
	full := t.TempDir()
	want := grow(t, full)
	cut := 0
	for range 4 { // each directory is killed four times, and then left in peace
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(full)); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			if !killCompaction(t, dir) {
				cut++
			}
		}
		e := kafkatest.EmbeddedAt(t, dir, table)
		if got, records := fold(t, e.Settings()); !maps.Equal(got, want) {
			t.Errorf("%d rows in %d records, not the %d as they were", len(got), records, len(want))
		}
		e.Close()
	}
	if cut == 0 {
		t.Error("no kill came before the compaction was over")
	}
	t.Logf("%d of 16 kills came before the start was over", cut)
}

// killCompaction starts a child on dir and kills it while it opens the directory; it answers whether the child came through.
func killCompaction(t *testing.T, dir string) (through bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := exec.Command(self)
	p.Env = append(os.Environ(), childDir+"="+dir, "OMS_KAFKA_CHILD_TABLE="+table)
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch lines.Text() {
		case "opening":
			time.AfterFunc(time.Duration(mathrand.IntN(200_000))*time.Microsecond, func() { p.Process.Kill() })
		case "open":
			through = true
		}
	}
	if err := p.Wait(); !strings.Contains(fmt.Sprint(err), "killed") {
		t.Fatal("the child ended by itself: ", err)
	}
	return through
}

// compactingChild opens the directory, compacts its table, and waits for the kill.
func compactingChild(dir, table string) error {
	fmt.Println("opening")
	e, err := kafka.StartEmbedded(context.Background(), kafka.EmbeddedConfig{Dir: dir, Tables: []string{table}})
	if err != nil {
		return err
	}
	defer e.Close()
	fmt.Println("open")
	for {
		time.Sleep(time.Hour)
	}
}

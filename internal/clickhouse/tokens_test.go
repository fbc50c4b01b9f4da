package clickhouse_test

import (
	"os"
	"path/filepath"
	"testing"

	"oms/internal/clickhouse/clickhousetest"
)

// A kill after an insert's token was noted and before its part has its name leaves the note alone. The insert that is repeated has to be done; one that was
// done, also when its part was merged since, must not be.
func TestATokenWithoutItsRowsIsForgotten(t *testing.T) {
	dir := t.TempDir()
	e := clickhousetest.StartAt(t, dir)
	c := connect(t, e.URL())
	execute(t, c, tokenTable)
	for batch, token := range []string{"first", "second", "third"} {
		if err := send(t.Context(), c, "tokens", token, uint64(batch), 10); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	parts, err := filepath.Glob(filepath.Join(dir, "data", "store", "*", "*", "all_3_3_0"))
	if err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	if err := os.RemoveAll(parts[0]); err != nil { // as the engine does at its start with a part that has no name yet
		t.Fatal(err)
	}
	e = clickhousetest.StartAt(t, dir)
	c = connect(t, e.URL())
	again := func() {
		t.Helper()
		for batch, token := range []string{"first", "second", "third"} {
			if err := send(t.Context(), c, "tokens", token, uint64(batch), 10); err != nil {
				t.Fatal(err)
			}
		}
		if n, batches := value[uint64](t, c, "SELECT count() FROM tokens"), value[uint64](t, c, "SELECT uniqExact(batch) FROM tokens"); n != 30 || batches != 3 {
			t.Errorf("%d rows of %d batches, want 30 of 3", n, batches)
		}
	}
	again()
	execute(t, c, "OPTIMIZE TABLE tokens FINAL")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = clickhousetest.StartAt(t, dir)
	c = connect(t, e.URL())
	again()
}

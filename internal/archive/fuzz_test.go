package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"oms/internal/kafka"
)

// Whatever is in a file whose sum fits: it is read to its last offset, or refused.
func FuzzFile(f *testing.F) {
	first := file{partition: partition{"inbox", 1}, first: 3}
	path := filepath.Join(f.TempDir(), "file")
	w, err := create(path, "cluster", first)
	if err != nil {
		f.Fatal(err)
	}
	for n := range int64(5) {
		if err := w.add(&kafka.Record{Offset: 3 + 2*n, Timestamp: time.UnixMilli(n), Value: []byte("value"), Headers: []kafka.Header{{Key: "name"}}}); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.close(); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		dir, sum := t.TempDir(), sha256.Sum256(b)
		own := file{partition: first.partition, first: 3, last: 11, sum: hex.EncodeToString(sum[:])}
		name := filepath.Join(dir, filepath.FromSlash(own.name()))
		must(t, os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, b, 0o600))
		r, err := own.open(dir, "cluster")
		if err != nil {
			return
		}
		for last := int64(2); ; {
			rec, err := r.read()
			if errors.Is(err, io.EOF) && last != 11 {
				t.Errorf("it ends at %d", last)
			}
			if err != nil {
				break
			}
			if rec.Offset <= last || rec.Offset > 11 {
				t.Fatalf("offset %d follows %d", rec.Offset, last)
			}
			last = rec.Offset
		}
		must(t, r.close())
	})
}

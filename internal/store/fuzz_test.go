package store

import (
	"os"
	"path/filepath"
	"testing"
)

// Whatever becomes of the bytes of a file of the state, what is read is of one moment, or it is set aside.
func FuzzADamagedStateIsNeverBelieved(f *testing.F) {
	whole := wholeState(f)
	files := filesOf(f, filepath.Join(whole, dataName))
	for i := range files {
		f.Add(byte(i), uint32(0), uint32(0), []byte{})                  // cut to nothing
		f.Add(byte(i), uint32(17), uint32(1<<31), []byte{0xff, 0, 0})   // a few bytes over others
		f.Add(byte(i), uint32(1<<30), uint32(1<<31), []byte("garbage")) // more at the end
	}
	f.Fuzz(func(t *testing.T, which byte, at, length uint32, over []byte) {
		dir := copyOf(t, whole)
		rel, err := filepath.Rel(whole, files[int(which)%len(files)])
		must(t, err)
		path := filepath.Join(dir, rel)
		b, err := os.ReadFile(path)
		must(t, err)
		from := min(int(at), len(b))
		b = append(b[:from], append(over, b[min(from+len(over), len(b)):]...)...)
		must(t, os.Remove(path), os.WriteFile(path, b[:min(int(length), len(b))], 0o640)) // the copy may share its file with the whole
		wantNeverBelieved(t, dir)
	})
}

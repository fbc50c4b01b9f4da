// Package backup copies the data directory of a shop while it runs, as a kill at that moment would have left it, and puts a copy back.
//
// What a kill leaves, a start makes whole: that is the one property on which a copy stands, and it is shown by the tests that kill. What can be read again from the log (state,
// views, ClickHouse) is left out.
package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The parts of a data directory that are kept. The log and the provider's ledger are cut at one moment. Keys are read after it: one that an order of the log is sealed under was
// there before the order, and what was erased since must not come back.
var cutParts = []string{"kafka", "sandbox"}

// keysPart is where the keys are put back, wherever they were.
const keysPart = "keys"

// lockFile is in the directory of the broker, which holds it locked and has written its process id into it.
const lockFile = "kafka/lock"

const manifestFile = "backup.json"

// Manifest says what a backup holds.
type Manifest struct {
	Version int           `json:"version"` // of the format
	Commit  string        `json:"commit"`  // of the binary that made it
	At      time.Time     `json:"at"`      // the moment of the cut
	Paused  time.Duration `json:"paused_ns"`
	Bytes   int64         `json:"bytes"`
	Files   []File        `json:"files"`
}

// File of a backup.
type File struct {
	Path   string `json:"path"` // from the data directory
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`

	whole []byte // read already
	open  *os.File
}

const version = 1

// Config of a backup.
type Config struct {
	Data     string    // directory of the shop
	Keys     string    // directory of its keys
	Commit   string    // for the manifest
	Progress io.Writer // a line a second at most; nil: none
}

// Take copies the data into a directory that does not exist yet, or is empty. The shop is paused for the moment of the cut, some milliseconds, and goes on whatever becomes of this
// process. An unfinished backup has no manifest.
func Take(ctx context.Context, c Config, into string) (m Manifest, err error) {
	if err := vacant(into); err != nil {
		return m, err
	}
	p, err := hold(filepath.Join(c.Data, lockFile))
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, p.release()) }()
	m = Manifest{Version: version, Commit: c.Commit, At: time.Now().UTC()}
	defer func() { err = errors.Join(err, m.close()) }()
	for _, part := range cutParts {
		if err := m.cut(c.Data, part, ""); err != nil {
			return m, err
		}
	}
	if m.Paused, err = p.resume(); err != nil {
		return m, err
	}
	if err := m.cut(c.Keys, ".", keysPart); err != nil {
		return m, err
	}
	show := progress(c.Progress, &m)
	for i := range m.Files {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		if err := m.Files[i].copyTo(into); err != nil {
			return m, err
		}
		show(m.Files[i].Size)
	}
	raw, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return m, err
	}
	return m, put(filepath.Join(into, manifestFile), strings.NewReader(string(raw)))
}

// vacant demands a directory that nothing is lost in.
func vacant(dir string) error {
	found, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, 0o700)
	}
	if err == nil && len(found) > 0 {
		return fmt.Errorf("%s: want a directory that is empty or not there yet", dir)
	}
	return err
}

// small files are read at once, since they may be written in place; larger ones only grow, so that what is there now can be read later.
const small = 64 << 10

// cut opens every file of a part of the directory and notes how long it is. In the backup it is below a name, if there is one.
func (m *Manifest) cut(dir, part, below string) error {
	return filepath.WalkDir(filepath.Join(dir, part), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // a part that this shop does not have, or a temporary file that has just got its name
			return nil
		}
		rel, relErr := filepath.Rel(dir, path)
		if err != nil || d.IsDir() || relErr != nil {
			return errors.Join(err, relErr)
		}
		if strings.HasPrefix(filepath.ToSlash(rel), lockFile) || strings.HasSuffix(rel, ".tmp") {
			return nil
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		m.Files = append(m.Files, File{Path: filepath.ToSlash(filepath.Join(below, rel)), open: f})
		return m.Files[len(m.Files)-1].measure()
	})
}

func (f *File) measure() error {
	info, err := f.open.Stat()
	if err != nil {
		return err
	}
	if f.Size = info.Size(); f.Size > small {
		return nil
	}
	f.whole, err = io.ReadAll(f.open)
	f.Size = int64(len(f.whole))
	err = errors.Join(err, f.open.Close())
	f.open = nil
	return err
}

func (m *Manifest) close() (err error) {
	for i := range m.Files {
		if f := m.Files[i].open; f != nil {
			err = errors.Join(err, f.Close())
			m.Files[i].open = nil
		}
	}
	return err
}

func (f *File) copyTo(into string) error {
	sum := sha256.New()
	var from io.Reader = strings.NewReader(string(f.whole))
	if f.open != nil {
		from = io.NewSectionReader(f.open, 0, f.Size)
	}
	if err := put(filepath.Join(into, filepath.FromSlash(f.Path)), io.TeeReader(from, sum)); err != nil {
		return err
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return f.check(into)
}

// check demands the length of a copied file: what grew only may have been cut short meanwhile, as by a disk that is full.
func (f *File) check(in string) error {
	info, err := os.Stat(filepath.Join(in, filepath.FromSlash(f.Path)))
	if err == nil && info.Size() != f.Size {
		err = fmt.Errorf("%s has %d bytes, and had %d at the cut: try again", f.Path, info.Size(), f.Size)
	}
	return err
}

// put writes a file, with its directory, and waits until the disk has it.
func put(path string, from io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Sync(), f.Close())
}

func progress(to io.Writer, m *Manifest) func(int64) {
	var all int64
	for _, f := range m.Files {
		all += f.Size
	}
	m.Bytes = all
	said, done := time.Now(), int64(0)
	return func(n int64) {
		if done += n; to != nil && time.Since(said) > time.Second {
			said = time.Now()
			fmt.Fprintf(to, "%d of %d MiB\n", done>>20, all>>20)
		}
	}
}

// Restore checks every file of a backup and puts them into a directory that does not exist yet, or is empty. When it fails the directory is as before, but for one named beside it
// that ends in .restoring.
func Restore(ctx context.Context, from, data string, to io.Writer) (m Manifest, err error) {
	raw, err := os.ReadFile(filepath.Join(from, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%s is no backup, or one that was not finished: it has no %s", from, manifestFile)
	} else if err != nil {
		return m, err
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fmt.Errorf("%s: %w", filepath.Join(from, manifestFile), err)
	}
	if m.Version != version {
		return m, fmt.Errorf("%s has format %d, this build reads %d", from, m.Version, version)
	}
	if err := vacant(data); err != nil {
		return m, err
	}
	part := data + ".restoring"
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(part, 0o700)); err != nil {
		return m, err
	}
	show := progress(to, &m)
	for _, f := range m.Files {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		if !filepath.IsLocal(f.Path) {
			return m, fmt.Errorf("%s names a file outside: %q", from, f.Path)
		}
		if err := f.restore(from, part); err != nil {
			return m, err
		}
		show(f.Size)
	}
	if err := os.Remove(data); err != nil { // it is empty: vacant has looked
		return m, err
	}
	return m, os.Rename(part, data)
}

func (f *File) restore(from, into string) error {
	path := filepath.Join(from, filepath.FromSlash(f.Path))
	r, err := os.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	if err := put(filepath.Join(into, filepath.FromSlash(f.Path)), io.TeeReader(r, sum)); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
		return fmt.Errorf("%s is damaged: its SHA-256 is %s, and was %s", path, got, f.SHA256)
	}
	return nil
}

package chaos

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// disk is a file system in memory for the data of one member, of which the size can be changed.
type disk struct{ dir string }

// mountDisk needs root.
func mountDisk(dir string) (*disk, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	if err := syscall.Mount("oms-chaos", dir, "tmpfs", 0, "size=50%"); err != nil {
		return nil, fmt.Errorf("mounting a disk that can be filled: %w", err)
	}
	return &disk{dir}, nil
}

// fill makes the disk as small as what is on it.
func (d *disk) fill() error {
	for slack := uint64(0); ; slack += 64 << 10 { // what is written between the two calls makes the second one fail
		var s syscall.Statfs_t
		if err := syscall.Statfs(d.dir, &s); err != nil {
			return err
		}
		used := (s.Blocks-s.Bfree)*uint64(s.Bsize) + slack
		err := syscall.Mount("oms-chaos", d.dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", used))
		if err == nil || slack > 16<<20 {
			return err
		}
	}
}

// empty gives the room back.
func (d *disk) empty() error {
	return syscall.Mount("oms-chaos", d.dir, "tmpfs", syscall.MS_REMOUNT, "size=50%")
}

func (d *disk) close() error { return syscall.Unmount(d.dir, syscall.MNT_DETACH) }

// flip changes one bit in some of the files of rows under dir, and answers how many.
func flip(dir string, dice *rand.Rand) (flipped int, err error) {
	var files []string
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".sst" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	slices.Sort(files)
	for _, path := range files {
		if len(files) > 1 && dice.IntN(2) == 0 && flipped > 0 {
			continue
		}
		if err := flipIn(path, dice); err != nil {
			return flipped, err
		}
		flipped++
	}
	return flipped, nil
}

func flipIn(path string, dice *rand.Rand) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	at, one := dice.Int64N(info.Size()), make([]byte, 1)
	if _, err := f.ReadAt(one, at); err != nil {
		return err
	}
	one[0] ^= 1 << dice.IntN(8)
	_, err = f.WriteAt(one, at)
	return err
}

// diskFull lets nothing more fit until the process has ended by itself or the time is over.
func (s *shop) diskFull(m *member, f Fault) error {
	if err := m.disk.fill(); err != nil {
		return err
	}
	if p := m.current(); p != nil {
		select {
		case <-p.done:
		case <-time.After(f.For):
		}
	}
	return m.disk.empty()
}

// copyState keeps the rows of every member as they are, to be put back later.
func (s *shop) copyState() error {
	for _, m := range s.members {
		if err := s.again(m, func() error {
			var failed error
			for _, part := range parts(m) {
				failed = errors.Join(failed, os.CopyFS(s.old(m, part), os.DirFS(filepath.Join(m.data, part))))
			}
			return failed
		}); err != nil {
			return err
		}
	}
	return nil
}

// parts of a member's data that can be built again from the log.
func parts(m *member) (all []string) {
	for _, part := range []string{"state", "views"} {
		if _, err := os.Stat(filepath.Join(m.data, part)); err == nil {
			all = append(all, part)
		}
	}
	return all
}

func (s *shop) old(m *member, part string) string { return filepath.Join(s.dir, "old", m.name, part) }

// spoil does to the rows of a member, which is down, what the fault says.
func (s *shop) spoil(m *member, f Fault) error {
	dir := filepath.Join(m.data, f.Part)
	switch f.Kind {
	case StateLost:
		return os.RemoveAll(dir)
	case StateOld:
		return errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(s.old(m, f.Part))))
	}
	n, err := flip(dir, rand.New(rand.NewPCG(f.Dice, 0)))
	if err == nil && n == 0 {
		err = skip("no file of rows is on the disk yet")
	}
	return err
}

// skip is a fault that could not be done, and why.
type skip string

func (s skip) Error() string { return string(s) }

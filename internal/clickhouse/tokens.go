package clickhouse

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// forgetTokens mends what a kill in the middle of an insert leaves. The engine notes the token of an insert before its part gets its name, so a process that
// is killed between the two has the token and no rows: the insert that is repeated is taken for one that was done, and is lost. Such a note is the last one
// of its table. Nobody may have the directory open.
func forgetTokens(dataDir string) error {
	logs, err := filepath.Glob(filepath.Join(dataDir, "store", "*", "*", "deduplication_logs"))
	if err != nil {
		return err
	}
	for _, dir := range logs {
		if err := forgetLast(dir); err != nil {
			return fmt.Errorf("tokens of inserts: %w", err)
		}
	}
	return nil
}

// forgetLast takes away the last notes of a table's log when their part is not there. A note is a line: 1 (2 for a part that was dropped), part, token.
func forgetLast(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "deduplication_log_*.txt"))
	if err != nil {
		return err
	}
	slices.SortFunc(files, func(a, b string) int { return number(a) - number(b) })
	for _, file := range slices.Backward(files) {
		log, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if len(log) == 0 {
			continue // the one before was full, and this one was begun
		}
		keep := bytes.LastIndexByte(log, '\n') + 1 // a line without an end was being written
		lines := slices.Collect(strings.Lines(string(log[:keep])))
		if len(lines) > 0 {
			if op, rest, _ := strings.Cut(lines[len(lines)-1], "\t"); op == "1" {
				part, _, _ := strings.Cut(rest, "\t")
				there, err := hasPart(filepath.Dir(dir), part)
				if err != nil {
					return err
				}
				for ; !there && len(lines) > 0 && strings.HasPrefix(lines[len(lines)-1], "1\t"+part+"\t"); lines = lines[:len(lines)-1] {
					keep -= len(lines[len(lines)-1])
				}
			}
		}
		if keep < len(log) {
			return os.Truncate(file, int64(keep))
		}
		return nil
	}
	return nil
}

// number is that of a log, deduplication_log_N.txt.
func number(file string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(file[strings.LastIndexByte(file, '_')+1:], ".txt")) // another name sorts first
	return n
}

// hasPart tells whether a table has the part, or one into which it was merged.
func hasPart(table, name string) (bool, error) {
	partition, from, to, ok := blocks(name)
	if !ok {
		return true, nil // it is left alone
	}
	entries, err := os.ReadDir(table)
	for _, e := range entries {
		if p, first, last, ok := blocks(e.Name()); ok && p == partition && first <= from && to <= last {
			return true, err
		}
	}
	return false, err
}

// blocks takes the name of a part apart: PARTITION_FIRST_LAST_LEVEL, with _MUTATION behind it for one that was changed.
func blocks(part string) (partition string, first, last int, ok bool) {
	f := strings.Split(part, "_")
	if len(f) != 4 && len(f) != 5 {
		return "", 0, 0, false
	}
	var n [4]int
	for i, s := range f[1:] {
		var err error
		if n[i], err = strconv.Atoi(s); err != nil {
			return "", 0, 0, false
		}
	}
	return f[0], n[0], n[1], true
}

package clickhouse

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

//go:embed library.txt
var libraryPin string

// libraryFile is the name of the engine's shared library, wherever it stands.
const libraryFile = "libchdb.so"

// pin is a value of library.txt.
func pin(key string) string {
	for line := range strings.Lines(libraryPin) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && k == key {
			return v
		}
	}
	return ""
}

// LibraryVersion is the version of the engine's package that this binary was built and tested with.
func LibraryVersion() string { return pin("version") }

// FindLibrary says where the engine's shared library is: at explicit, when that is not empty; else beside the executable; else in the cache folder
// that make clickhouse fills, cacheDir/oms-clickhouse/<version>. The error is one line that names the places and what mends it.
func FindLibrary(explicit, cacheDir string) (string, error) {
	if runtime.GOOS+"/"+runtime.GOARCH != pin("platform") {
		return "", fmt.Errorf("no ClickHouse: there is no %s for %s/%s, only for %s; set clickhouse.url", libraryFile, runtime.GOOS, runtime.GOARCH, pin("platform"))
	}
	var places []string
	if explicit != "" {
		places = []string{explicit}
	} else {
		if self, err := os.Executable(); err == nil {
			places = append(places, filepath.Join(filepath.Dir(self), libraryFile))
		}
		if cacheDir != "" {
			places = append(places, filepath.Join(cacheDir, "oms-clickhouse", LibraryVersion(), libraryFile))
		}
	}
	for _, place := range places {
		if info, err := os.Stat(place); err == nil && info.Mode().IsRegular() {
			return filepath.Abs(place)
		}
	}
	return "", fmt.Errorf("no ClickHouse: %s (%s) not found in %s; run `make clickhouse` (%s) or set clickhouse.url", libraryFile, LibraryVersion(), strings.Join(places, ", "), pin("size"))
}

//go:build !linux || !amd64

package chdb

import (
	"fmt"
	"runtime"
)

func load(string) error {
	return fmt.Errorf("there is no embedded ClickHouse for %s/%s", runtime.GOOS, runtime.GOARCH)
}

func keepSignals(f func()) { f() }

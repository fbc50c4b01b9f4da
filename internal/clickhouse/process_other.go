//go:build !linux

package clickhouse

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }

//go:build !linux

package clickhouse

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }

func giveWay() error { return nil }

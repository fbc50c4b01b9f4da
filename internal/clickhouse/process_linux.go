package clickhouse

import "syscall"

// dieWithParent asks the kernel to end the child when its parent is killed; the end of its input tells it too, when it still listens.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }

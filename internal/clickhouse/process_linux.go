package clickhouse

import (
	"os"
	"strconv"
	"syscall"
)

// tied asks the kernel to end the child when its parent is killed; the end of its input tells it too, when it still listens. A terminal's Ctrl-C is not for the child, which
// is in a process group of its own for that: the parent ends it, after what still needs it.
func tied() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}

// niceness of the engine: where processors are short, orders go first, and merges and reports wait.
const niceness = 10

// giveWay lowers the priority of the process. On Linux it belongs to a thread, and a new thread takes that of the one that started it: so all that are there, and once more
// for those that were being started.
func giveWay() error {
	for range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, niceness); err != nil && err != syscall.ESRCH {
				return err
			}
		}
	}
	return nil
}

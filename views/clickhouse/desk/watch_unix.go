//go:build unix

package desk

import "syscall"

// hungUp looks at a socket without taking anything from it: the end of the stream, or an error, is a client that has gone.
func hungUp(raw syscall.RawConn) (gone bool) {
	var b [1]byte
	err := raw.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = err == nil && n == 0 || err != nil && err != syscall.EAGAIN && err != syscall.EWOULDBLOCK && err != syscall.EINTR
	})
	return gone || err != nil
}

package clickhousetest

import (
	"os"
	"os/signal"
	"syscall"
)

// onTerm calls stop when the parent tells the child to end.
func onTerm(stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	go func() {
		<-c
		stop()
	}()
}

package chdb

import (
	"fmt"
	"sync"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

var loading struct {
	sync.Once
	err       error
	sigaction func(signal int32, act, old unsafe.Pointer) int32
}

// load opens the library, once in the life of a process, and finds its functions.
func load(path string) error {
	loading.Do(func() { loading.err = bind(path) })
	return loading.err
}

func bind(path string) (err error) {
	libc, err := purego.Dlopen("libc.so.6", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return err
	}
	lib, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return err
	}
	defer func() { // purego panics on a name that is not there
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: %v", path, r)
		}
	}()
	purego.RegisterLibFunc(&loading.sigaction, libc, "sigaction")
	for name, f := range map[string]any{
		"connect":                     &api.connect,
		"close_conn":                  &api.closeConn,
		"query_with_params_n":         &api.query,
		"stream_query_with_params_n":  &api.streamQuery,
		"stream_insert_with_params_n": &api.streamInsert,
		"stream_fetch_result":         &api.fetch,
		"stream_cancel_query":         &api.cancelQuery,
		"stream_append":               &api.append,
		"stream_done":                 &api.done,
		"stream_cancel_insert":        &api.cancelInsert,
		"stream_insert_error":         &api.insertError,
		"destroy_insert_stream":       &api.freeInsert,
		"destroy_query_result":        &api.freeResult,
		"result_buffer":               &api.buffer,
		"result_length":               &api.length,
		"result_error":                &api.resultError,
		"result_storage_rows_read":    &api.rowsRead,
		"result_storage_bytes_read":   &api.bytesRead,
		"result_rows_written":         &api.rowsWritten,
		"set_signal_handlers_enabled": &api.setSignals,
	} {
		purego.RegisterLibFunc(f, lib, "chdb_"+name)
	}
	keepSignals(func() { api.setSignals(0) })
	return nil
}

// guarded are the signals that the library sets to their default action at every connection, even when it is told to leave them alone. The runtime
// needs them: without its handler for SIGSEGV a nil pointer is the end of the process, without that for SIGURG goroutines are not preempted.
var guarded = []syscall.Signal{
	syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGILL, syscall.SIGBUS, syscall.SIGSYS, syscall.SIGFPE, syscall.SIGTSTP, syscall.SIGTRAP, syscall.SIGURG, syscall.SIGPIPE,
}

var signalsMu sync.Mutex

// keepSignals calls f and puts the signal handlers back that were there before.
func keepSignals(f func()) {
	signalsMu.Lock()
	defer signalsMu.Unlock()
	saved := make([][256]byte, len(guarded)) // a struct sigaction of glibc has 152 bytes
	for i, s := range guarded {
		loading.sigaction(int32(s), nil, unsafe.Pointer(&saved[i]))
	}
	f()
	for i, s := range guarded {
		loading.sigaction(int32(s), unsafe.Pointer(&saved[i]), nil)
	}
}

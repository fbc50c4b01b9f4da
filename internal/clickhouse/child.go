package clickhouse

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"oms/internal/clickhouse/httpd"
)

const (
	fullUser   = httpd.Full
	readerUser = httpd.Reader
)

// ChildConfig are the child's ends of the pipes to its parent: its standard streams.
type ChildConfig struct {
	Stdin  io.Reader // the order, and then nothing until the parent has gone
	Stdout io.Writer // says once that it serves
	Stderr io.Writer // its log
}

// readyLine is what the child says when it serves.
const readyLine = "clickhouse engine ready"

// listenerFD is the inherited socket.
const listenerFD = 3

const (
	statementsMayTake = 4 * time.Second  // at a stop; then they are killed. Less than stopWithin
	predecessorMay    = 10 * time.Second // how long the child of a parent that was killed may take to end
)

// Serve is the child: the engine behind HTTP, until the context or the standard input ends. The process should end after it.
func Serve(ctx context.Context, c ChildConfig) error {
	log := slog.New(slog.NewJSONHandler(c.Stderr, nil))
	if err := giveWay(); err != nil {
		log.Warn("clickhouse: the engine keeps the priority of its parent", "error", err)
	}
	in := bufio.NewReader(c.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return errors.New("clickhouse: the engine's process is started by its parent, not by hand")
	}
	var o order
	if err := json.Unmarshal(line, &o); err != nil {
		return fmt.Errorf("clickhouse: order of the parent: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in) // ends with the parent
		cancel()
	}()
	inherited := os.NewFile(listenerFD, "listener")
	listener, err := net.FileListener(inherited)
	if err != nil {
		return fmt.Errorf("clickhouse: socket of the parent: %w", err)
	}
	_ = inherited.Close() // the listener has its own
	defer listener.Close()
	lock, err := waitForLock(ctx, filepath.Join(o.Dir, "engine.lock"), predecessorMay)
	if err != nil {
		return fmt.Errorf("clickhouse: another engine is on %s: %w", o.Dir, err)
	}
	defer lock.Close()

	began := time.Now()
	server, err := httpd.Open(httpd.Config{Library: o.Library, Dir: dataDir(o.Dir), ConfigFile: o.ConfigFile, Database: o.Database, Password: o.Password, Memory: o.Memory})
	if err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	front := &http.Server{Handler: server, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	failed := make(chan error, 1)
	go func() { failed <- front.Serve(listener) }()
	log.Info("clickhouse: the engine serves", "version", server.Version(), "took", time.Since(began).Round(time.Millisecond).String())
	if _, err := fmt.Fprintln(c.Stdout, readyLine); err != nil {
		return err
	}
	select {
	case err = <-failed:
	case <-server.Broken():
		return errors.New("clickhouse: a session of the engine mixes statements up")
	case <-ctx.Done():
	}
	server.Stop()
	limit, done := context.WithTimeout(context.Background(), statementsMayTake)
	defer done()
	closed := make(chan bool, 1)
	go func() { closed <- server.Close(limit) }() // kills what runs when the limit is reached, so that the shutdown ends
	_ = front.Shutdown(limit)                     // at the limit the process ends anyway
	if !<-closed {
		log.Warn("clickhouse: a statement did not end, the engine is left as it is")
	}
	return err
}

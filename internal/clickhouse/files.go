package clickhouse

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// In the directory of an engine: data (ClickHouse's own), engine.xml, endpoint.json, owner.lock (of the parent) and engine.lock (of the child).

func dataDir(dir string) string    { return filepath.Join(dir, "data") }
func configFile(dir string) string { return filepath.Join(dir, "engine.xml") }
func endpointFile(dir string) string {
	return filepath.Join(dir, "endpoint.json")
}

// engineConfig is the server configuration of ClickHouse for a small machine that has other work: few threads of its own, small caches, no logs in
// tables. With a pool of two for merges the thresholds that count its free places have to be low too, or tables are refused. What ClickHouse does by itself it does less
// often: each table's look for work doubles its wait (an insert wakes it), and old parts are removed every ten seconds; at rest it takes a third less so.
const engineConfig = `<clickhouse>
    <max_server_memory_usage>%d</max_server_memory_usage>
    <mark_cache_size>67108864</mark_cache_size>
    <index_mark_cache_size>16777216</index_mark_cache_size>
    <uncompressed_cache_size>0</uncompressed_cache_size>
    <query_condition_cache_size>16777216</query_condition_cache_size>
    <background_pool_size>2</background_pool_size>
    <background_merges_mutations_concurrency_ratio>2</background_merges_mutations_concurrency_ratio>
    <background_schedule_pool_size>4</background_schedule_pool_size>
    <background_common_pool_size>2</background_common_pool_size>
    <background_move_pool_size>1</background_move_pool_size>
    <background_fetches_pool_size>1</background_fetches_pool_size>
    <memory_worker_period_ms>1000</memory_worker_period_ms>
    <background_processing_pool_thread_sleep_seconds_if_nothing_to_do>2</background_processing_pool_thread_sleep_seconds_if_nothing_to_do>
    <background_processing_pool_task_sleep_seconds_when_no_work_multiplier>2</background_processing_pool_task_sleep_seconds_when_no_work_multiplier>
    <merge_tree>
        <merge_tree_clear_old_parts_interval_seconds>10</merge_tree_clear_old_parts_interval_seconds>
        <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
        <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
        <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
    </merge_tree>
</clickhouse>
`

func writeEngineConfig(c Config) error {
	if err := os.MkdirAll(dataDir(c.Dir), 0o700); err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	return writeFile(configFile(c.Dir), fmt.Appendf(nil, engineConfig, c.Memory))
}

// writeFile puts a file that only its owner may read in place of the one that is there, all at once.
func writeFile(path string, content []byte) error {
	part := path + ".part"
	if err := os.WriteFile(part, content, 0o600); err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	return nil
}

// Endpoint is how another process of the same user finds a running engine.
type Endpoint struct {
	URL      string `json:"url"` // http://127.0.0.1:PORT/DATABASE, without a user
	Password string `json:"password"`
	PID      int    `json:"pid"` // of the process that holds the engine, not of the engine
}

// FullURL is what Open takes: the user with all rights.
func (e Endpoint) FullURL() (string, error) {
	u, err := url.Parse(e.URL)
	if err != nil {
		return "", fmt.Errorf("clickhouse: endpoint: %w", err)
	}
	u.User = url.UserPassword(fullUser, e.Password)
	return u.String(), nil
}

// ReaderURL is what Open takes: the user that can only read.
func (e Endpoint) ReaderURL() string { return strings.Replace(e.URL, "://", "://"+readerUser+"@", 1) }

func writeEndpoint(dir string, e Endpoint) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return writeFile(endpointFile(dir), b)
}

func removeEndpoint(dir string) { _ = os.Remove(endpointFile(dir)) }

// ErrNoEngine says that no engine runs on a directory.
var ErrNoEngine = errors.New("no embedded ClickHouse runs there")

// ReadEndpoint finds the engine that another process runs on the directory; ErrNoEngine when there is none, also when one was killed and left its file.
func ReadEndpoint(dir string) (Endpoint, error) {
	var e Endpoint
	b, err := os.ReadFile(endpointFile(dir))
	if errors.Is(err, os.ErrNotExist) {
		return e, fmt.Errorf("clickhouse: %s: %w", dir, ErrNoEngine)
	}
	if err != nil {
		return e, fmt.Errorf("clickhouse: %w", err)
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("clickhouse: %s: %w", endpointFile(dir), err)
	}
	if err := syscall.Kill(e.PID, 0); errors.Is(err, syscall.ESRCH) {
		return Endpoint{}, fmt.Errorf("clickhouse: %s: %w", dir, ErrNoEngine)
	}
	return e, nil
}

func (e *Engine) url(user, password string) string {
	u := url.URL{Scheme: "http", Host: e.Addr(), Path: "/" + e.conf.Database}
	if password != "" {
		u.User = url.UserPassword(user, password)
	} else if user != "" {
		u.User = url.User(user)
	}
	return u.String()
}

func newPassword() string { return rand.Text() }

var errLocked = errors.New("locked")

// lockFile locks a file until it is closed, or the process ends; errLocked when another has it.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("clickhouse: %s: %w", path, err)
	}
	return f, nil
}

// waitForLock is lockFile, trying again for as long.
func waitForLock(ctx context.Context, path string, long time.Duration) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	for {
		f, err := lockFile(path)
		if !errors.Is(err, errLocked) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

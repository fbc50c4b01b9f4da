package peers

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed schema.sql
var schema string

// settings of a server that has the machine to itself, as a shop would tune it.
const settings = `
listen_addresses = '127.0.0.1'
unix_socket_directories = '%s'
port = %d
max_connections = 200
shared_buffers = 2GB
effective_cache_size = 8GB
max_wal_size = 8GB
checkpoint_timeout = 15min
wal_compression = lz4
wal_buffers = 64MB
random_page_cost = 1.1
`

// postgres is a server of its own, in a directory of its own.
type postgres struct {
	bin, dir string
	port     int
	as       *syscall.Credential // whom its programs run as; nil: us
	log      io.Writer
}

// startPostgres makes and starts a server. PostgreSQL refuses to serve root: then it is the user postgres's, whom Debian's package brings.
func startPostgres(ctx context.Context, dir string, log io.Writer) (*postgres, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		return nil, errors.New("no PostgreSQL: want Debian's package postgresql")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	pg := &postgres{bin: found[len(found)-1], dir: dir, port: l.Addr().(*net.TCPAddr).Port, log: log}
	if err := errors.Join(l.Close(), os.Mkdir(dir, 0o700)); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		pg.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	if _, err := pg.run(ctx, "initdb", "-D", data, "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-U", "oms"); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(f, settings, dir, pg.port)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	_, err = pg.run(ctx, "pg_ctl", "-D", data, "-l", filepath.Join(dir, "log"), "-w", "start")
	return pg, err
}

func (pg *postgres) stop() {
	_, _ = pg.run(context.Background(), "pg_ctl", "-D", filepath.Join(pg.dir, "data"), "-m", "immediate", "-w", "stop") // its data is thrown away
}

// run one of its programs and answer what it printed.
func (pg *postgres) run(ctx context.Context, program string, args ...string) (string, error) {
	var said, complained strings.Builder
	cmd := exec.CommandContext(ctx, filepath.Join(pg.bin, program), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = pg.dir, &said, &complained
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: pg.as}
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", program, err, complained.String())
	}
	return said.String(), nil
}

func (pg *postgres) address() []string {
	return []string{"-h", "127.0.0.1", "-p", strconv.Itoa(pg.port), "-U", "oms"}
}

func (pg *postgres) sql(ctx context.Context, database, text string) (string, error) {
	return pg.run(ctx, "psql", append(pg.address(), "-d", database, "-qAt", "-v", "ON_ERROR_STOP=1", "-c", text)...)
}

func (pg *postgres) version(ctx context.Context) (string, error) {
	v, err := pg.sql(ctx, "postgres", "SHOW server_version")
	return strings.TrimSpace(v), err
}

// fresh makes the shop anew. Unless fast, a commit waits for the disk.
func (pg *postgres) fresh(ctx context.Context, fast bool) error {
	for _, q := range []string{"DROP DATABASE IF EXISTS shop", "CREATE DATABASE shop"} {
		if _, err := pg.sql(ctx, "postgres", q); err != nil {
			return err
		}
	}
	commit := map[bool]string{true: "off", false: "on"}[fast]
	for _, q := range []string{schema, "ALTER DATABASE shop SET synchronous_commit = " + commit, "VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := pg.sql(ctx, "shop", q); err != nil {
			return err
		}
	}
	return nil
}

// script of pgbench that places an order of so many lines: the i-th from the i-th part of the catalogue, so that they are distinct and sorted.
func script(lines int, hot bool) string {
	var b strings.Builder
	b.WriteString("\\set k random(1, 9000000000000000000)\n\\set c random(1, 10000)\n")
	var products, quantities []string
	for i := range lines {
		from, to := 4000*i/lines+1, 4000*(i+1)/lines
		if hot {
			from, to = 1, 1
		}
		fmt.Fprintf(&b, "\\set p%d random(%d, %d)\n", i, from, to)
		products, quantities = append(products, fmt.Sprintf(":p%d", i)), append(quantities, "1")
	}
	fmt.Fprintf(&b, "SELECT place_order('k' || :k, :c::bigint, ARRAY[%s]::int[], ARRAY[%s]::int[]);\n", strings.Join(products, ","), strings.Join(quantities, ","))
	return b.String()
}

// The mixes: lines an order by how many of a thousand orders, as proof/workload has it. Products are equally likely here, which is a favour: popular ones would wait for each other.
var (
	mixed = map[int]int{1: 890, 2: 80, 3: 22, 4: 8}
	hot   = map[int]int{1: 1000}
)

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// bench places orders with pgbench.
func (pg *postgres) bench(c Config, id string, mix map[int]int, fast bool) func(context.Context) (map[string]float64, error) {
	return func(ctx context.Context) (map[string]float64, error) {
		if err := pg.fresh(ctx, fast); err != nil {
			return nil, err
		}
		args := append(pg.address(), "-n", "-M", "prepared", "-c", strconv.Itoa(clients), "-j", "1", "--random-seed", strconv.FormatUint(c.Seed, 10))
		for lines, share := range mix {
			file := filepath.Join(pg.dir, fmt.Sprintf("%s-%d.sql", id, lines))
			if err := os.WriteFile(file, []byte(script(lines, len(mix) == 1)), 0o644); err != nil {
				return nil, err
			}
			args = append(args, "-f", fmt.Sprintf("%s@%d", file, share))
		}
		var out string
		for _, d := range []time.Duration{c.Warm, c.Duration} {
			var err error
			if out, err = pg.run(ctx, "pgbench", append(slices.Clone(args), "-T", fmt.Sprint(max(1, int(d.Seconds()))), "shop")...); err != nil {
				return nil, err
			}
			args = slices.Replace(args, slices.Index(args, "--random-seed")+1, slices.Index(args, "--random-seed")+2, strconv.FormatUint(c.Seed+1, 10)) // other keys
		}
		m := tps.FindStringSubmatch(out)
		if m == nil {
			return nil, fmt.Errorf("pgbench said %q", out)
		}
		v, err := strconv.ParseFloat(m[1], 64)
		return map[string]float64{id: v}, err
	}
}

// draw the products of an order: numbers from 1, distinct and sorted.
func draw(dice *rand.Rand) (products []int) {
	lines, u := 1, dice.IntN(1000)
	for have := mixed[1]; u >= have; have += mixed[lines] {
		lines++
	}
	for i := range lines {
		from, to := 4000*i/lines, 4000*(i+1)/lines
		products = append(products, from+dice.IntN(to-from)+1)
	}
	return products
}

// place is what the HTTP service takes.
type place struct {
	Key        string  `json:"key"`
	Customer   int64   `json:"customer"`
	Products   []int32 `json:"products"`
	Quantities []int32 `json:"quantities"`
}

// behindHTTP serves the function over HTTP, in this process, and posts to it from as many clients as ours gets.
func (pg *postgres) behindHTTP(c Config) func(context.Context) (map[string]float64, error) {
	return func(ctx context.Context) (map[string]float64, error) {
		if err := pg.fresh(ctx, true); err != nil {
			return nil, err
		}
		db, err := pgxpool.New(ctx, fmt.Sprintf("postgres://oms@127.0.0.1:%d/shop?pool_max_conns=%d", pg.port, clients))
		if err != nil {
			return nil, err
		}
		defer db.Close()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var p place
			var id int64
			err := json.NewDecoder(r.Body).Decode(&p)
			if err == nil {
				err = db.QueryRow(r.Context(), "SELECT place_order($1, $2, $3, $4)", p.Key, p.Customer, p.Products, p.Quantities).Scan(&id)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"id":%d,"status":"CONFIRMED"}`, id)
		})}
		go func() { _ = server.Serve(l) }() // ends with Close
		defer server.Close()
		perSecond, err := post(ctx, c, "http://"+l.Addr().String())
		return map[string]float64{"pg-http": perSecond}, err
	}
}

// workers that post, each one request after the other: as many as the scenario of ours has.
const workers = 64

func post(ctx context.Context, c Config, url string) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	var placed, next atomic.Int64
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			dice := rand.New(rand.NewPCG(c.Seed, uint64(w)))
			for ctx.Err() == nil {
				if err := one(ctx, client, url, next.Add(1), dice); err != nil {
					if ctx.Err() == nil {
						cancel(err)
					}
					return
				}
				placed.Add(1)
			}
		})
	}
	rest(ctx, c.Warm)
	from, began := placed.Load(), time.Now()
	rest(ctx, c.Duration)
	perSecond := float64(placed.Load()-from) / time.Since(began).Seconds()
	err := context.Cause(ctx)
	cancel(nil)
	all.Wait()
	return perSecond, err
}

// rest lets the others work for a while, or until the context ends.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func one(ctx context.Context, client *http.Client, url string, n int64, dice *rand.Rand) error {
	p := place{Key: fmt.Sprintf("k%d", n), Customer: dice.Int64N(10_000)}
	for _, product := range draw(dice) {
		p.Products, p.Quantities = append(p.Products, int32(product)), append(p.Quantities, 1)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != http.StatusCreated {
		return fmt.Errorf("the service answered %d: %s", res.StatusCode, answer)
	}
	return nil
}

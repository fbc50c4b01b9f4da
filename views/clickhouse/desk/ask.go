package desk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"oms/internal/clickhouse"
	"oms/views/clickhouse/reports"
)

// Limits of one statement; of zero values the defaults hold.
type Limits struct {
	Time   time.Duration // from its start to its last row; 10 s
	Memory int64         // bytes that ClickHouse may use for it; 1 GiB
	Rows   int64         // rows of the answer; 1,000,000
}

func (l Limits) withDefaults() Limits {
	if l.Time <= 0 {
		l.Time = 10 * time.Second
	}
	if l.Memory <= 0 {
		l.Memory = 1 << 30
	}
	if l.Rows <= 0 {
		l.Rows = 1_000_000
	}
	return l
}

// settings make a statement one that reads, within its limits. readonly=2 is 1 that takes the settings beside it.
func (l Limits) settings() ch.Settings {
	return ch.Settings{
		"readonly":              2,
		"max_execution_time":    max(1, int(l.Time/time.Second)),
		"timeout_overflow_mode": "throw",
		"max_memory_usage":      l.Memory,
		"max_result_rows":       l.Rows,
		"result_overflow_mode":  "throw",
		"cancel_http_readonly_queries_on_client_close": 1,
	}
}

// What ends a statement that does not end by itself at its limits: one that may only read may be refused to set any.
var (
	errTooLong = errors.New("the statement took longer than it may")
	errTooMany = errors.New("the answer has more rows than it may")
)

// tail is the SETTINGS clause at the end of a report.
var tail = regexp.MustCompile(`(?s)\sSETTINGS\s+([a-z0-9_]+ = [a-z0-9_]+(?:,\s*[a-z0-9_]+ = [a-z0-9_]+)*)\s*$`)

// AskReport runs a report with what Bind has made of its parameters; see Ask.
//
// The settings of its statement, which only make it faster, are given beside it: a user that may only read may be refused a statement that sets any.
func AskReport(ctx context.Context, conn driver.Conn, r reports.Report, params map[string]string, limits Limits) (*Answer, error) {
	sql, extra := r.SQL, ch.Settings{}
	if m := tail.FindStringSubmatchIndex(sql); m != nil {
		for pair := range strings.SplitSeq(sql[m[2]:m[3]], ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), " = ")
			extra[name] = value
		}
		sql = sql[:m[0]]
	}
	return ask(ctx, conn, sql, params, limits, extra)
}

// Ask runs a statement that only reads, and answers its rows as they come. Parameters are bound to {name:Type} of the statement; ClickHouse takes their values apart, never
// their text. The statement ends with the context, at its limits, or by the answer's Close, which the caller owes. See Refusal for errors, also of Answer.Err.
func Ask(ctx context.Context, conn driver.Conn, sql string, params map[string]string, limits Limits) (*Answer, error) {
	return ask(ctx, conn, sql, params, limits, ch.Settings{})
}

func ask(ctx context.Context, conn driver.Conn, sql string, params map[string]string, limits Limits, settings ch.Settings) (*Answer, error) {
	limits = limits.withDefaults()
	// The driver makes a time limit of its own from a deadline, in place of ours; so the context has none, and a clock.
	bare, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	clock := time.AfterFunc(limits.Time+time.Second, func() { cancel(errTooLong) })
	end := func() {
		unhook()
		clock.Stop()
		cancel(context.Canceled)
	}
	maps.Copy(settings, limits.settings())
	bare = ch.Context(bare, ch.WithSettings(settings))
	var args []any
	for name, value := range params {
		args = append(args, ch.Named(name, value))
	}
	rows, err := conn.Query(bare, sql, args...)
	if err != nil {
		err = because(bare, err)
		end()
		return nil, err
	}
	bound := &boundRows{Rows: rows, ctx: bare, end: end, left: limits.Rows}
	if len(rows.ColumnTypes()) > 0 {
		return NewAnswer(bound), nil
	}
	// An answer without rows comes without columns over HTTP.
	defer bound.Close()
	columns, err := describe(bare, conn, sql, args)
	if err != nil {
		return nil, because(bare, err)
	}
	return NewAnswer(nil, columns...), nil
}

// describe asks what columns a statement has; none when it is no SELECT.
func describe(ctx context.Context, conn driver.Conn, sql string, args []any) ([]Column, error) {
	rows, err := conn.Query(ctx, "DESCRIBE TABLE (\n"+sql+"\n)", args...)
	if clickhouse.Code(err) == codeSyntax {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := NewAnswer(rows)
	defer a.Close()
	var columns []Column
	for a.Next() {
		columns = append(columns, columnOf(a.cells[0].s, a.cells[1].s))
	}
	return columns, a.Err()
}

// boundRows are the rows of a statement with its clock.
type boundRows struct {
	driver.Rows
	ctx  context.Context
	end  func()
	left int64 // rows that may still come: a ClickHouse that takes no settings does not count them
	full bool
}

func (r *boundRows) Next() bool {
	if !r.Rows.Next() {
		return false
	}
	r.left--
	r.full = r.left < 0
	return !r.full
}

func (r *boundRows) Err() error {
	if r.full {
		return errTooMany
	}
	return because(r.ctx, r.Rows.Err())
}

func (r *boundRows) Close() error {
	r.end() // first: what is left of the answer is not to be waited for
	return r.Rows.Close()
}

// because is the reason why a statement was ended from here, when it was, instead of what became of the connection.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// Codes of ClickHouse's exceptions that mean something to who asked.
const (
	codeSyntax       = 62
	codeNoDatabase   = 81
	codeTimeout      = 159
	codeTooSlow      = 160
	codeTooManyRows  = 158
	codeMemory       = 241
	codeTooMuchBytes = 307
	codeResult       = 396
	codeCancelled    = 394
	codeAborted      = 236
	codeBusy         = 202
)

// ErrOff: the process has no ClickHouse. errAway: it has one that cannot be asked now.
var (
	ErrOff  = errors.New("analytics is off")
	errAway = errors.New("ClickHouse is away")
)

// Why a statement has no answer.
type Why int

// Reasons.
const (
	Defect   Why = iota // of the statement or of this program
	Off                 // there is no ClickHouse: ErrOff
	Away                // it does not answer, or lacks the tables
	TooLong             // more time than Limits.Time
	TooLarge            // more memory or rows than the limits
	Gone                // who asked has ended the context, or takes no more of the answer
)

// Refusal sorts an error of Ask or of an Answer.
func Refusal(err error) Why {
	switch clickhouse.Code(err) {
	case codeTimeout, codeTooSlow:
		return TooLong
	case codeMemory, codeTooManyRows, codeTooMuchBytes, codeResult:
		return TooLarge
	case clickhouse.UnknownTable, codeNoDatabase, codeAborted, codeBusy:
		return Away
	case 0:
	default:
		return Defect
	}
	switch {
	case errors.Is(err, ErrOff):
		return Off
	case errors.Is(err, errTooLong):
		return TooLong
	case errors.Is(err, errTooMany):
		return TooLarge
	case errors.Is(err, errAway):
		return Away
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.ErrClosedPipe):
		return Gone
	case clickhouse.Unavailable(err):
		return Away
	}
	return Defect
}

// Newest is when the last thing happened that the tables know of the tenant; zero: nothing yet.
func Newest(ctx context.Context, conn driver.Conn, tenant string) (time.Time, error) {
	sql := "SELECT max(at) FROM ("
	for i, table := range []string{"order_events", "payments", "stock_movements"} {
		if i > 0 {
			sql += " UNION ALL "
		}
		sql += fmt.Sprintf("SELECT at FROM %s WHERE tenant = {tenant:String} ORDER BY at DESC LIMIT 1", table) // read backwards along the key: one granule
	}
	a, err := Ask(ctx, conn, sql+")", map[string]string{"tenant": tenant}, Limits{Time: 2 * time.Second})
	if err != nil {
		return time.Time{}, err
	}
	defer a.Close()
	var at time.Time
	if a.Next() && a.cells[0].t.Unix() > 0 {
		at = a.cells[0].t
	}
	return at, a.Err()
}

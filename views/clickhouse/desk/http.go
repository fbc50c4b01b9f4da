package desk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/gofiber/fiber/v2"

	"oms/internal/web"
	"oms/views/clickhouse/reports"
)

// ScopeReports is what a principal of the staff needs to read reports.
const ScopeReports = "reports:read"

// Codes of problems that only this room answers; TIMEOUT, TOO_LARGE and the rest are as everywhere.
const (
	codeNotAcceptable = "NOT_ACCEPTABLE" // 406
	codeTimedOut      = "TIMEOUT"        // 504
)

// format is a shape of an answer: its name for ?format=, and its media type.
type format struct{ name, media string }

var formats = []format{{"json", "application/json"}, {"csv", "text/csv"}, {"parquet", "application/vnd.apache.parquet"}, {"svg", "image/svg+xml"}}

// Parameters of the path that are no parameter of a report.
var ownParameters = []string{"format", "rows", "theme", "width"}

// staff is who asks, when that may read reports: they are of the whole shop, so they are for its staff only.
func staff(c *fiber.Ctx) (web.Principal, error) {
	who := web.Who(c)
	if !who.Staff {
		return who, web.NewProblem(http.StatusForbidden, web.CodeForbidden, "reports are for the staff")
	}
	return who, who.Require(ScopeReports)
}

// answer runs a report.
func (d *Desk) answer(c *fiber.Ctx) error {
	who, err := staff(c)
	if err != nil {
		return err
	}
	name, err := web.Param(c, "name")
	if err != nil {
		return err
	}
	report, known := d.find(name)
	if !known {
		return web.NotFound("report")
	}
	form, err := formatOf(c)
	if err != nil {
		return err
	}
	plot, err := plotOf(c, report)
	if err != nil {
		return err
	}
	if form.name == "svg" && plot.Kind != "line" && plot.Kind != "bar" {
		return web.NewProblem(http.StatusNotAcceptable, codeNotAcceptable, ErrNoChart.Error()+"; it comes as "+others("svg"))
	}
	limit, err := d.rowsOf(c)
	if err != nil {
		return err
	}
	params, err := d.bind(c, report, who.Tenant)
	if err != nil {
		return err
	}
	return d.send(c, d.run(report, form, plot, params, limit, connOf(c)))
}

// bind takes the report's parameters from the query.
func (d *Desk) bind(c *fiber.Ctx, report reports.Report, tenant string) (map[string]string, error) {
	names := slices.Clone(ownParameters)
	for _, p := range report.Params {
		names = append(names, p.Name)
	}
	if err := web.OnlyQuery(c, names...); err != nil {
		return nil, err
	}
	given := map[string]string{}
	c.Context().QueryArgs().VisitAll(func(name, value []byte) {
		if !slices.Contains(ownParameters, string(name)) {
			given[string(name)] = string(value)
		}
	})
	params, err := report.Bind(tenant, given, d.cfg.Now())
	var fault *reports.Fault
	if errors.As(err, &fault) {
		p := web.BadParameter(fault.Param, fault.Value, fault.Rule)
		p.Errors = []web.Fault{{Pointer: "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(fault.Param), Code: web.CodeBadParameter, Rule: fault.Rule}}
		return nil, p
	}
	return params, err
}

// formatOf is what the client wants: by ?format=, else by Accept.
func formatOf(c *fiber.Ctx) (format, error) {
	var medias []string
	given := c.Query("format")
	for _, f := range formats {
		if f.name == given {
			return f, nil
		}
		medias = append(medias, f.media)
	}
	if c.Context().QueryArgs().Has("format") {
		return format{}, web.BadParameter("format", given, "must be one of json, csv, parquet, svg")
	}
	c.Vary(fiber.HeaderAccept)
	media := c.Accepts(medias...)
	for _, f := range formats {
		if f.media == media {
			return f, nil
		}
	}
	return format{}, web.NewProblem(http.StatusNotAcceptable, codeNotAcceptable, "a report comes as "+others(""))
}

// others are the media types but one.
func others(than string) string {
	var all []string
	for _, f := range formats {
		if f.name != than {
			all = append(all, f.media)
		}
	}
	return strings.Join(all, ", ")
}

// rowsOf is how many rows the client wants at most: ?rows=; 0 without.
func (d *Desk) rowsOf(c *fiber.Ctx) (int64, error) {
	given := c.Query("rows")
	if given == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(given, 10, 64)
	if err != nil || n < 1 || n > d.cfg.Limits.Rows {
		return 0, web.BadParameter("rows", given, "must be a whole number from 1 to "+strconv.FormatInt(d.cfg.Limits.Rows, 10))
	}
	return n, nil
}

// plotOf is how the report is drawn: ?theme=light|dark, ?width= in pixels.
func plotOf(c *fiber.Ctx, report reports.Report) (Plot, error) {
	plot := PlotOf(report, false)
	switch theme := c.Query("theme", "light"); theme {
	case "light":
	case "dark":
		plot.Dark = true
	default:
		return plot, web.BadParameter("theme", theme, "must be light or dark")
	}
	if width := c.Query("width"); width != "" {
		n, err := strconv.Atoi(width)
		if err != nil || n < 240 || n > 2000 {
			return plot, web.BadParameter("width", width, "must be a whole number of pixels from 240 to 2000")
		}
		plot.Width = n
	}
	return plot, nil
}

// work is a report that runs, writes to a pipe, and ends it with its error.
type work struct {
	*io.PipeReader
	form   format
	name   string
	until  time.Time         // when its client has to have taken it
	failed func(error) error // the problem of an error
}

// run starts a report; client, when there is one, is watched: when it goes, the statement ends.
func (d *Desk) run(report reports.Report, form format, plot Plot, params map[string]string, limit int64, client watched) work {
	out, in := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		defer client.watch(ctx, cancel)()
		began := time.Now()
		rows, err := d.encode(ctx, in, report, form, plot, params, limit)
		end := "done"
		if err != nil {
			end = [...]string{"defect", "off", "away", "timeout", "too_large", "cancelled"}[Refusal(err)]
		}
		d.seconds.WithLabelValues(report.Name, end).Observe(time.Since(began).Seconds())
		d.rows.WithLabelValues(report.Name).Add(float64(rows))
		in.CloseWithError(err) // nil is the end
	}()
	return work{out, form, report.Name, time.Now().Add(queueTime + d.cfg.Limits.Time + time.Second), func(err error) error { return d.problem(report.Name, err) }}
}

// conn is the ClickHouse to ask.
func (d *Desk) conn() (driver.Conn, error) {
	conn, err := d.cfg.Conn()
	if err != nil && !errors.Is(err, ErrOff) {
		err = fmt.Errorf("%w: %w", errAway, err)
	}
	return conn, err
}

// errBusy: other reports had all places for too long.
var errBusy = errors.New("other reports are running")

func (d *Desk) encode(ctx context.Context, w io.Writer, report reports.Report, form format, plot Plot, params map[string]string, limit int64) (rows int64, err error) {
	leave, ok := d.enter(ctx)
	if !ok {
		return 0, errBusy
	}
	defer leave()
	conn, err := d.conn()
	if err != nil {
		return 0, err
	}
	a, err := AskReport(ctx, conn, report, params, d.cfg.Limits)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	a.Limit(limit)
	told := maps.Clone(params)
	delete(told, "tenant")
	switch about := (About{report.Name, told}); form.name {
	case "csv":
		return WriteCSV(w, a)
	case "parquet":
		return WriteParquet(w, a, about)
	case "svg":
		return WriteSVG(w, a, plot)
	default:
		return WriteJSON(w, a, about)
	}
}

// keptBack is how much of an answer is kept back: an error within it is still a problem with its own status, and what is no longer comes with its length.
const keptBack = 256 << 10

// send answers with the work's bytes. An error after the first of them breaks the connection off, so that no client takes a part for all.
func (d *Desk) send(c *fiber.Ctx, w work) error {
	var head bytes.Buffer
	_, err := io.CopyN(&head, w, keptBack)
	if err != nil && !errors.Is(err, io.EOF) {
		return w.failed(err)
	}
	c.Set(fiber.HeaderContentType, contentType(w.form))
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	switch w.form.name {
	case "csv", "parquet":
		c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+w.name+"."+w.form.name+`"`)
	case "svg":
		c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; style-src 'unsafe-inline'")
	}
	if err != nil {
		return c.Send(head.Bytes())
	}
	// A client that stops reading would hold the report's place for ever: its statement ends at a limit, but not the write that waits for the client. The limit
	// is the connection's, so the connection takes no other request.
	_ = c.Context().Conn().SetWriteDeadline(w.until) // it fails on a closed connection only
	c.Context().SetConnectionClose()
	c.Context().SetBodyStream(struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&head, w), w}, -1)
	return nil
}

func contentType(f format) string {
	switch f.name {
	case "csv":
		return "text/csv; charset=utf-8; header=present"
	case "svg":
		return "image/svg+xml; charset=utf-8"
	}
	return f.media
}

// problem is what a client hears of an error. The log has what is ours.
func (d *Desk) problem(report string, err error) error {
	if errors.Is(err, errBusy) {
		return web.Unavailable("other reports are running; come again", 2*time.Second)
	}
	why := Refusal(err)
	switch why {
	case Off:
		return web.Unavailable("analytics is off: this server has no ClickHouse (make clickhouse brings one, or set clickhouse.url)", time.Minute)
	case TooLong:
		return web.NewProblem(http.StatusGatewayTimeout, codeTimedOut, "the report took longer than "+d.cfg.Limits.Time.String()+": ask for a shorter span")
	case TooLarge:
		return web.NewProblem(http.StatusUnprocessableEntity, web.CodeTooLarge, "the report needs more memory or rows than it may: ask for a shorter span")
	case Gone:
		return web.Unavailable("the request was ended", time.Second)
	}
	if why == Away {
		if d.cfg.Log != nil {
			d.cfg.Log.Warn("a report found no ClickHouse, or no tables", "report", report, "error", err)
		}
		return web.Unavailable("ClickHouse does not answer, or has no tables yet; orders are not touched by that", 5*time.Second)
	}
	return fmt.Errorf("report %s: %w", report, err)
}

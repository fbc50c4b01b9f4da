package desk

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"oms/internal/web"
	"oms/views/clickhouse/reports"
)

// catalogue is the answer of GET /api/reports.
type catalogue struct {
	Analytics string     `json:"analytics"`           // on, off (there is no ClickHouse), or away (it does not answer)
	NewestAt  *time.Time `json:"newest_at,omitempty"` // when the last thing happened that the tables know of
	Behind    *int64     `json:"behind,omitempty"`    // offsets of the topics that the tables lack, where this process knows it
	Reports   []Entry    `json:"reports"`
}

// Entry is a report as GET /api/reports and oms report list it.
type Entry struct {
	Name     string  `json:"name"`
	Group    string  `json:"group"`
	Title    string  `json:"title"`
	Question string  `json:"question"`
	Params   []Param `json:"params"`
	Chart    Chart   `json:"chart"`
}

// Param is a parameter of an Entry.
type Param struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"` // time, text, number or choice
	Default string   `json:"default"`
	Doc     string   `json:"doc"`
	Choices []string `json:"choices,omitempty"`
	Min     *int64   `json:"min,omitempty"` // of a number
	Max     *int64   `json:"max,omitempty"`
}

// Chart is how an Entry is drawn.
type Chart struct {
	Kind   string   `json:"kind"` // line, bar or none
	X      string   `json:"x,omitempty"`
	Y      []string `json:"y,omitempty"`
	Series string   `json:"series,omitempty"`
}

func entryOf(r reports.Report) Entry {
	e := Entry{Name: r.Name, Group: groupOf(r.Name), Title: r.Title, Question: r.Question, Params: []Param{}, Chart: Chart{Kind: r.Chart.Kind, X: r.Chart.X, Y: r.Chart.Y, Series: r.Chart.Series}}
	for _, p := range r.Params {
		q := Param{Name: p.Name, Type: p.Type, Default: p.Default, Doc: p.Doc, Choices: p.Choices}
		if p.Type == "number" {
			q.Min, q.Max = &p.Min, &p.Max
		}
		e.Params = append(e.Params, q)
	}
	return e
}

// list is every report, and how fresh their answers are.
func (d *Desk) list(c *fiber.Ctx) error {
	who, err := staff(c)
	if err != nil {
		return err
	}
	if c.Context().QueryArgs().Len() > 0 {
		return web.NewProblem(http.StatusBadRequest, web.CodeBadParameter, "this path takes no parameter")
	}
	all := catalogue{Analytics: "on", Reports: make([]Entry, 0, len(d.cfg.Reports))}
	for _, r := range d.cfg.Reports {
		all.Reports = append(all.Reports, entryOf(r))
	}
	switch at, err := d.newest(who.Tenant); {
	case errors.Is(err, ErrOff):
		all.Analytics = "off"
	case err != nil:
		all.Analytics = "away"
	case !at.IsZero():
		all.NewestAt = &at
	}
	if d.cfg.Behind != nil {
		if n, known := d.cfg.Behind(); known {
			all.Behind = &n
		}
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.JSON(all)
}

// fresh keeps what newest has found for a second: pages that are left open ask again and again.
type fresh struct {
	sync.Mutex
	tenant string
	asked  time.Time
	at     time.Time
	err    error
}

func (d *Desk) newest(tenant string) (time.Time, error) {
	d.fresh.Lock()
	defer d.fresh.Unlock()
	if d.fresh.tenant == tenant && time.Since(d.fresh.asked) < time.Second {
		return d.fresh.at, d.fresh.err
	}
	conn, err := d.conn()
	at := time.Time{}
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		at, err = Newest(ctx, conn, tenant)
		cancel()
	}
	d.fresh.tenant, d.fresh.asked, d.fresh.at, d.fresh.err = tenant, time.Now(), at, err
	return at, err
}

// List is every report, in the order of the page.
func List() (all []Entry) {
	for _, r := range grouped(reports.All()) {
		all = append(all, entryOf(r))
	}
	return all
}

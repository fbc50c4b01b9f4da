package desk

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html"
	"slices"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"

	"oms/views/clickhouse/reports"
)

//go:embed page dictionary.json grafana.json
var assets embed.FS

// policy: everything is ours, nothing is inline, and nobody frames it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// pages serves the page of reports and that of the dictionary. There is no data of a shop in either.
func pages(r fiber.Router) {
	serve := func(path, media string, content func() []byte) {
		r.Get(path, func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderContentType, media)
			c.Set(fiber.HeaderContentSecurityPolicy, policy)
			c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
			c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
			c.Set(fiber.HeaderCacheControl, "no-cache")
			return c.Send(content())
		})
	}
	file := func(name string) func() []byte {
		b, err := assets.ReadFile(name)
		if err != nil {
			panic(err) // it is part of the program
		}
		return func() []byte { return b }
	}
	serve("/reports", "text/html; charset=utf-8", file("page/reports.html"))
	serve("/reports/page.js", "text/javascript; charset=utf-8", file("page/page.js"))
	serve("/reports/page.css", "text/css; charset=utf-8", file("page/page.css"))
	serve("/reports/icon.svg", "image/svg+xml", file("page/icon.svg"))
	serve("/reports/grafana.json", "application/json", file("grafana.json"))
	serve("/reports/dictionary", "text/html; charset=utf-8", dictionaryPage)
}

// groups are the reports under what they are about, in the order of the page.
var groups = []struct {
	name    string
	reports []string
}{
	{"Sales", []string{"sales", "sales-by-product", "sales-by-category", "sales-by-country", "best-sellers", "worst-sellers", "hot-products"}},
	{"Orders", []string{"funnel", "drop-off", "refusals", "cancellations", "order-value", "order-size", "time-to-confirm", "time-in-state"}},
	{"Customers", []string{"customers", "repeat-rate", "cohorts"}},
	{"Stock", []string{"fill-rate", "split-rate", "oversell", "low-stock", "days-of-stock", "stock-turns"}},
	{"Payments", []string{"authorization-rate", "capture-rate", "payment-reasons", "refunds", "reconciliation"}},
	{"This system", []string{"freshness"}},
}

// groupOf is what a report is about.
func groupOf(name string) string {
	for _, g := range groups {
		if slices.Contains(g.reports, name) {
			return g.name
		}
	}
	return "More"
}

// grouped is the reports in the order of the page.
func grouped(all []reports.Report) []reports.Report {
	place := map[string]int{}
	for _, g := range groups {
		for _, name := range g.reports {
			place[name] = len(place) + 1 - 1000
		}
	}
	slices.SortStableFunc(all, func(a, b reports.Report) int { return place[a.Name] - place[b.Name] })
	return all
}

// table of the dictionary.
type table struct {
	Name    string  `json:"name"`
	About   string  `json:"about"`
	Engine  string  `json:"engine"`
	Key     string  `json:"key"` // its order on the disk, which makes a row unique
	Columns []field `json:"columns"`
}

// field is a column of a table.
type field struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Unit    string `json:"unit"` // what its numbers count, how its texts are written; empty: the meaning says it
	Meaning string `json:"meaning"`
}

// dictionary is every table and column, as the migrations make them.
var dictionary = sync.OnceValue(func() (all []table) {
	b, err := assets.ReadFile("dictionary.json")
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		panic(err) // it is part of the program
	}
	return all
})

const dictionaryIntro = "What stands in ClickHouse: facts as the topics say them, one row each, and what they come to. Times are UTC. " +
	"Amounts are whole minor units (cents) of the currency in the same row. A row may for a moment stand twice: read with FINAL."

// dictionaryPage is the dictionary for a browser.
var dictionaryPage = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	text := html.EscapeString
	b.WriteString(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">` +
		`<title>Dictionary · Reports</title><link rel="icon" href="/reports/icon.svg" type="image/svg+xml"><link rel="stylesheet" href="/reports/page.css"></head><body><a class="skip" href="#content">Skip to the tables</a>` +
		`<header class="top"><a class="brand" href="/reports"><svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><rect width="32" height="32" rx="8"/><path d="M8 23v-6M16 23V9M24 23v-10"/></svg><span>Reports</span></a><p class="fresh"></p>` +
		`<nav class="links" aria-label="Documents"><a href="/reports">Reports</a><a href="/reports/grafana.json" download="oms-grafana.json">Grafana</a><a href="/docs">API</a></nav></header><main class="dictionary" id="content"><h1>Dictionary</h1><p class="question">` + text(dictionaryIntro) + `</p><ul class="index">`)
	for _, t := range dictionary() {
		fmt.Fprintf(&b, `<li><a href="#%[1]s">%[1]s</a></li>`, text(t.Name))
	}
	b.WriteString(`</ul>`)
	for _, t := range dictionary() {
		fmt.Fprintf(&b, `<section class="card" aria-labelledby="%[1]s"><h2 id="%[1]s">%[1]s</h2><p class="about">%[2]s. %[3]s by %[4]s.</p><div class="scroll" tabindex="0" role="region" aria-labelledby="%[1]s"><table><thead><tr><th scope="col">column</th><th scope="col">type</th><th scope="col">unit</th><th scope="col">meaning</th></tr></thead><tbody>`,
			text(t.Name), text(sentence(t.About)), text(t.Engine), text(t.Key))
		for _, f := range t.Columns {
			fmt.Fprintf(&b, `<tr><td><code>%s</code></td><td><code>%s</code></td><td>%s</td><td>%s</td></tr>`, text(f.Name), text(f.Type), text(f.Unit), text(f.Meaning))
		}
		b.WriteString(`</tbody></table></div></section>`)
	}
	b.WriteString(`</main></body></html>`)
	return b.Bytes()
})

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

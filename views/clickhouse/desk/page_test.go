package desk

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

var screenshots = flag.String("screenshots", "", "directory that gets the pictures of the page, such as ../../../docs")

// clock sets the browser's clock to that of the desk of the tests.
const clock = `{ const at = Date.UTC(2026, 5, 1) + 2000, Real = Date; Date = class extends Real { constructor(...a) { a.length ? super(...a) : super(at); } static now() { return at; } }; }`

// answered: chart and table of a report are there.
func answered(report string) string {
	return fmt.Sprintf(`location.hash.startsWith("#%s") && !document.getElementById("results").hidden && !document.querySelector("[aria-busy]") && document.querySelector("#chart img").complete && document.querySelector("#chart img").naturalWidth > 0 && document.querySelectorAll("#table tbody tr").length > 0`, report)
}

const (
	narrowEnough = `document.documentElement.scrollWidth <= innerWidth`
	focused      = `document.activeElement`
)

func pageOf(t *testing.T) (*browser, string) {
	b := newBrowser(t)
	at := serve(t, staffOf("default"), func(c *Config) { c.Behind = func() (int64, bool) { return 0, true } })
	b.cdp("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": clock + `
		addEventListener("securitypolicyviolation", e => console.error("policy: " + e.violatedDirective));
		window.moved = 0; new PerformanceObserver(l => l.getEntries().forEach(e => { if (!e.hadRecentInput) window.moved += e.value; })).observe({ type: "layout-shift", buffered: true });`})
	return b, at
}

func (b *browser) quiet(when string) {
	b.t.Helper()
	if errs := b.errors(); len(errs) > 0 {
		b.t.Errorf("%s the console has %s", when, strings.Join(errs, "\n"))
	}
}

func (b *browser) want(what, js string) {
	b.t.Helper()
	if !b.is(js) {
		b.t.Errorf("%s: %s is not so", what, js)
	}
}

func TestThePageIsUsedByTheKeyboardAlone(t *testing.T) {
	b, at := pageOf(t)
	b.dark(false)
	b.screen(1280, 900, false)
	b.open(at + "/reports")
	b.comes(answered("sales"))
	b.want("the first report is open", `document.querySelector("#list [aria-current=page]").textContent.startsWith("Sales")`)
	b.want("how fresh it is", `/Data up to 2026-05-31 .* ago/.test(document.getElementById("fresh-text").textContent) && document.getElementById("fresh").className == "fresh on"`)
	b.press(tab)
	b.want("the first stop is the way to the content, and it is seen", focused+`.className == "skip" && `+focused+`.getBoundingClientRect().top >= 0`)
	b.press(enter)
	b.want("it leads there", `location.hash == "#content" || `+focused+`.id == "content"`)
	b.open(at + "/reports#sales")
	b.comes(answered("sales"))
	b.press("/")
	b.want("/ searches", focused+`.id == "search"`)
	b.press("countr")
	b.want("the list is what matches", `[...document.querySelectorAll("#list a")].length > 0 && [...document.querySelectorAll("#list a")].every(a => a.textContent.toLowerCase().includes("countr"))`)
	b.press(down)
	b.want("the arrow goes into the list, and where it is can be seen", focused+`.tagName == "A" && getComputedStyle(`+focused+`).outlineStyle == "solid"`)
	name := b.text(focused + `.dataset.name`)
	b.press(enter)
	b.comes(answered(name))
	b.want("the report's title has the focus", focused+`.id == "title"`)
	stops := 0
	for ; stops < 40 && !b.is(focused+`.id == "scroll"`); stops++ {
		b.press(tab)
	}
	b.want("tab reaches the table", focused+`.id == "scroll"`)
	b.want("every control has a name", `[...document.querySelectorAll("input, select, button, a")].every(e => (e.labels && e.labels.length) || e.textContent.trim() || e.getAttribute("aria-label"))`)
	b.press(tab + enter)
	b.want("a column sorts", `document.querySelector("th[aria-sort]")`)
	b.want("nothing has moved by itself", `window.moved < 0.1`)
	b.quiet("by keyboard")
}

func TestThePageLooksWell(t *testing.T) {
	b, at := pageOf(t)
	b.dark(false)
	b.screen(1280, 980, false)
	b.open(at + "/reports#sales?from=-60d/d")
	b.comes(answered("sales"))
	b.want("light", `getComputedStyle(document.body).backgroundColor == "rgb(244, 246, 249)" && document.querySelector("#chart img").src.includes("theme=light")`)
	b.want("it fits", narrowEnough)
	b.want("nothing has moved by itself", `window.moved < 0.1`)
	b.shot("reports-desktop.png")
	b.dark(true)
	b.comes(`document.querySelector("#chart img").src.includes("theme=dark") && ` + answered("sales"))
	b.want("dark", `getComputedStyle(document.body).backgroundColor == "rgb(12, 17, 26)"`)
	b.open(at + "/reports#refusals?from=-60d/d")
	b.comes(answered("refusals"))
	b.shot("reports-dark.png")
	b.dark(false)
	b.screen(360, 780, true)
	b.open(at + "/reports")
	b.comes(`document.querySelectorAll("#list a").length > 5`)
	b.want("a phone begins with the list", `document.getElementById("report").hidden && document.querySelector("#list a").offsetHeight >= 40`)
	b.want("it fits", narrowEnough)
	b.run(`document.querySelector("#list a[data-name=sales]").click()`)
	b.comes(answered("sales"))
	b.want("it fits", narrowEnough)
	b.want("the list makes room", `document.getElementById("side").offsetHeight == 0 && document.querySelector(".back").offsetHeight > 0`)
	b.shot("reports-phone.png")
	b.open(at + "/reports/dictionary")
	b.want("the dictionary fits", narrowEnough)
	b.quiet("in all looks")
	if *screenshots != "" {
		for _, name := range []string{"desktop", "phone", "dark"} {
			if s, err := os.Stat(*screenshots + "/reports-" + name + ".png"); err != nil || s.Size() > 200<<10 {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func (b *browser) shot(name string) {
	if *screenshots != "" {
		b.picture(*screenshots + "/" + name)
	}
}

func TestThePageHelpsWhereThereIsNothingToSee(t *testing.T) {
	b, at := pageOf(t)
	b.screen(1000, 800, false)
	b.open(at + "/reports#sales?from=2001-01-01&to=2001-02-01")
	b.comes(`document.getElementById("state").textContent.includes("Nothing in this span")`)
	b.run(`[...document.querySelectorAll("#state button")].find(b => b.textContent.includes("newest")).click()`)
	b.comes(answered("sales"))
	b.quiet("without rows")
	b.open(at + "/reports#sales?from=2026-05-20&to=2026-05-10")
	b.comes(`document.querySelector("[data-param=from].wrong .hint") && document.querySelector("[data-param=from] .hint").textContent.includes("before")`)
	b.want("the field is pointed at", focused+`.name == "from" && document.querySelector("#p-from").getAttribute("aria-invalid") == "true"`)
	b.run(`document.querySelector(".presets [data-from='-30d/d']").click()`)
	b.comes(answered("sales"))
	b.want("and no more", `!document.querySelector(".wrong")`)
	off := serve(t, staffOf("default"), func(c *Config) { c.Conn = func() (driver.Conn, error) { return nil, ErrOff } })
	b.open(off + "/reports")
	b.comes(`document.getElementById("state").textContent.includes("Analytics is off") && document.getElementById("fresh").className == "fresh off"`)
}

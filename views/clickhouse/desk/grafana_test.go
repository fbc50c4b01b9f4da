package desk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"oms/views/clickhouse/reports"
)

// The dashboard for those who have Grafana: a panel a report, on the data source plug-in grafana-clickhouse-datasource. The span is Grafana's; other parameters are
// variables of the dashboard.

const plugin = "grafana-clickhouse-datasource"

type object = map[string]any

var source = object{"type": plugin, "uid": "${datasource}"}

// variable of the dashboard.
type variable struct {
	name string
	p    reports.Param
}

// variables gathers the parameters of all reports but the span; one that another report has with other choices or another default gets a name of its own.
type variables struct{ all []variable }

func (v *variables) of(report string, p reports.Param) string {
	same := func(o variable) bool {
		return o.p.Name == p.Name && o.p.Type == p.Type && o.p.Default == p.Default && slices.Equal(o.p.Choices, p.Choices)
	}
	for _, o := range v.all {
		if same(o) {
			return o.name
		}
	}
	name := p.Name
	if slices.ContainsFunc(v.all, func(o variable) bool { return o.name == name }) {
		name += "_" + strings.ReplaceAll(report, "-", "_")
	}
	v.all = append(v.all, variable{name, p})
	return name
}

var parameter = regexp.MustCompile(`\{([a-z_]+):[^{}]+\}`)

// panelSQL is the report's statement with Grafana's variables for its parameters. ${x:sqlstring} is quoted by Grafana.
func (v *variables) panelSQL(r reports.Report) string {
	return parameter.ReplaceAllStringFunc(r.SQL, func(match string) string {
		switch name := parameter.FindStringSubmatch(match)[1]; name {
		case "tenant":
			return "${tenant:sqlstring}"
		case "from", "to":
			return "fromUnixTimestamp64Milli(toInt64(${__" + name + "}), 'UTC')"
		default:
			p := r.Params[slices.IndexFunc(r.Params, func(p reports.Param) bool { return p.Name == name })]
			if p.Type == "number" {
				return "toInt64(${" + v.of(r.Name, p) + ":sqlstring})"
			}
			return "${" + v.of(r.Name, p) + ":sqlstring}"
		}
	})
}

// times are the columns of charts that are times.
var times = []string{"period", "day", "hour"}

func (v *variables) panel(r reports.Report, id, x, y int) object {
	kind, format, query := "table", 1, "table"
	options := object{}
	switch timed := slices.Contains(times, r.Chart.X); {
	case r.Chart.Kind != "none" && timed:
		kind, format, query = "timeseries", 0, "timeseries"
	case r.Chart.Kind == "bar" && r.Chart.Series == "":
		kind, options = "barchart", object{"xField": r.Chart.X, "orientation": "horizontal"}
	}
	style := object{}
	if kind == "timeseries" && r.Chart.Kind == "bar" {
		style = object{"drawStyle": "bars", "fillOpacity": 60}
	}
	var overrides []object
	for _, o := range [][2]string{{"_minor", "suffix: minor"}, {"_share", "percentunit"}, {"_ms", "ms"}, {"_days", "d"}} {
		overrides = append(overrides, object{"matcher": object{"id": "byRegexp", "options": "/" + o[0] + "( |$)/"}, "properties": []object{{"id": "unit", "value": o[1]}}})
	}
	return object{"id": id, "type": kind, "title": r.Title, "description": r.Question, "datasource": source, "gridPos": object{"x": x, "y": y, "w": 12, "h": 9}, "options": options,
		"fieldConfig": object{"defaults": object{"custom": style}, "overrides": overrides},
		"targets":     []object{{"refId": "A", "datasource": source, "editorType": "sql", "format": format, "queryType": query, "rawSql": v.panelSQL(r)}}}
}

func (v *variables) templating() []object {
	list := []object{
		{"name": "datasource", "label": "ClickHouse", "type": "datasource", "query": plugin},
		{"name": "tenant", "label": "shop", "type": "textbox", "query": "default", "current": object{"text": "default", "value": "default"}},
	}
	for _, o := range v.all {
		one := object{"name": o.name, "label": strings.ReplaceAll(o.name, "_", " "), "description": o.p.Doc, "current": object{"text": o.p.Default, "value": o.p.Default}}
		if o.p.Type == "choice" {
			var options []object
			for _, c := range o.p.Choices {
				options = append(options, object{"text": c, "value": c, "selected": c == o.p.Default})
			}
			one["type"], one["query"], one["options"] = "custom", strings.Join(o.p.Choices, ","), options
		} else {
			one["type"], one["query"] = "textbox", o.p.Default
		}
		list = append(list, one)
	}
	return list
}

// dashboard is what Grafana imports.
func dashboard() []byte {
	v := &variables{}
	var panels []object
	id, x, y, group := 0, 0, 0, ""
	for _, r := range grouped(reports.All()) {
		if g := groupOf(r.Name); g != group {
			if group != "" {
				y += 9
			}
			group, x = g, 0
			id++
			panels = append(panels, object{"id": id, "type": "row", "title": g, "collapsed": false, "gridPos": object{"x": 0, "y": y, "w": 24, "h": 1}, "panels": []object{}})
			y++
		} else if x == 24 {
			x, y = 0, y+9
		}
		id++
		panels = append(panels, v.panel(r, id, x, y))
		x += 12
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	e.Encode(object{"uid": "oms-reports", "title": "oms: reports", "description": "Made from the catalogue of reports; see /reports/dictionary for the tables.", "tags": []string{"oms"}, "schemaVersion": 39, "version": 1, "editable": true,
		"timezone": "utc", "refresh": "", "time": object{"from": "now-30d", "to": "now"}, "templating": object{"list": v.templating()}, "panels": panels})
	return b.Bytes()
}

func TestTheDashboardIsThatOfTheCatalogue(t *testing.T) {
	same(t, "grafana.json", dashboard())
}

// With Grafana's variables filled in as Grafana does it, each panel answers what its report does.
func TestEachPanelAnswersWhatItsReportDoes(t *testing.T) {
	_, reader := shop(t)
	var board struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ RawSQL string }
		}
		Templating struct {
			List []struct {
				Name    string
				Current struct{ Value string }
			}
		}
	}
	if err := json.Unmarshal(dashboard(), &board); err != nil {
		t.Fatal(err)
	}
	from, to := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), now
	values := []string{"${__from}", fmt.Sprint(from.UnixMilli()), "${__to}", fmt.Sprint(to.UnixMilli())}
	for _, v := range board.Templating.List {
		values = append(values, "${"+v.Name+":sqlstring}", "'"+strings.ReplaceAll(v.Current.Value, "'", "''")+"'")
	}
	fill := strings.NewReplacer(values...)
	byTitle := map[string]reports.Report{}
	for _, r := range reports.All() {
		byTitle[r.Title] = r
	}
	seen := 0
	for _, p := range board.Panels {
		if p.Type == "row" {
			continue
		}
		seen++
		r := byTitle[p.Title]
		given := map[string]string{}
		for _, q := range r.Params {
			if q.Name == "from" {
				given["from"] = from.Format(time.RFC3339)
			}
			if q.Name == "to" {
				given["to"] = to.Format(time.RFC3339)
			}
		}
		params, err := r.Bind("default", given, now)
		if err != nil {
			t.Fatal(err)
		}
		filled := r
		if filled.SQL = fill.Replace(p.Targets[0].RawSQL); strings.Contains(filled.SQL, "${") {
			t.Errorf("%s: a variable is none: %s", p.Title, filled.SQL)
		}
		var answers [2]bytes.Buffer
		for i, ask := range []reports.Report{r, filled} {
			bound := params
			if i == 1 {
				bound = nil
			}
			a, err := AskReport(t.Context(), reader, ask, bound, Limits{})
			if err != nil {
				t.Errorf("%s: %v", p.Title, err)
				break
			}
			if x := a.index(r.Chart.X); p.Type == "timeseries" && a.columns[x].kind != moment && a.columns[x].kind != day {
				t.Errorf("%s: %s is no time", p.Title, r.Chart.X)
			}
			if _, err := WriteCSV(io.Writer(&answers[i]), a); err != nil {
				t.Errorf("%s: %v", p.Title, err)
			}
			a.Close()
		}
		if !bytes.Equal(answers[0].Bytes(), answers[1].Bytes()) {
			t.Errorf("%s: the panel answers\n%.300s\nand the report\n%.300s", p.Title, answers[1].Bytes(), answers[0].Bytes())
		}
	}
	if seen != len(reports.All()) {
		t.Errorf("%d panels", seen)
	}
}

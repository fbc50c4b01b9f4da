package desk

import (
	"cmp"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-analyze/charts"

	"oms/views/clickhouse/reports"
)

// Plot says how an answer becomes a picture.
type Plot struct {
	Kind   string   // line or bar
	X      string   // column along the axis
	Y      []string // columns of numbers
	Series string   // column whose values are drawn apart; empty: none
	Title  string   // for those who do not see it, and above it when Shown
	Shown  bool
	Dark   bool
	Width  int // pixels of its own; 0: 960
}

// ErrNoChart: the report's answer is not made to be drawn.
var ErrNoChart = errors.New("this report has no chart")

const (
	maxSeries  = 10 // more cannot be told apart
	maxBars    = 24 // of a list, from its top; all series together have twice as many
	defaultPic = 960
)

// WriteSVG draws an answer, of which it keeps at most 10,000 rows, and answers how many it has drawn. Amounts are drawn in their currency's unit. Of many series
// the ten largest are drawn, of a long list of bars the first; the axis says so.
func WriteSVG(w io.Writer, a *Answer, plot Plot) (rows int64, err error) {
	if plot.Kind != "line" && plot.Kind != "bar" {
		return 0, ErrNoChart
	}
	plot.Width = cmp.Or(plot.Width, defaultPic)
	d, err := gather(a, plot)
	if err != nil {
		return d.rows, err
	}
	var svg []byte
	if len(d.points) == 0 || len(d.series) == 0 {
		svg = emptyPicture(plot)
	} else if svg, err = d.draw(plot); err != nil {
		return d.rows, err
	}
	_, err = w.Write(svg)
	return d.rows, err
}

// point is a place on the axis.
type point struct {
	label string
	at    time.Time // of an axis of time
}

// line is what is drawn in one colour: values by the index of their point.
type line struct {
	name   string
	by, y  string // what of the name is the value of the series' column, and what the column of numbers
	values map[int]float64
	size   float64
}

type drawing struct {
	rows   int64
	timed  bool
	unit   Unit
	points []point
	series []*line
	note   string
}

// index of a column by its name; -1: none.
func (a *Answer) index(name string) int {
	return slices.IndexFunc(a.columns, func(c Column) bool { return c.Name == name })
}

// gather turns rows into points and series.
func gather(a *Answer, plot Plot) (drawing, error) {
	d := drawing{}
	x, by := a.index(plot.X), a.index(plot.Series)
	var ys []int
	for _, name := range plot.Y {
		if i := a.index(name); i >= 0 {
			ys = append(ys, i)
		}
	}
	if x < 0 || len(ys) == 0 {
		return d, fmt.Errorf("the chart wants the columns %s and %s, which the answer lacks", plot.X, strings.Join(plot.Y, ", "))
	}
	d.timed = a.columns[x].kind == moment || a.columns[x].kind == day
	d.unit = a.columns[ys[0]].Unit
	places, lines := map[string]int{}, map[string]*line{}
	for d.rows < tableRows && a.Next() {
		d.rows++
		code := a.currencyOf()
		key := a.cells[x].String(a.columns[x].kind)
		place, met := places[key]
		if !met {
			place = len(d.points)
			places[key] = place
			d.points = append(d.points, point{a.shown(x, code), a.cells[x].t})
		}
		for _, y := range ys {
			v, ok := a.amount(y, code)
			if !ok {
				continue
			}
			l := a.lineOf(y, by, code, plot, len(ys) > 1)
			if known := lines[l.name]; known != nil {
				l = known
			} else {
				lines[l.name] = l
				d.series = append(d.series, l)
			}
			l.values[place] += v
			l.size += math.Abs(v)
		}
	}
	if err := a.Err(); err != nil {
		return d, err
	}
	d.settle(plot)
	return d, nil
}

// amount is a number of the row in the unit that is drawn.
func (a *Answer) amount(i int, code string) (float64, bool) {
	v, ok := a.cells[i].float(a.columns[i].kind)
	if digits, known := exponent(code); ok && known && a.columns[i].Unit == Minor {
		v /= math.Pow10(digits)
	}
	return v, ok
}

// lineOf tells a series from the others: by the column for that, by the currency of amounts, and by the column of numbers when there are several.
func (a *Answer) lineOf(y, by int, code string, plot Plot, several bool) *line {
	l := &line{values: map[int]float64{}}
	var parts []string
	if by >= 0 {
		l.by = cmp.Or(a.shown(by, code), "(none)")
		parts = append(parts, l.by)
	}
	if a.columns[y].Unit == Minor && code != "" && plot.Series != "currency" && plot.X != "currency" {
		l.y = code
	}
	if several || len(parts) == 0 && l.y == "" {
		l.y = strings.TrimSpace(l.y + " " + a.columns[y].title())
	}
	if l.y != "" {
		parts = append(parts, l.y)
	}
	l.name = strings.Join(parts, " ")
	return l
}

// spread gives each pair of point and series a bar of its own, when most series have no more than one point: beside each other they would be mostly gaps.
func (d *drawing) spread() {
	filled := 0
	for _, l := range d.series {
		filled += len(l.values)
	}
	if filled*2 > len(d.points)*len(d.series) {
		return
	}
	var points []point
	var series []*line
	for at, p := range d.points {
		places := map[string]int{}
		for _, l := range d.series {
			v, has := l.values[at]
			if !has {
				continue
			}
			place, met := places[l.by]
			if !met {
				place = len(points)
				places[l.by] = place
				points = append(points, point{label: p.label + " → " + l.by})
			}
			i := slices.IndexFunc(series, func(o *line) bool { return o.name == l.y })
			if i < 0 {
				i = len(series)
				series = append(series, &line{name: l.y, values: map[int]float64{}})
			}
			series[i].values[place] = v
			series[i].size += math.Abs(v)
		}
	}
	d.points, d.series = points, series
}

// settle puts time in order and leaves out what would not be seen.
func (d *drawing) settle(plot Plot) {
	var notes []string
	flat := plot.Kind == "bar" && !d.timed
	if flat && plot.Series != "" && len(d.series) > 1 {
		d.spread()
	}
	if total := len(d.series); total > maxSeries {
		slices.SortStableFunc(d.series, func(a, b *line) int { return cmp.Compare(b.size, a.size) })
		d.series = d.series[:maxSeries]
		notes = append(notes, fmt.Sprintf("the %d largest of %d series", maxSeries, total))
	}
	if d.timed && len(d.points) > 0 {
		d.sort()
	} else if total, most := len(d.points), min(maxBars, max(6, 2*maxBars/max(1, len(d.series)))); total > most && flat {
		d.points = d.points[:most]
		notes = append(notes, fmt.Sprintf("the first %d of %d", most, total))
	}
	d.note = strings.Join(notes, ", ")
}

func (d *drawing) sort() {
	order := make([]int, len(d.points))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return d.points[a].at.Compare(d.points[b].at) })
	points, place := make([]point, len(order)), make([]int, len(order))
	for to, from := range order {
		points[to], place[from] = d.points[from], to
	}
	layout := layoutOf(points)
	for i := range points {
		points[i].label = points[i].at.Format(layout)
	}
	d.points = points
	for _, l := range d.series {
		moved := make(map[int]float64, len(l.values))
		for at, v := range l.values {
			moved[place[at]] = v
		}
		l.values = moved
	}
}

// layoutOf shows no more of the times than tells them apart.
func layoutOf(points []point) string {
	first, last := points[0].at, points[len(points)-1].at
	months, days := true, true
	for _, p := range points {
		days = days && p.at.Equal(p.at.Truncate(24*time.Hour))
		months = months && days && p.at.Day() == 1
	}
	switch {
	case months:
		return "Jan 2006"
	case days && first.Year() == last.Year():
		return "2 Jan"
	case days:
		return "2 Jan 06"
	case last.Sub(first) < 24*time.Hour:
		return "15:04"
	}
	return "2 Jan 15:04"
}

// of is the values of a series, one a point; what is not there is a gap in a line, and no bar.
func (d *drawing) of(l *line) []float64 {
	values := make([]float64, len(d.points))
	for i := range values {
		v, ok := l.values[i]
		if values[i] = v; !ok {
			values[i] = charts.GetNullValue()
		}
	}
	return values
}

// axis shows a value of the axis.
func (d *drawing) axis(v float64) string {
	switch d.unit {
	case Milliseconds:
		return shownDuration(v / 1000)
	case Seconds:
		return shownDuration(v)
	case Days:
		return strconv.FormatFloat(v, 'f', -1, 64) + " d"
	case Share:
		return strconv.FormatFloat(v*100, 'f', decimals(v*1000)/2, 64) + " %"
	case Percent:
		return strconv.FormatFloat(v, 'f', decimals(v)/2, 64) + " %"
	}
	for _, big := range []struct {
		from float64
		sign string
	}{{1e9, "G"}, {1e6, "M"}, {1e5, "k"}} {
		if math.Abs(v) >= big.from {
			of := map[string]float64{"G": 1e9, "M": 1e6, "k": 1e3}[big.sign]
			return strconv.FormatFloat(math.Round(v/of*10)/10, 'f', -1, 64) + big.sign
		}
	}
	return thousands(strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64))
}

// emptyPicture is a picture without data.
func emptyPicture(plot Plot) []byte {
	_, colours := paletteOf(plot.Dark)
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d 160" role="img"><title>%s</title><rect width="100%%" height="100%%" fill="%s"/>`+
		`<text x="50%%" y="50%%" text-anchor="middle" fill="%s" font-size="15" font-family="%s">Nothing in this span</text></svg>`,
		plot.Width, html.EscapeString(printable(plot.Title)), colours.ground, colours.ink, fonts)
}

// fonts of pictures, the first that is there.
const fonts = "system-ui,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"

// PlotOf is how a report is drawn; titled puts its title above the picture.
func PlotOf(r reports.Report, titled bool) Plot {
	return Plot{Kind: r.Chart.Kind, X: r.Chart.X, Y: r.Chart.Y, Series: r.Chart.Series, Title: r.Title, Shown: titled}
}

package desk

import (
	"bytes"
	"fmt"
	"html"
	"slices"
	"strings"

	"github.com/go-analyze/charts"
)

// palette of a theme, the same as the page's.
type palette struct{ ground, ink, faint, rule string }

var (
	lightPalette = palette{ground: "#ffffff", ink: "#475569", faint: "#cbd5e1", rule: "#e8edf3"}
	darkPalette  = palette{ground: "#151b26", ink: "#a7b3c6", faint: "#3b475b", rule: "#232c3b"}
	lightSeries  = []string{"#2563eb", "#ea580c", "#0d9488", "#9333ea", "#ca8a04", "#dc2626", "#0284c7", "#65a30d", "#db2777", "#64748b"}
	darkSeries   = []string{"#60a5fa", "#fb923c", "#2dd4bf", "#c084fc", "#facc15", "#f87171", "#38bdf8", "#a3e635", "#f472b6", "#94a3b8"}
)

func paletteOf(dark bool) (charts.ColorPalette, palette) {
	p, series := lightPalette, lightSeries
	if dark {
		p, series = darkPalette, darkSeries
	}
	var colours []charts.Color
	for _, s := range series {
		colours = append(colours, charts.ColorFromHex(s))
	}
	return charts.MakeTheme(charts.ThemeOption{IsDarkMode: dark, AxisStrokeColor: charts.ColorFromHex(p.faint), AxisSplitLineColor: charts.ColorFromHex(p.rule),
		BackgroundColor: charts.ColorFromHex(p.ground), TextColor: charts.ColorFromHex(p.ink), SeriesColors: colours}), p
}

const (
	fontSize   = 9.5 // points
	narrow     = 600 // pixels; below it the picture is for a phone
	barHeight  = 17
	labelRoom  = 90 // pixels of a label along the axis of time
	symbolRoom = 24 // of a dot on a line
	legendLine = 20
	barLabel   = 44  // pixels of the number behind a bar
	letter     = 7.2 // pixels of a letter, about
)

// draw makes the picture.
func (d *drawing) draw(plot Plot) ([]byte, error) {
	theme, colours := paletteOf(plot.Dark)
	font := charts.FontStyle{FontSize: fontSize}
	var labels []string
	for _, p := range d.points {
		labels = append(labels, cut(p.label, 26))
	}
	height := min(plot.Width/2, 380)
	if plot.Width < narrow {
		height = plot.Width * 3 / 4
	}
	flat := plot.Kind == "bar" && !d.timed
	if flat {
		height = 50 + len(labels)*(barHeight*len(d.series)+12)
	}
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: plot.Width, Height: height, Theme: theme})
	value := charts.ValueAxisOption{LabelFontStyle: font, Min: d.floor(), Max: d.ceiling(), LabelCountAdjustment: -4}
	category := charts.CategoryAxisOption{Labels: labels, LabelFontStyle: font}
	if d.timed {
		category.LabelCount = min(len(labels), max(2, plot.Width/labelRoom))
	}
	draw := d.bars
	if plot.Kind == "line" {
		draw = d.lines
	}
	if err := draw(p, theme, category, value, flat); err != nil {
		return nil, err
	}
	svg, err := p.Bytes()
	if err != nil {
		return nil, err
	}
	head, room := d.head(plot, theme, colours)
	return framed(svg, plot, colours, height, head, room), nil
}

// head is the title, where it is shown, and what the colours mean, in as many lines as they need; room is their height.
func (d *drawing) head(plot Plot, theme charts.ColorPalette, colours palette) (svg string, room int) {
	var b strings.Builder
	x, y := 14, 26
	if plot.Shown {
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="16" font-weight="600" fill="%s">%s</text>`, x, y, colours.ink, html.EscapeString(cut(printable(plot.Title), plot.Width/9)))
		y += 26
	}
	if len(d.series) < 2 && d.note == "" {
		return b.String(), y - 26
	}
	for i, l := range d.series {
		if len(d.series) == 1 {
			break
		}
		name := cut(printable(l.name), 28)
		wide := 34 + int(letter*float64(cells(name)))
		if x+wide > plot.Width-8 && x > 14 {
			x, y = 14, y+legendLine
		}
		c := theme.GetSeriesColor(i)
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="10" height="10" rx="3" fill="#%02x%02x%02x"/><text x="%d" y="%d" font-size="12.5" fill="%s">%s</text>`, x, y-10, c.R, c.G, c.B, x+15, y, colours.ink, html.EscapeString(name))
		x += wide
	}
	if d.note != "" {
		if x > 14 && x+int(letter*float64(len(d.note))) > plot.Width-8 {
			x, y = 14, y+legendLine
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="12" font-style="italic" fill="%s">%s</text>`, x, y, colours.ink, html.EscapeString(d.note))
	}
	return b.String(), y + 6
}

// framed puts the head above the chart.
func framed(chart []byte, plot Plot, colours palette, height int, head string, room int) []byte {
	_, inside, _ := bytes.Cut(chart, []byte(">"))                                          // behind <svg …>
	inside = bytes.ReplaceAll(inside, []byte(`'Roboto Medium',sans-serif`), []byte(fonts)) // text is escaped, so only styles have these quotes
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" role="img" font-family="%[3]s"><title>%[4]s</title><rect width="100%%" height="100%%" fill="%[5]s"/>%[6]s<svg y="%[7]d" width="%[1]d" height="%[8]d">`,
		plot.Width, height+room, fonts, html.EscapeString(printable(plot.Title)), colours.ground, head, room, height)
	b.Write(inside)
	b.WriteString("</svg>")
	return b.Bytes()
}

// floor is 0 unless something is below it: an axis that begins elsewhere exaggerates.
func (d *drawing) floor() *float64 {
	for _, l := range d.series {
		for _, v := range l.values {
			if v < 0 {
				return nil
			}
		}
	}
	return charts.Ptr(0.0)
}

// margin around a picture, which stands in a box of its own.
var margin = charts.Box{Left: 8, Top: 10, Right: 14, Bottom: 8}

// ceiling is 1 for shares that are below it.
func (d *drawing) ceiling() *float64 {
	for _, l := range d.series {
		for _, v := range l.values {
			if d.unit != Share || v > 1 {
				return nil
			}
		}
	}
	return charts.Ptr(1.0)
}

func (d *drawing) lines(p *charts.Painter, theme charts.ColorPalette, x charts.CategoryAxisOption, y charts.ValueAxisOption, _ bool) error {
	var values [][]float64
	for _, l := range d.series {
		values = append(values, d.of(l))
	}
	opt := charts.NewLineChartOptionWithData(values)
	opt.Theme, opt.XAxis, opt.YAxis, opt.LineStrokeWidth, opt.ValueFormatter = theme, x, []charts.YAxisOption{y}, 2, d.axis
	opt.Padding = margin
	if len(d.points)*symbolRoom > p.Width() {
		opt.Symbol.Shape = charts.SymbolNone
	}
	if len(d.series) == 1 && !slices.Contains(values[0], charts.GetNullValue()) {
		opt.FillArea, opt.FillOpacity = charts.Ptr(true), 40
	}
	return p.LineChart(opt)
}

func (d *drawing) bars(p *charts.Painter, theme charts.ColorPalette, x charts.CategoryAxisOption, y charts.ValueAxisOption, flat bool) error {
	var values [][]float64
	for _, l := range d.series {
		one := d.of(l)
		if flat { // the first one stands on top
			slices.Reverse(one)
		}
		values = append(values, one)
	}
	if flat {
		x.Labels = slices.Clone(x.Labels)
		slices.Reverse(x.Labels)
	}
	opt := charts.NewBarChartOptionWithData(values)
	opt.Theme, opt.CategoryAxis, opt.ValueAxis, opt.Horizontal, opt.ValueFormatter = theme, x, []charts.ValueAxisOption{y}, flat, d.axis
	opt.Padding = margin
	if flat && len(d.series) == 1 {
		opt.Padding.Right += barLabel
		opt.SeriesList[0].Label = charts.SeriesLabel{Show: charts.Ptr(true), ValueFormatter: d.axis, FontStyle: charts.FontStyle{FontSize: fontSize}}
	}
	return p.BarChart(opt)
}

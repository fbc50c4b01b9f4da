package desk

import (
	"slices"

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
	legendRoom = 34
)

// draw makes the picture.
func (d *drawing) draw(plot Plot) ([]byte, error) {
	theme, _ := paletteOf(plot.Dark)
	font := charts.FontStyle{FontSize: fontSize}
	legend := charts.LegendOption{FontStyle: font, Show: charts.Ptr(len(d.series) > 1), Symbol: charts.SymbolDot}
	var labels []string
	for _, p := range d.points {
		labels = append(labels, cut(p.label, 26))
	}
	for _, l := range d.series {
		legend.SeriesNames = append(legend.SeriesNames, cut(l.name, 22))
	}
	title := charts.TitleOption{Show: charts.Ptr(plot.Shown), Text: printable(plot.Title), FontStyle: charts.FontStyle{FontSize: 12}}
	height := min(plot.Width/2, 380)
	if plot.Width < narrow {
		height = plot.Width * 3 / 4
	}
	flat := plot.Kind == "bar" && !d.timed
	if flat {
		height = 60 + len(labels)*(barHeight*len(d.series)+12)
	}
	if len(d.series) > 1 || plot.Shown {
		height += legendRoom
	}
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: plot.Width, Height: height, Theme: theme})
	value := charts.ValueAxisOption{LabelFontStyle: font, Min: d.floor()}
	category := charts.CategoryAxisOption{Labels: labels, LabelFontStyle: font, Title: d.note, TitleFontStyle: font}
	var err error
	if plot.Kind == "line" {
		err = d.lines(p, theme, category, value, legend, title)
	} else {
		err = d.bars(p, theme, category, value, legend, title, flat)
	}
	if err != nil {
		return nil, err
	}
	svg, err := p.Bytes()
	return dressed(svg, plot.Title), err
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

func (d *drawing) lines(p *charts.Painter, theme charts.ColorPalette, x charts.CategoryAxisOption, y charts.ValueAxisOption, legend charts.LegendOption, title charts.TitleOption) error {
	var values [][]float64
	for _, l := range d.series {
		values = append(values, d.of(l))
	}
	opt := charts.NewLineChartOptionWithData(values)
	opt.Theme, opt.XAxis, opt.YAxis, opt.Legend, opt.Title, opt.LineStrokeWidth, opt.ValueFormatter = theme, x, []charts.YAxisOption{y}, legend, title, 2, d.axis
	if len(d.points) > 40 {
		opt.Symbol.Shape = charts.SymbolNone
	}
	if len(d.series) == 1 && !slices.Contains(values[0], charts.GetNullValue()) {
		opt.FillArea, opt.FillOpacity = charts.Ptr(true), 40
	}
	return p.LineChart(opt)
}

func (d *drawing) bars(p *charts.Painter, theme charts.ColorPalette, x charts.CategoryAxisOption, y charts.ValueAxisOption, legend charts.LegendOption, title charts.TitleOption, flat bool) error {
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
	opt.Theme, opt.CategoryAxis, opt.ValueAxis, opt.Legend, opt.Title, opt.Horizontal, opt.ValueFormatter = theme, x, []charts.ValueAxisOption{y}, legend, title, flat, d.axis
	return p.BarChart(opt)
}

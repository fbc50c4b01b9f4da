package chaos

import (
	"fmt"
	"html"
	"io"
	"strings"
	"time"
)

const (
	pictureWidth  = 860
	pictureHeight = 420
	pictureLeft   = 60
	pictureRight  = 20
	pictureTop    = 60
	pictureBottom = 70
)

// SVG draws what the topics and the provider say over the time of the run, with the faults.
func (p Proof) SVG(w io.Writer) error {
	end, most := p.Began.Add(time.Duration(p.Report.Seconds*float64(time.Second))), max(1, p.limit)
	for _, c := range p.curves {
		for _, x := range c.points {
			most = max(most, x.value)
		}
	}
	span := end.Sub(p.Began)
	x := func(at time.Time) float64 {
		return pictureLeft + (pictureWidth-pictureLeft-pictureRight)*float64(at.Sub(p.Began))/float64(span)
	}
	y := func(v int) float64 {
		return pictureHeight - pictureBottom - (pictureHeight-pictureTop-pictureBottom)*float64(v)/(1.05*float64(most))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img"><title>%s</title>`, pictureWidth, pictureHeight, html.EscapeString(p.Promise))
	b.WriteString(`<style>text{fill:#222}path{fill:none}.c0{stroke:#2a7ab0;stroke-width:4}.c1{stroke:#b0532a;stroke-width:1.5}.fault{stroke:#888;stroke-dasharray:3 3}.limit,.axis{stroke:#222}.why{font-size:10px;fill:#777}` +
		`@media(prefers-color-scheme:dark){text{fill:#ddd}.limit,.axis{stroke:#ddd}.why{fill:#999}}</style>`)
	fmt.Fprintf(&b, `<text x="8" y="20" font-size="14">%s (seed %d, commit %s)</text>`, html.EscapeString(p.Promise), p.Report.Seed, html.EscapeString(p.Report.Commit))
	for i, c := range p.curves {
		fmt.Fprintf(&b, `<path class="c%d" d="M%d 38h24"/><text x="%d" y="42">%s</text>`, i, 8+270*i, 38+270*i, html.EscapeString(c.name))
	}
	fmt.Fprintf(&b, `<path class="axis" d="M%d %dV%.1fH%d"/>`, pictureLeft, pictureTop, y(0), pictureWidth-pictureRight)
	for i := range 5 {
		v, at := most*i/4, p.Began.Add(span*time.Duration(i)/4)
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end">%d</text><text x="%.1f" y="%.1f" text-anchor="middle">%.0f s</text>`, pictureLeft-6, y(v)+4, v, x(at), y(0)+16, at.Sub(p.Began).Seconds())
	}
	for i, s := range p.Report.Steps {
		anchor, aside := "start", 3.0
		if x(s.At) > pictureWidth*3/4 {
			anchor, aside = "end", -3
		}
		fmt.Fprintf(&b, `<path class="fault" d="M%.1f %dV%.1f"/><text class="why" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`, x(s.At), pictureTop, y(0), anchor, x(s.At)+aside, y(0)+30+float64(i%3)*12, html.EscapeString(s.What))
	}
	if p.limit > 0 {
		fmt.Fprintf(&b, `<path class="limit" d="M%d %.1fH%d"/><text x="%d" y="%.1f">%d units</text>`, pictureLeft, y(p.limit), pictureWidth-pictureRight, pictureLeft+6, y(p.limit)-5, p.limit)
	}
	for i, c := range p.curves {
		fmt.Fprintf(&b, `<path class="c%d" d="`, i)
		for j, at := range thin(c.points, pictureWidth) {
			fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(j, 1)], x(at.at), y(at.value))
		}
		fmt.Fprintf(&b, `H%d"/>`, pictureWidth-pictureRight) // until the end of the run
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// thin leaves about n points, the last one among them.
func thin(all []point, n int) (few []point) {
	step := max(1, len(all)/n)
	for i := 0; i < len(all); i += step {
		few = append(few, all[i])
	}
	if len(all) > 0 {
		few = append(few, all[len(all)-1])
	}
	return few
}

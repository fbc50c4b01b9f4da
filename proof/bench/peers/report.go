package peers

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report of a comparison.
type Report struct {
	Seed     uint64            `json:"seed"`
	Commit   string            `json:"commit"`
	Go       string            `json:"go"`
	CPUs     int               `json:"cpus"` // shared by everything
	At       string            `json:"at"`   // start, RFC 3339
	Rounds   int               `json:"rounds"`
	Seconds  float64           `json:"seconds"` // of each measurement
	Versions map[string]string `json:"versions"`
	Figures  []Figure          `json:"figures"`
	Ratios   []Ratio           `json:"ratios"`
}

// Figure of one side, once a round.
type Figure struct {
	ID         string    `json:"id"`
	Side       string    `json:"side"`
	What       string    `json:"what"`
	Unit       string    `json:"unit"`
	Durability string    `json:"durability"` // what an acknowledged order survives
	Samples    []float64 `json:"samples"`    // by round
	Median     float64   `json:"median"`
	Least      float64   `json:"least"`
	Most       float64   `json:"most"`
}

// Ratio of two medians.
type Ratio struct {
	Name   string  `json:"name"`
	Ours   string  `json:"ours"`            // id of a figure
	Theirs string  `json:"theirs"`          // id of a figure
	Less   bool    `json:"less,omitempty"`  // less is better: theirs over ours, otherwise ours over theirs
	Floor  float64 `json:"floor,omitempty"` // wanted at least; 0: printed only
	Goal   float64 `json:"goal,omitempty"`
	Value  float64 `json:"value"`
}

func (r *Report) figure(id string) *Figure {
	i := slices.IndexFunc(r.Figures, func(f Figure) bool { return f.ID == id })
	return &r.Figures[i]
}

func (r *Report) add(id string, v float64) {
	f := r.figure(id)
	f.Samples = append(f.Samples, v)
}

// sum takes medians and divides them.
func (r *Report) sum() {
	for i := range r.Figures {
		f := &r.Figures[i]
		s := slices.Sorted(slices.Values(f.Samples))
		f.Median, f.Least, f.Most = s[len(s)/2], s[0], s[len(s)-1]
	}
	for _, x := range ratios {
		ours, theirs := r.figure(x.Ours).Median, r.figure(x.Theirs).Median
		if x.Value = ours / theirs; x.Less {
			x.Value = theirs / ours
		}
		r.Ratios = append(r.Ratios, x)
	}
}

// JSON prints the report as one line.
func (r Report) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// Table prints the report as Markdown.
func (r Report) Table(w io.Writer) error {
	fmt.Fprintf(w, "seed %d, commit %s, %s, %d processors for everything together, %d rounds of %.0f s, PostgreSQL %s, Kafka Streams %s on Kafka %s\n\n",
		r.Seed, r.Commit, r.Go, r.CPUs, r.Rounds, r.Seconds, r.Versions["postgresql"], r.Versions["kafka-streams"], r.Versions["kafka"])
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(t, "| what\t| side\t| median\t| least – most\t| an acknowledged order survives a\t|\n|---\t|---\t|---\t|---\t|---\t|")
	for _, f := range r.Figures {
		fmt.Fprintf(t, "| %s\t| %s\t| %s %s\t| %s – %s\t| %s\t|\n", f.What, f.Side, number(f.Median), f.Unit, number(f.Least), number(f.Most), f.Durability)
	}
	fmt.Fprintln(t, "\n| ratio\t| \t| floor\t| goal\t|\n|---\t|---\t|---\t|---\t|")
	for _, x := range r.Ratios {
		fmt.Fprintf(t, "| %s\t| %.2f\t| %s\t| %s\t|\n", x.Name, x.Value, wanted(x.Floor), wanted(x.Goal))
	}
	return t.Flush()
}

func wanted(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprint(v)
}

// number with thousands set apart.
func number(v float64) string {
	s := fmt.Sprint(int64(math.Round(v)))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

const (
	chartWidth  = 860
	chartLabel  = 300
	chartRow    = 30
	chartMargin = 40
)

// SVG draws the ratios, on a logarithmic scale, with the line at which both sides are equal.
func (r Report) SVG(w io.Writer) error {
	var b strings.Builder
	height := chartMargin + chartRow*len(r.Ratios) + chartMargin
	most := 2.0
	for _, x := range r.Ratios {
		most = max(most, x.Value, x.Goal)
	}
	const least = 0.25
	at := func(v float64) float64 {
		return chartLabel + (chartWidth-chartLabel-60)*math.Log(max(v, least)/least)/math.Log(most/least)
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" role="img"><title>This system beside its peers, ratio of medians</title>`, chartWidth, height)
	b.WriteString(`<style>text{fill:#222}.bar{fill:#2a7ab0}.short{fill:#b0532a}.goal{stroke:#888;stroke-dasharray:3 3}.one{stroke:#222}@media(prefers-color-scheme:dark){text{fill:#ddd}.one{stroke:#ddd}}</style>`)
	fmt.Fprintf(&b, `<text x="8" y="20">Ratio of medians over %d rounds, logarithmic. Black line: equal. Dashed: goal. Commit %s.</text>`, r.Rounds, r.Commit)
	for i, x := range r.Ratios {
		y := chartMargin + chartRow*i
		class := "bar"
		if x.Value < x.Floor {
			class = "short"
		}
		from, to := min(at(1), at(x.Value)), max(at(1), at(x.Value))
		fmt.Fprintf(&b, `<text x="8" y="%d">%s</text><rect class="%s" x="%.1f" y="%d" width="%.1f" height="%d"/><text x="%.1f" y="%d">%.2f</text>`, y+18, x.Name, class, from, y+4, to-from, chartRow-10, to+6, y+18, x.Value)
		if x.Goal > 0 {
			fmt.Fprintf(&b, `<line class="goal" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, at(x.Goal), at(x.Goal), y, y+chartRow-2)
		}
	}
	fmt.Fprintf(&b, `<line class="one" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/></svg>`+"\n", at(1), at(1), chartMargin-6, height-chartMargin+6)
	_, err := io.WriteString(w, b.String())
	return err
}

package reports

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Fault is a value that a parameter does not take.
type Fault struct{ Param, Value, Rule string }

func (f *Fault) Error() string {
	return fmt.Sprintf("%s=%q: %s", f.Param, cut(f.Value), f.Rule)
}

func cut(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

const (
	maxSpan = 3653 * 24 * time.Hour // ten years
	maxText = 200                   // bytes
	instant = "2006-01-02 15:04:05.000"
)

// The times that ClickHouse can cut into hours and days.
var (
	firstTime = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

const timeRule = "must be a time such as 2026-11-24, 2026-11-24T10:00:00Z, -30d, -12h or now, from 1970 to 2099"

// Bind checks the values that were given for parameters, fills in the defaults of the others, and answers what is bound to the {name:Type} of the statement.
//
// A time is RFC 3339, a day (its first instant, UTC), now, or so many days or hours before now; with /d behind it, such as -30d/d, the first instant of that day. A
// default of from counts back from to. from is part of the span, to is not; from is before to, by ten years at most. A text has at most 200 bytes and no control
// characters. An empty value is one: it is not the default.
//
// The tenant is that of who asks. Errors are of type *Fault: an unknown parameter, a malformed value, or one that is out of range.
func (r Report) Bind(tenant string, given map[string]string, now time.Time) (map[string]string, error) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(r.Params, func(p Param) bool { return p.Name == name }) {
			return nil, &Fault{name, given[name], r.takes()}
		}
	}
	bound := map[string]string{"tenant": tenant}
	var from, to time.Time
	times := 0
	for _, p := range r.lastFirst() {
		value, isGiven := given[p.Name]
		if !isGiven {
			value = p.Default
		}
		if p.Type != "time" {
			if rule := p.refuses(value); rule != "" {
				return nil, &Fault{p.Name, value, rule}
			}
			bound[p.Name] = value
			continue
		}
		base := now
		if p.Name == "from" && !isGiven && times > 0 {
			base = to
		}
		at, ok := parseTime(value, base)
		if !ok {
			return nil, &Fault{p.Name, value, timeRule}
		}
		bound[p.Name] = at.Format(instant)
		switch p.Name {
		case "from":
			from = at
			times++
		case "to":
			to = at
			times++
		}
	}
	if times == 2 {
		if rule := spanRule(from, to); rule != "" {
			return nil, blame(given, from, to, rule)
		}
	}
	return bound, nil
}

// lastFirst is the parameters with to before from, which may depend on it.
func (r Report) lastFirst() []Param {
	ps := slices.Clone(r.Params)
	slices.SortStableFunc(ps, func(a, b Param) int {
		rank := func(p Param) int {
			if p.Name == "to" {
				return 0
			}
			return 1
		}
		return rank(a) - rank(b)
	})
	return ps
}

func (r Report) takes() string {
	if len(r.Params) == 0 {
		return "is no parameter: the report takes none"
	}
	var names []string
	for _, p := range r.Params {
		names = append(names, p.Name)
	}
	return "is no parameter: the report takes " + strings.Join(names, ", ")
}

func spanRule(from, to time.Time) string {
	switch {
	case !from.Before(to):
		return "must be before to"
	case to.Sub(from) > maxSpan:
		return "must be ten years before to, or less"
	}
	return ""
}

// blame names the end of the span that the caller gave.
func blame(given map[string]string, from, to time.Time, rule string) error {
	if value, ok := given["from"]; ok || given["to"] == "" {
		return &Fault{"from", value, rule + " (" + to.Format(time.RFC3339) + ")"}
	}
	return &Fault{"to", given["to"], "from (" + from.Format(time.RFC3339) + ") " + rule}
}

// refuses is why the parameter does not take the value; empty: it does.
func (p Param) refuses(value string) string {
	switch p.Type {
	case "choice":
		if !slices.Contains(p.Choices, value) {
			return "must be one of " + strings.Join(p.Choices, ", ")
		}
	case "number":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != value || n < p.Min || n > p.Max {
			return fmt.Sprintf("must be a whole number from %d to %d", p.Min, p.Max)
		}
	default:
		control := strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f })
		if len(value) > maxText || control || !utf8.ValidString(value) {
			return fmt.Sprintf("must be at most %d bytes of UTF-8 without control characters", maxText)
		}
	}
	return ""
}

var ago = regexp.MustCompile(`^-([0-9]{1,6})([dh])(/d)?$`)

func parseTime(s string, now time.Time) (time.Time, bool) {
	var at time.Time
	if s == "now" {
		at = now
	} else if m := ago.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[1])
		if m[2] == "d" {
			at = now.UTC().AddDate(0, 0, -n)
		} else {
			at = now.Add(-time.Duration(n) * time.Hour)
		}
		if m[3] != "" {
			at = at.UTC().Truncate(24 * time.Hour)
		}
	} else if day, err := time.Parse(time.DateOnly, s); err == nil {
		at = day
	} else if at, err = time.Parse(time.RFC3339Nano, s); err != nil {
		return at, false
	}
	at = at.UTC().Truncate(time.Millisecond)
	return at, !at.Before(firstTime) && at.Before(lastTime)
}

package reports

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	nameRule = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	wordRule = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	usedRule = regexp.MustCompile(`\{([a-z_][a-z0-9_]*):([^{}]+)\}`)
)

// parse reads one file: header lines such as "-- title: …", which may stand in any order and of which question may be repeated to go on, then the statement.
func parse(name, text string) (Report, error) {
	r := Report{Name: name}
	if !nameRule.MatchString(name) {
		return r, errors.New("its name must be words of small letters and digits with hyphens between")
	}
	lines := strings.Split(text, "\n")
	n := 0
	for ; n < len(lines) && strings.HasPrefix(lines[n], "-- "); n++ {
		key, rest, ok := strings.Cut(strings.TrimPrefix(lines[n], "-- "), ": ")
		if !ok {
			return r, fmt.Errorf("line %d: want -- key: value", n+1)
		}
		if err := r.header(key, strings.TrimSpace(rest)); err != nil {
			return r, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	r.SQL = strings.TrimSpace(strings.Join(lines[n:], "\n"))
	return r, r.check()
}

func (r *Report) header(key, rest string) error {
	switch key {
	case "title":
		r.Title = rest
	case "question":
		r.Question = strings.TrimSpace(r.Question + " " + rest)
	case "chart":
		return r.chart(rest)
	case "param":
		p, err := parseParam(rest)
		if err == nil && slices.ContainsFunc(r.Params, func(q Param) bool { return q.Name == p.Name }) {
			err = fmt.Errorf("parameter %s is there twice", p.Name)
		}
		r.Params = append(r.Params, p)
		return err
	default:
		return fmt.Errorf("unknown key %q", key)
	}
	return nil
}

func (r *Report) chart(rest string) error {
	words := strings.Fields(rest)
	if len(words) == 0 || !slices.Contains([]string{"line", "bar", "none"}, words[0]) {
		return errors.New("a chart is line, bar or none")
	}
	r.Chart.Kind = words[0]
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		switch {
		case v == "":
			return fmt.Errorf("%q: want column=name", w)
		case k == "x":
			r.Chart.X = v
		case k == "y":
			r.Chart.Y = strings.Split(v, ",")
		case k == "series":
			r.Chart.Series = v
		default:
			return fmt.Errorf("%q: want x, y or series", w)
		}
	}
	if r.Chart.Kind != "none" && (r.Chart.X == "" || len(r.Chart.Y) == 0) {
		return errors.New("a chart needs x and y")
	}
	return nil
}

// parseParam reads name, type, default, for a choice a list of choices and for a number a range, and the sentence about it in quotes.
func parseParam(s string) (Param, error) {
	words, err := split(s)
	if err != nil {
		return Param{}, err
	}
	if len(words) < 4 || !wordRule.MatchString(words[0]) || words[0] == "tenant" {
		return Param{}, fmt.Errorf(`%q: want name type default "sentence"`, s)
	}
	p := Param{Name: words[0], Type: words[1], Default: words[2], Doc: words[len(words)-1]}
	switch extra := words[3 : len(words)-1]; {
	case p.Type == "choice" && len(extra) == 1:
		p.Choices = strings.Split(extra[0], ",")
	case p.Type == "number" && len(extra) == 1:
		low, high, _ := strings.Cut(extra[0], "..")
		var errs [2]error
		p.Min, errs[0] = strconv.ParseInt(low, 10, 64)
		p.Max, errs[1] = strconv.ParseInt(high, 10, 64)
		if errors.Join(errs[:]...) != nil || p.Min > p.Max {
			return p, fmt.Errorf("%q: want a range such as 1..10", extra[0])
		}
	case (p.Type == "time" || p.Type == "text") && len(extra) == 0:
	default:
		return p, fmt.Errorf("%q: want a time or text, a choice with its choices, or a number with its range", s)
	}
	if p.Doc == "" {
		return p, fmt.Errorf("%s has no sentence about it", p.Name)
	}
	return p, nil
}

// split takes a line apart at blanks; "what is quoted" is one word.
func split(s string) (words []string, err error) {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		end := strings.IndexByte(s, ' ')
		if s[0] == '"' {
			if end = strings.IndexByte(s[1:], '"'); end < 0 {
				return nil, fmt.Errorf("%s: the quotes do not end", s)
			}
			words, s = append(words, s[1:end+1]), s[end+2:]
			continue
		}
		if end < 0 {
			end = len(s)
		}
		words, s = append(words, s[:end]), s[end:]
	}
	return words, nil
}

// typesOf are the types of ClickHouse that a parameter may be bound as.
var typesOf = map[string]string{"time": "DateTime64(3, 'UTC')", "text": "String", "number": "Int64", "choice": "String"}

// check tells what is missing, what does not fit, and a default that is none.
func (r *Report) check() error {
	switch {
	case r.Title == "" || r.Question == "":
		return errors.New("want a title and a question")
	case r.Chart.Kind == "":
		return errors.New("want a chart, or chart: none")
	case !strings.HasPrefix(r.SQL, "SELECT") && !strings.HasPrefix(r.SQL, "WITH"):
		return errors.New("want a statement that begins with SELECT or WITH")
	case strings.Contains(r.SQL, ";"):
		return errors.New("want one statement without a semicolon")
	}
	types := map[string]string{"tenant": "String"}
	for _, p := range r.Params {
		types[p.Name] = typesOf[p.Type]
	}
	used := map[string]bool{}
	for _, m := range usedRule.FindAllStringSubmatch(r.SQL, -1) {
		if types[m[1]] != m[2] {
			return fmt.Errorf("%s: the parameter is none, or is a %q", m[0], types[m[1]])
		}
		used[m[1]] = true
	}
	for name := range types {
		if !used[name] {
			return fmt.Errorf("parameter %s is not used", name)
		}
	}
	if _, err := r.Bind("tenant", nil, time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)); err != nil {
		return fmt.Errorf("a default: %w", err)
	}
	return nil
}

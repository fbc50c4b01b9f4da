package httpd

import "strings"

// kind is what a token is.
type kind uint8

const (
	word    kind = iota // a keyword, a name, a number
	quoted              // a name in double quotes or backticks
	literal             // a string
	sign                // one byte of anything else
)

// token is a piece of a statement that is neither space nor comment.
type token struct {
	kind  kind
	at    int // of its first byte
	end   int // behind its last
	depth int // of brackets around it
	text  string
}

func (t token) is(keyword string) bool { return t.kind == word && strings.EqualFold(t.text, keyword) }

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// skipSpace is the place behind the space and the comments at i.
func skipSpace(sql string, i int) int {
	for i < len(sql) {
		rest := sql[i:]
		end := -1
		switch {
		case rest[0] == ' ' || rest[0] >= '\t' && rest[0] <= '\r' || rest[0] == 0:
			end = 1
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "#!"), strings.HasPrefix(rest, "# "):
			end = strings.IndexByte(rest, '\n') + 1
		case strings.HasPrefix(rest, "/*"):
			if end = strings.Index(rest[2:], "*/"); end >= 0 {
				end += 4
			}
		default:
			return i
		}
		if end <= 0 {
			return len(sql)
		}
		i += end
	}
	return i
}

// closing is the place behind the quote that closes the one at i.
func closing(sql string, i int) int {
	for j := i + 1; j < len(sql); j++ {
		switch sql[j] {
		case '\\':
			j++
		case sql[i]: // a doubled quote reads as two tokens side by side, which changes nothing here
			return j + 1
		}
	}
	return len(sql)
}

// next is the token at or behind i; ok is false at the end.
func next(sql string, i, depth int) (t token, ok bool) {
	i = skipSpace(sql, i)
	if i >= len(sql) {
		return token{}, false
	}
	t = token{kind: sign, at: i, end: i + 1, depth: depth}
	switch c := sql[i]; {
	case c == '\'':
		t.kind, t.end = literal, closing(sql, i)
	case c == '"' || c == '`':
		t.kind, t.end = quoted, closing(sql, i)
	case isWord(c):
		t.kind = word
		for t.end < len(sql) && isWord(sql[t.end]) {
			t.end++
		}
		if tag := sql[i:t.end]; c == '$' && len(tag) > 1 && tag[len(tag)-1] == '$' { // $tag$ … $tag$
			t.kind = literal
			if n := strings.Index(sql[t.end:], tag); n >= 0 {
				t.end += n + len(tag)
			} else {
				t.end = len(sql)
			}
		}
	case (c == ')' || c == ']' || c == '}') && depth > 0:
		t.depth--
	}
	t.text = sql[t.at:t.end]
	return t, true
}

// statement is what the protocol has to know of a statement.
type statement struct {
	verb   string   // its first keyword in capitals: SELECT, INSERT, …
	format string   // of a FORMAT clause; empty: none
	head   string   // an INSERT whose data follows: the statement before FORMAT
	data   int      // where that data begins; 0: there is none, or it is read with the statement (VALUES, SELECT)
	file   bool     // names a file on the side of the client: INTO OUTFILE, FROM INFILE
	temp   bool     // makes a temporary table, which would outlive the request
	sets   []string // the settings that a SET names
	clause bool     // has a SETTINGS clause
}

// parse reads a statement, or the first bytes of an INSERT whose data goes on.
func parse(sql string) statement {
	var tokens []token
	depth := 0
	for i := 0; ; {
		t, ok := next(sql, i, depth)
		if !ok {
			break
		}
		i, depth = t.end, t.depth
		if t.kind == sign && strings.Contains("([{", t.text) {
			depth++
		}
		tokens = append(tokens, t)
		if n := len(tokens); n > 2 && tokens[0].is("INSERT") && t.depth == 0 && !named(tokens, n-1) {
			if t.is("VALUES") || t.is("SELECT") || t.is("WITH") {
				return statement{verb: "INSERT"}
			}
			if n > 3 && tokens[n-2].is("FORMAT") && !named(tokens, n-2) && t.kind == word {
				s := classify(tokens[:n-2])
				s.format, s.head, s.data = t.text, strings.TrimSpace(sql[:tokens[n-2].at]), dataAt(sql, t.end)
				return s
			}
		}
	}
	return classify(tokens)
}

// classify is parse for a statement without data.
func classify(tokens []token) (s statement) {
	for i, t := range tokens {
		follows := func(keyword string) bool { return i > 0 && tokens[i-1].is(keyword) }
		if s.verb == "" && t.text != "(" {
			s.verb = strings.ToUpper(t.text)
		}
		switch {
		case t.is("OUTFILE") && follows("INTO"), t.is("INFILE") && follows("FROM"):
			s.file = true
		case t.is("TEMPORARY") && (i == 1 || follows("REPLACE")):
			s.temp = s.verb == "CREATE"
		case t.is("SETTINGS") && t.depth == 0 && i > 0 && !named(tokens, i):
			s.clause = true
		case t.text == "=" && s.verb == "SET" && i > 0:
			s.sets = append(s.sets, tokens[i-1].text)
		case t.depth == 0 && t.kind == word && follows("FORMAT") && (i+1 == len(tokens) || tokens[i+1].is("SETTINGS") || tokens[i+1].text == ";"):
			s.format = t.text
		}
	}
	return s
}

// named tells whether the token at i stands where a name stands: after INTO, TABLE, FUNCTION or a dot.
func named(tokens []token, i int) bool {
	last := tokens[i-1]
	return last.text == "." || last.is("INTO") || last.is("TABLE") || last.is("FUNCTION")
}

// dataAt is where the data of an INSERT begins behind the name of its format: after spaces and at most one line end.
func dataAt(sql string, i int) int {
	for i < len(sql) && (sql[i] == ' ' || sql[i] == '\t' || sql[i] == '\f' || sql[i] == '\r') {
		i++
	}
	if i < len(sql) && sql[i] == '\n' {
		i++
	}
	return i
}

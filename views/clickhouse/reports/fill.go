package reports

import (
	_ "embed"
	"strings"
)

//go:embed bench/fill.sql
var fill string

// Fill is the statements, to be executed in order by a user who may write, that fill empty tables of facts with a shop of any size, made by ClickHouse itself: what the
// reports' speed is measured on. Each is bound to {lines:UInt64}, how many order lines are wanted, {to:DateTime64(3, 'UTC')}, the end of the thirty days that they are
// placed in, and {tenant:String}. The rows are no facts of any topic, so the database should be one that no sink fills.
func Fill() []string {
	var statements []string
	for s := range strings.SplitSeq(fill, ";\n") {
		var lines []string
		for line := range strings.SplitSeq(s, "\n") {
			if !strings.HasPrefix(line, "--") {
				lines = append(lines, line)
			}
		}
		if s = strings.TrimSpace(strings.Join(lines, "\n")); s != "" {
			statements = append(statements, s)
		}
	}
	return statements
}

package httpd

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Reader is the user that needs no password. What it may do: every statement runs in a session that was made read-only at the start of the process
// and has limits of time and memory. Read-only is ClickHouse's own, which forbids all writing and every table function that reaches outside; the rest
// of this file closes what the engine leaves open, because as a library it trusts whoever calls it. What stays visible is where the engine's own files are.
const Reader = "reader"

// readerLimits are the settings of a reader's session: seconds, bytes.
func readerLimits(memory int64) map[string]string {
	return map[string]string{
		"max_execution_time":            "30",
		"max_memory_usage":              strconv.FormatInt(memory, 10),
		"max_result_bytes":              "1000000000",
		"allow_introspection_functions": "0",
		"readonly":                      "1",
	}
}

// What readers may use of the engine's memory: a quarter in their places together, half in the large one. The last quarter is for inserts, merges and caches:
// with less of it, readers would make the inserts fail.
func placeOf(memory int64) int64 { return memory / 4 / readerSessions }
func largeOf(memory int64) int64 { return memory / 2 / largeSessions }

// readerVerbs are what a reader's statement may begin with. Read-only alone would let KILL QUERY pass, and SET readonly = DEFAULT.
var readerVerbs = []string{"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "USE"}

// readerSettings are the settings that a reader may give in a request: how values are written. All others of its settings are ignored.
var readerSettings = []string{
	"bool_false_representation", "bool_true_representation", "date_time_output_format", "date_time_overflow_behavior", "extremes",
	"format_csv_delimiter", "format_csv_null_representation", "format_tsv_null_representation",
	"output_format_bson_string_as_string", "output_format_csv_crlf_end_of_line", "output_format_decimal_trailing_zeros",
	"output_format_json_named_tuples_as_objects", "output_format_json_quote_64bit_floats", "output_format_json_quote_64bit_integers",
	"output_format_json_quote_decimals", "output_format_json_quote_denormals", "output_format_parquet_string_as_string",
	"output_format_pretty_max_rows", "output_format_pretty_row_numbers", "output_format_tsv_crlf_end_of_line", "output_format_write_statistics",
	"session_timezone",
}

// Words that a reader's statement may not hold, wherever they stand, even in a string: what reads them is the engine, and a check that understood
// the text in another way could be led around. file() reads any file of the machine though the session is read-only; a SETTINGS clause takes a limit
// away by "= DEFAULT" and has no other use there; INTO OUTFILE writes a file; the rest are ways to the first, or to the process itself.
var (
	forbidden = regexp.MustCompile(`(?i)(?:^|[^\w$])(file|infile|outfile|eval|settings|stack_trace|catboostEvaluate)(?:$|[^\w$])`)
	settingOf = regexp.MustCompile(`(?i)(^|[^\w$.])system\.(settings|merge_tree_settings)\b`)
	// spelled is a letter by its number in a quoted name, by which a forbidden word could be written.
	spelled = regexp.MustCompile("(?s)[\"`“”].*\\\\x|\\\\x.*[\"`“”]")
	// described is what DESCRIBE may ask about: a table or a SELECT. Of a table function the engine would fetch the columns from outside, unchecked.
	described = regexp.MustCompile("(?is)^\\s*desc(ribe)?\\s+(table\\s+)?(" + tableName + "(\\s*\\.\\s*" + tableName + ")?|\\(\\s*(select|with)\\b.*\\))\\s*(format\\s+\\w+)?\\s*;?\\s*$")
)

const tableName = "(\\w+|\"[^\"\\\\]*\"|`[^`\\\\]*`)"

// closeWays takes out of the engine, for the life of the process, what no check of a statement could tell from what is harmless.
//
// The database default is an overlay of an ordinary one and of the file system, in which every path is a table: EXISTS and DESCRIBE would tell a reader which
// files there are. The ordinary part alone takes its place; it has the id of the overlay, so the tables that somebody has made in it stay.
//
// Whoever reads system.models starts a process, and waits ten seconds for it.
func closeWays(s *session) error {
	r, err := s.Query("SELECT uuid FROM system.databases WHERE name = 'default'", "TabSeparatedRaw", nil)
	if err != nil {
		return err
	}
	defer r.Free()
	id := strings.TrimSpace(string(r.Bytes()))
	for _, sql := range []string{"DETACH DATABASE default", "ATTACH DATABASE default UUID " + quote(id) + " ENGINE = Atomic", "DETACH TABLE system.models"} {
		if err := s.Exec(sql); err != nil {
			return err
		}
	}
	return nil
}

// mayRead is the exception that a reader's statement ends in, or nil.
func mayRead(sql string, s statement) error {
	if !slices.Contains(readerVerbs, s.verb) {
		return exceptionf(164, "READONLY", "%s: Cannot execute query in readonly mode: only %s", Reader, strings.Join(readerVerbs, ", "))
	}
	if m := forbidden.FindStringSubmatch(settingOf.ReplaceAllString(sql, "$1 ")); m != nil {
		return exceptionf(164, "READONLY", "%s: Cannot execute query in readonly mode: the word %s is not for this user", Reader, m[1])
	}
	if strings.HasPrefix(s.verb, "DESC") && !described.MatchString(sql) {
		return exceptionf(164, "READONLY", "%s: Cannot execute query in readonly mode: DESCRIBE is for a table or a SELECT", Reader)
	}
	if spelled.MatchString(sql) {
		return exceptionf(164, "READONLY", "%s: Cannot execute query in readonly mode: \\x beside a quoted name is not for this user", Reader)
	}
	return nil
}

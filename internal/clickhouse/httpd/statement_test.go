package httpd

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for sql, want := range map[string]statement{
		"":                                             {},
		"SELECT 1":                                     {verb: "SELECT"},
		" /* INSERT */ -- x\n(select 1)":               {verb: "SELECT"},
		"#!x\nselect 1":                                {verb: "SELECT"},
		"select 1 format TSV":                          {verb: "SELECT", format: "TSV"},
		"SELECT 1 FORMAT CSV;":                         {verb: "SELECT", format: "CSV"},
		"SELECT 1 FORMAT CSV SETTINGS a = 1":           {verb: "SELECT", format: "CSV", clause: true},
		"SELECT 'FORMAT CSV'":                          {verb: "SELECT"},
		"SELECT format FROM t":                         {verb: "SELECT"},
		"SELECT (SELECT 1 FORMAT CSV)":                 {verb: "SELECT"},
		"SELECT 1 AS \"a FORMAT CSV":                   {verb: "SELECT"},
		"SELECT 1 -- FORMAT CSV":                       {verb: "SELECT"},
		"SELECT $x$ ' FORMAT CSV $x$":                  {verb: "SELECT"},
		"SELECT 'a\\' FORMAT CSV'":                     {verb: "SELECT"},
		"SELECT 'a'' FORMAT CSV'":                      {verb: "SELECT"},
		"SELECT 1 INTO OUTFILE 'x'":                    {verb: "SELECT", file: true},
		"SELECT outfile FROM into":                     {verb: "SELECT"},
		"SET a = 1, b='x=y'":                           {verb: "SET", sets: []string{"a", "b"}},
		"CREATE TEMPORARY TABLE x (a Int8)":            {verb: "CREATE", temp: true},
		"CREATE OR REPLACE TEMPORARY TABLE x (a Int8)": {verb: "CREATE", temp: true},
		"CREATE TABLE temporary (a Int8)":              {verb: "CREATE"},
		"INSERT INTO t VALUES (1)":                     {verb: "INSERT"},
		"INSERT INTO t SELECT 1 FORMAT TSV":            {verb: "INSERT"},
		"INSERT INTO t WITH 1 AS x SELECT x":           {verb: "INSERT"},
		"INSERT INTO t FORMAT TSV 1":                   {verb: "INSERT", format: "TSV", head: "INSERT INTO t", data: 25},
		"INSERT INTO t (a, `b)`) FORMAT Native\n\x01":  {verb: "INSERT", format: "Native", head: "INSERT INTO t (a, `b)`)", data: 38},
		"insert into format format TSV\n1":             {verb: "INSERT", format: "TSV", head: "insert into format", data: 30},
		"INSERT INTO db.values FORMAT TSV 1":           {verb: "INSERT", format: "TSV", head: "INSERT INTO db.values", data: 33},
		"INSERT INTO t (format, values) FORMAT TSV  1": {verb: "INSERT", format: "TSV", head: "INSERT INTO t (format, values)", data: 43},
		"INSERT INTO TABLE FUNCTION f('FORMAT x') SETTINGS a = 1 FORMAT TSV \r\n 1": {verb: "INSERT", format: "TSV", head: "INSERT INTO TABLE FUNCTION f('FORMAT x') SETTINGS a = 1", data: 69, clause: true},
		"INSERT INTO t /* FORMAT X */ FORMAT TSV\n\n1":                              {verb: "INSERT", format: "TSV", head: "INSERT INTO t /* FORMAT X */", data: 40},
		"INSERT INTO t FROM INFILE 'x' FORMAT TSV":                                  {verb: "INSERT", format: "TSV", head: "INSERT INTO t FROM INFILE 'x'", data: 40, file: true},
	} {
		if got := parse(sql); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, want %+v", sql, got, want)
		}
	}
}

// Whatever the text is, reading it ends and stays inside it.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"INSERT INTO t FORMAT TSV\n1", "SELECT $a$ x $a$", "'\\", "/*", "--", "$", "((((", "))", "\"a\\", "SET a=", "INSERT INTO", "INSERT FORMAT", "FORMAT x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		s := parse(sql)
		if s.data > len(sql) || s.data < 0 || !strings.Contains(sql, s.head) {
			t.Errorf("%q: %+v", sql, s)
		}
		_ = mayRead(sql, s)
	})
}

package desk

import (
	"bytes"
	"strings"
	"testing"
)

func TestStatementsThatOnlyReadAreTaken(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1": "SELECT 1", " select 1 ; ": "select 1", "-- why\nSELECT 1;\n-- done\n": "-- why\nSELECT 1", "/* ; */ SELECT ';' AS a;": "/* ; */ SELECT ';' AS a", "(SELECT 1)": "(SELECT 1)", "WITH 1 AS x SELECT x": "WITH 1 AS x SELECT x",
		`SELECT 'it\'s; FORMAT'`: `SELECT 'it\'s; FORMAT'`, "SHOW TABLES": "SHOW TABLES", "DESC orders_now": "DESC orders_now", "EXPLAIN SELECT 1": "EXPLAIN SELECT 1", "SELECT `format` x": "SELECT `format` x", "FROM orders_now SELECT 1": "FROM orders_now SELECT 1",
	} {
		if got, err := Statement(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestOtherStatementsAreRefused(t *testing.T) {
	conn, _ := shop(t)
	before := contents(t)
	for text, why := range map[string]string{
		"": "want a statement", " ;; ": "want a statement", "-- nothing": "want a statement", "SELECT 1; SELECT 2": "one statement", "SELECT 1; DROP TABLE payments": "one statement", "SELECT 1;;'x'": "one statement",
		"INSERT INTO payments SELECT * FROM payments SETTINGS readonly = DEFAULT": "only read", "DROP TABLE payments": "only read", "ALTER TABLE payments DELETE WHERE 1": "only read", "SET readonly = 0": "only read", "KILL QUERY WHERE 1": "only read",
		"TRUNCATE TABLE payments": "only read", "(((INSERT INTO payments SELECT 1)))": "only read", "/* SELECT */ OPTIMIZE TABLE payments": "only read", "SYSTEM SHUTDOWN": "only read", "USE default": "only read", "SELECT 1 SETTINGS readonly = 0": "stay so",
		"SELECT 1 FORMAT JSON": "-o", "SELECT 1 INTO OUTFILE 'x'": "-o", "WITH x AS (SELECT 1) INSERT INTO payments SELECT * FROM x SETTINGS readOnly=DEFAULT": "stay so",
	} {
		if sql, err := Statement(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %q, %v", text, sql, err)
		}
	}
	// What would get past it meets a ClickHouse that reads.
	for _, sql := range []string{"INSERT INTO products (tenant) VALUES ('x')", "ALTER TABLE payments DELETE WHERE 1", "DROP TABLE payments", "CREATE TABLE x (a Int8) ENGINE = Memory", "WITH x AS (SELECT 1) INSERT INTO products (tenant) SELECT 'x'"} {
		if _, err := Plain(t.Context(), conn, new(bytes.Buffer), "csv", sql, Limits{}); err == nil {
			t.Errorf("%s was run", sql)
		}
	}
	if contents(t) != before {
		t.Error("the tables have changed")
	}
}

func TestWhatIsTypedIsCompleteAtItsSemicolon(t *testing.T) {
	for text, want := range map[string]bool{"SELECT 1": false, "SELECT 1;": true, "SELECT ';'": false, "SELECT ';\n": false, "SELECT 1 -- ;": false, "SELECT 1 -- ;\n;": true} {
		if Complete(text) != want {
			t.Errorf("%q", text)
		}
	}
}

func FuzzStatement(f *testing.F) {
	for _, seed := range []string{"SELECT 1", "'", "/*", "--", `"\`, ";", "SELECT 1;x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if sql, err := Statement(text); err == nil && (sql == "" || strings.HasSuffix(sql, ";")) {
			t.Errorf("%q became %q", text, sql)
		}
		Complete(text)
	})
}

package desk

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var update = flag.Bool("update", false, "write the dictionary and the dashboard anew")

// sources are the messages that the tables come from, by their families and names.
var sources = map[string]string{
	"order_events":    "order/OrderCreated order/OrderConfirmed order/OrderRejected order/OrderExpired order/OrderCancellationRequested order/OrderCancelled",
	"order_lines":     "order/OrderCreated order/OrderConfirmed order/OrderRejected",
	"payments":        "payment/PaymentProcessed",
	"stock_movements": "inventory/InventoryUpdated",
	"stock_alerts":    "inventory/InventoryLow inventory/BackInStock",
	"products":        "product/ProductAdded",
	"orders_now":      "order/OrderRow",
}

// fieldNames are those that a column is called otherwise than its field.
var fieldNames = map[string]string{"at": "at_ms", "placed_at": "placed_at_ms", "decided_at": "decided_at_ms", "updated_at": "now_ms", "country": "ship_country", "payment_method": "method"}

// docsOf gathers the docs of a schema's fields that are no list and no record, by name; also of records within.
func docsOf(t *testing.T, schema any, into map[string][]string) {
	switch s := schema.(type) {
	case []any:
		for _, one := range s {
			docsOf(t, one, into)
		}
	case map[string]any:
		if s["type"] == "array" {
			docsOf(t, s["items"], into)
		}
		fields, _ := s["fields"].([]any)
		for _, f := range fields {
			f := f.(map[string]any)
			name, doc := f["name"].(string), fmt.Sprint(f["doc"])
			inner, nested := f["type"].(map[string]any)
			if !nested || inner["type"] != "array" && inner["type"] != "record" {
				into[name] = append(into[name], doc)
			}
			docsOf(t, f["type"], into)
		}
	}
}

// significant are the words that a sentence is about.
func significant(s string) []string {
	return strings.FieldsFunc(strings.ToLower(strings.ReplaceAll(s, "’", "'")), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' })
}

// says tells whether a meaning has all that a doc says.
func says(meaning, doc string) bool {
	have := significant(meaning)
	for _, w := range significant(doc) {
		if len(w) > 3 && !slices.Contains(have, w) {
			return false
		}
	}
	return true
}

// unitOfColumn is what a column's numbers count, or how its texts are written.
func unitOfColumn(name, typ string) string {
	has := func(names string) bool { return slices.Contains(strings.Fields(names), name) }
	switch {
	case strings.HasPrefix(typ, "DateTime64(3"):
		return "UTC, milliseconds"
	case strings.HasSuffix(name, "_minor"):
		return "minor units of currency"
	case has("quantity units on_hand reserved safety_stock incoming damaged available threshold"):
		return "units"
	case has("lines locations"):
		return "count"
	case strings.HasSuffix(name, "offset"):
		return "offset"
	case strings.HasPrefix(typ, "Enum"):
		return "one of its names"
	}
	return ""
}

// made is the dictionary as the engine and the schemas have it.
func made(t *testing.T) (all []table) {
	conn, _ := shop(t)
	rows, err := conn.Query(t.Context(), `SELECT t.name, t.comment, t.engine, t.sorting_key, c.name, c.type, c.comment FROM system.tables AS t JOIN system.columns AS c ON c.database = t.database AND c.table = t.name
		WHERE t.database = 'oms' AND t.engine LIKE '%MergeTree' AND t.name != 'goose_db_version' ORDER BY indexOf(['orders_now', 'order_events', 'order_lines', 'payments', 'stock_movements', 'stock_alerts', 'products', 'dead_letters'], t.name) = 0,
		indexOf(['orders_now', 'order_events', 'order_lines', 'payments', 'stock_movements', 'stock_alerts', 'products', 'dead_letters'], t.name), t.name, c.position`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var tab table
		var f field
		if err := rows.Scan(&tab.Name, &tab.About, &tab.Engine, &tab.Key, &f.Name, &f.Type, &f.Meaning); err != nil {
			t.Fatal(err)
		}
		if len(all) == 0 || all[len(all)-1].Name != tab.Name {
			all = append(all, tab)
		}
		f.Unit = unitOfColumn(f.Name, f.Type)
		last := &all[len(all)-1]
		last.Columns = append(last.Columns, f)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		addSchemaDocs(t, &all[i])
	}
	return all
}

// addSchemaDocs has a column say what the schema says of its field, where its comment does not.
func addSchemaDocs(t *testing.T, tab *table) {
	docs := map[string][]string{}
	for _, name := range strings.Fields(sources[tab.Name]) {
		text, err := os.ReadFile(filepath.Join("../../../schemas", name+".avsc"))
		if err != nil {
			t.Fatal(err)
		}
		var schema any
		if err := json.Unmarshal(text, &schema); err != nil {
			t.Fatal(err)
		}
		docsOf(t, schema, docs)
	}
	for i, f := range tab.Columns {
		if f.Meaning == "" {
			t.Errorf("%s.%s has no comment", tab.Name, f.Name)
		}
		of := docs[f.Name]
		if other := docs[fieldNames[f.Name]]; of == nil {
			of = other
		}
		if len(of) > 0 && !slices.ContainsFunc(of, func(doc string) bool { return says(f.Meaning, doc) }) {
			t.Logf("%s.%s is %q and the schema says %q", tab.Name, f.Name, f.Meaning, of)
			tab.Columns[i].Meaning += "; in the message: " + of[0]
		}
	}
}

func TestTheDictionaryIsThatOfTheTables(t *testing.T) {
	all := made(t)
	if len(all) < 8 {
		t.Fatalf("%d tables", len(all))
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	if err := e.Encode(all); err != nil {
		t.Fatal(err)
	}
	same(t, "dictionary.json", text.Bytes())
	same(t, "../../../docs/dictionary.md", dictionaryText(all))
}

// same holds a file to what it is made from, or makes it.
func same(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what it is made from (%v): run the test with -update", path, err)
	}
}

// dictionaryText is the dictionary as Markdown.
func dictionaryText(all []table) []byte {
	var b bytes.Buffer
	escape := strings.NewReplacer("|", `\|`, "\n", " ").Replace
	fmt.Fprintf(&b, "# Dictionary\n\n%s\n\nGenerated from the migrations and the schemas by `go test ./views/clickhouse/desk -run TestTheDictionary -update`; `oms up` serves it at `/reports/dictionary`.\n", dictionaryIntro)
	for _, t := range all {
		fmt.Fprintf(&b, "\n## %s\n\n%s. %s by `%s`.\n\n| column | type | unit | meaning |\n|---|---|---|---|\n", t.Name, sentence(t.About), t.Engine, t.Key)
		for _, f := range t.Columns {
			fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", f.Name, escape(f.Type), escape(f.Unit), escape(f.Meaning))
		}
	}
	return b.Bytes()
}

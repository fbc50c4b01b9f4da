// Package arch holds the rules of the house as tests: who may import what, and how long a file may be.
package arch

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// file is one Go file of the module, by its path from the root.
type file struct {
	path    string // "processors/order/order.go"
	dir     string
	test    bool
	syntax  *ast.File
	set     *token.FileSet
	imports []string
}

func files(t *testing.T) []file {
	t.Helper()
	var all []file
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata" || d.Name() == "data") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		set := token.NewFileSet()
		syntax, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		f := file{path: filepath.ToSlash(rel), dir: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(path, "_test.go"), syntax: syntax, set: set}
		for _, i := range syntax.Imports {
			f.imports = append(f.imports, strings.Trim(i.Path.Value, `"`))
		}
		all = append(all, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("found %d Go files: the walk is broken", len(all))
	}
	return all
}

// under tells whether a path is the package or below it.
func under(path string, packages ...string) bool {
	for _, p := range packages {
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

var rooms = []string{"oms/schemas", "oms/topics", "oms/processors", "oms/gateways", "oms/ingest", "oms/views", "oms/proof"}

// mayImport is what each room may import of this module. The first line that fits counts; main, which wires, may import all.
var mayImport = []struct {
	room    string
	allowed []string
}{
	{"schemas", nil},
	{"topics", []string{"oms/schemas"}},
	{"processors/order", []string{"oms/schemas", "oms/internal/planted"}},
	{"processors/payment", []string{"oms/schemas", "oms/internal/planted"}},
	{"processors/product", []string{"oms/schemas", "oms/internal/planted"}},
	{"processors/customer", []string{"oms/schemas", "oms/internal/planted"}},
	{"processors/login", []string{"oms/schemas", "oms/internal/planted"}},
	{"processors", []string{"oms/schemas", "oms/topics", "oms/processors", "oms/internal"}},
	{"gateways", []string{"oms/schemas", "oms/topics", "oms/gateways", "oms/internal"}},
	{"ingest", []string{"oms/schemas", "oms/topics", "oms/ingest", "oms/internal"}},
	{"views", []string{"oms/schemas", "oms/topics", "oms/views", "oms/internal"}},
	// The books share nothing with the machines. What does is the fold of the inboxes (I9), which asks whether the machines alone explain the tables; only who runs both
	// knows both.
	{"proof/audit/checkpoint", nil},
	{"proof/audit/fold", []string{"oms/schemas", "oms/processors", "oms/proof/audit", "oms/internal/kafka"}},
	{"proof/audit/cluster", []string{"oms/topics", "oms/processors", "oms/gateways", "oms/proof/audit", "oms/internal/kafka", "oms/internal/archive"}}, // the names of the groups
	{"proof/audit", []string{"oms/schemas", "oms/topics", "oms/proof/audit/checkpoint", "oms/internal/kafka"}},
	{"proof/sandbox", []string{"oms/internal"}},
	{"proof/load", []string{"oms/proof/workload"}},
	{"proof/simulation", []string{"oms/schemas", "oms/topics", "oms/proof", "oms/internal", "oms/processors", "oms/gateways/payment"}}, // it runs them without Kafka
	{"proof/provider", []string{"oms/schemas", "oms/gateways/payment"}},                                                                // whose port it implements
	{"proof/bench", []string{"oms/schemas", "oms/topics", "oms/proof", "oms/internal", "oms/views/clickhouse/reports"}},                // whose questions it times
	{"proof", []string{"oms/schemas", "oms/topics", "oms/proof", "oms/internal"}},
	{"internal", []string{"oms/internal"}},
	{".", []string{"oms"}},
}

func TestRoomsSpeakOnlyThroughTopics(t *testing.T) {
	for _, f := range files(t) {
		if f.test {
			continue // a test may bring a broker, a sandbox or a neighbour
		}
		for _, rule := range mayImport {
			if f.dir != rule.room && !under(f.dir, rule.room) {
				continue
			}
			for _, i := range f.imports {
				if under(i, "oms") && !under(i, rule.allowed...) {
					t.Errorf("%s imports %s; %s may import %v", f.path, i, rule.room, rule.allowed)
				}
			}
			break
		}
	}
}

func TestPlumbingKnowsNoRoom(t *testing.T) {
	for _, f := range files(t) {
		for _, i := range f.imports {
			if !f.test && under(f.dir, "internal") && under(i, rooms...) {
				t.Errorf("%s imports %s", f.path, i)
			}
		}
	}
}

// doors names, for each library that has one, where it may be imported.
var doors = []struct{ library, places string }{
	{"github.com/lovoo/goka", "processors/shell.go views internal/stream internal/store"},
	{"github.com/IBM/sarama", "internal/stream"},
	{"github.com/twmb/franz-go", "config.go app.go internal/kafka internal/stream gateways/gateways.go gateways/claim.go ingest views proof/bench"},
	{"github.com/twmb/avro", "schemas/codec.go internal/archive"}, // whose files are containers of records, whatever is in these
	{"github.com/linkedin/goavro", "schemas/json.go"},
	{"github.com/gofiber/fiber", "ingest views internal/web"},
	{"github.com/cockroachdb/pebble", "internal/store views"},
	{"github.com/ebitengine/purego", "internal/clickhouse"},
	{"github.com/ClickHouse/clickhouse-go", "internal/clickhouse views/clickhouse proof/bench"},
	{"github.com/ClickHouse/ch-go", "internal/clickhouse"},
	{"github.com/jackc/pgx", "proof/bench/peers"},
	{"github.com/Shopify/toxiproxy", "proof/chaos"},
}

func TestEachLibraryHasOneDoor(t *testing.T) {
	for _, f := range files(t) {
		for _, d := range doors {
			for _, i := range f.imports {
				if f.test || !under(i, d.library) {
					continue
				}
				open := false
				for _, place := range strings.Fields(d.places) {
					open = open || f.path == place || under(f.dir, place)
				}
				if !open {
					t.Errorf("%s imports %s, which is for %s", f.path, i, d.places)
				}
			}
		}
	}
}

// A machine is a function of its input: nothing in it can read a clock, roll a dice, wait or reach out. What is planted is false in every build but the one that shows
// that planted bugs are caught, and one and the same during a run of that.
var machineLibraries = []string{"bytes", "cmp", "errors", "fmt", "iter", "maps", "math", "math/bits", "slices", "sort", "strconv", "strings", "oms/schemas", "oms/internal/planted"}

func TestMachinesArePure(t *testing.T) {
	for _, f := range files(t) {
		machine := under(f.dir, "processors/order", "processors/payment", "processors/product", "processors/customer", "processors/login")
		row := f.dir == "processors" && !slices.Contains([]string{"processors/shell.go", "processors/processors.go", "processors/take.go"}, f.path) // take.go prints a panic's stack
		if f.test || !machine && !row {
			continue
		}
		for _, i := range f.imports {
			if !slices.Contains(machineLibraries, i) && !(row && (under(i, "oms/processors") || i == "oms/topics")) {
				t.Errorf("%s imports %s", f.path, i)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", f.set.Position(n.Pos()))
			case *ast.ChanType:
				t.Errorf("%s has a channel", f.set.Position(n.Pos()))
			case *ast.Ident:
				if n.Name == "float64" || n.Name == "float32" {
					t.Errorf("%s counts in %s", f.set.Position(n.Pos()), n.Name)
				}
			}
			return true
		})
	}
}

func TestOnlyMainReadsTheEnvironmentFlagsAndSignals(t *testing.T) {
	for _, f := range files(t) {
		if f.test || f.dir == "." || under(f.dir, "internal/kafka/kafkatest", "internal/clickhouse/clickhousetest") {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok {
					switch x.Name + "." + s.Sel.Name {
					case "os.Getenv", "os.LookupEnv", "os.Environ", "flag.Parse", "signal.Notify", "signal.NotifyContext", "os.Args":
						t.Errorf("%s uses %s.%s", f.set.Position(n.Pos()), x.Name, s.Sel.Name)
					}
				}
			}
			return true
		})
	}
}

const (
	maxFileLines     = 400
	maxFunctionLines = 70
	excuse           = "//long:" // with the reason behind it, at the top of a file that is longer for one
)

func TestFilesAndFunctionsAreShort(t *testing.T) {
	for _, f := range files(t) {
		lines, excused := measure(t, f.path)
		if excused || f.test {
			continue
		}
		if lines > maxFileLines {
			t.Errorf("%s has %d lines, at most %d: split it, or say why not in a line %q", f.path, lines, maxFileLines, excuse+" why")
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				if n := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1; n > maxFunctionLines {
					t.Errorf("%s: %s has %d lines, at most %d", f.path, fn.Name.Name, n, maxFunctionLines)
				}
			}
		}
	}
}

func measure(t *testing.T, path string) (lines int, excused bool) {
	t.Helper()
	r, err := os.Open(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for s := bufio.NewScanner(r); s.Scan(); lines++ {
		excused = excused || strings.HasPrefix(s.Text(), excuse) && len(s.Text()) > len(excuse)+10
	}
	return lines, excused
}

func TestNoPackageIsADrawerForEverything(t *testing.T) {
	for _, f := range files(t) {
		if name := f.syntax.Name.Name; slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "manager", "impl", "misc"}, name) {
			t.Errorf("%s is in a package called %s", f.path, name)
		}
	}
}

package schemas

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/avro"
)

var release = flag.Bool("release", false, "freeze every working schema that differs from its newest release, as a new version")

// working answers the text of the kind's schema that is being worked on.
func working(t *testing.T, k Kind) string {
	t.Helper()
	part := strings.Split(string(k.Info().Name), ".")
	text, err := os.ReadFile(filepath.Join(part[1], part[2]+".avsc"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryWorkingSchemaIsReleased(t *testing.T) {
	next := uint32(1)
	for _, r := range Releases() {
		next = max(next, r.ID+1)
	}
	for _, k := range Kinds() {
		w, text := writers[k], working(t, k)
		if w != nil && w.Text == text {
			continue
		}
		if !*release {
			t.Errorf("%s differs from its newest release: check it, then `go test ./schemas -run Released -release` and `go test ./schemas -update`", k)
			continue
		}
		version := 1
		if w != nil {
			version = w.Version + 1
		}
		name := fmt.Sprintf("released/%04d.%s.v%d.avsc", next, k, version)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		next++
	}
}

// Every version can be read by every other one, older or newer: a topic is read from its start by today's binary, and by yesterday's while a cluster is upgraded.
func TestEveryReleaseReadsEveryOther(t *testing.T) {
	for _, a := range Releases() {
		for _, b := range Releases() {
			if a.Kind != b.Kind {
				continue
			}
			if err := avro.CheckCompatibility(a.schema, b.schema); err != nil {
				t.Errorf("%s: what v%d writes cannot be read as v%d: %v", a.Kind, a.Version, b.Version, err)
			}
		}
	}
}

func TestTheCompatibilityCheckSeesABreak(t *testing.T) {
	text := writers[KindOrderConfirmed].Text
	broken := avro.MustParse(strings.Replace(text, `"name": "total_minor",
      "type": "long"`, `"name": "total_minor",
      "type": "string"`, 1))
	if bytes.Equal(broken.Canonical(), writers[KindOrderConfirmed].schema.Canonical()) {
		t.Fatal("the schema was not changed")
	}
	if avro.CheckCompatibility(writers[KindOrderConfirmed].schema, broken) == nil {
		t.Fatal("a long that became a string was taken for compatible")
	}
}

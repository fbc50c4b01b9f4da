package chaos

import (
	"bytes"
	"encoding/xml"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func proofOf(t *testing.T, run func(Config) (Proof, error)) Proof {
	t.Helper()
	t.Parallel() // a proof mostly waits
	dir := t.TempDir()
	p, err := run(Config{Binary: binary, Seed: 1, Orders: 300, Rate: 75, Every: 90, Dir: dir, Record: filepath.Join(dir, "client.jsonl"), Progress: t.Output(), Log: logFile(t)})
	must(t, err, p.Table(t.Output()))
	for _, v := range p.Report.Violations {
		t.Error(v)
	}
	drawn(t, p)
	return p
}

// drawn demands a picture that can be read, with both curves and each fault.
func drawn(t *testing.T, p Proof) {
	t.Helper()
	var b bytes.Buffer
	must(t, p.SVG(&b))
	picture := b.String()
	for d := xml.NewDecoder(&b); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("the picture: %v", err)
		}
	}
	if n := strings.Count(picture, `class="fault"`); n != len(p.Report.Steps) || n == 0 || strings.Count(picture, `class="c1"`) != 2 || strings.Count(picture, "L") < 10 {
		t.Errorf("%d steps, the picture: %s", len(p.Report.Steps), picture)
	}
}

func TestTheProofOfNoOversellSellsAllAndNoMore(t *testing.T) {
	p := proofOf(t, func(c Config) (Proof, error) { return Oversell(t.Context(), c, 180) })
	if r := rowOf(t, p, "orders that hold a unit and money"); r.Topics != "180" || r.Provider != "180" || r.Buyers != "180" {
		t.Errorf("%+v", r)
	}
	if r := rowOf(t, p, "buyers, each wants one unit"); r.Topics != "300" || r.Buyers != "300" {
		t.Errorf("%+v", r)
	}
}

func TestTheProofOfExactlyOnceSendsEachOrderOften(t *testing.T) {
	p := proofOf(t, func(c Config) (Proof, error) { return ExactlyOnce(t.Context(), c) })
	if r := rowOf(t, p, "orders that were meant"); r.Topics != "300" || r.Buyers != "300" {
		t.Errorf("%+v", r)
	}
	if r := rowOf(t, p, "charges"); r.Topics != r.Provider || len(r.Topics) != 3 {
		t.Errorf("%+v", r)
	}
	if p.Report.Load.Documents < 900 || p.Report.Load.Replayed < 500 {
		t.Errorf("%+v", p.Report.Load)
	}
}

func rowOf(t *testing.T, p Proof, what string) Row {
	t.Helper()
	for _, r := range p.Rows {
		if r.What == what {
			return r
		}
	}
	t.Fatalf("no row %q in %+v", what, p.Rows)
	return Row{}
}

// Books that do not agree are told, whatever the auditor says.
func TestAProofSaysWhatDoesNotAgree(t *testing.T) {
	r := run{Config: Config{Progress: t.Output()}}
	p := Proof{Promise: "nothing happens", Began: time.Unix(0, 0)}
	p.row("charges", 3, 4, none)
	p.money("money held", 1234, 5)
	p.equal(&r, "charges", 4, 4)
	p.equal(&r, "charges", 3, 4)
	p.Report = r.report
	var b bytes.Buffer
	must(t, p.Table(&b))
	for _, want := range []string{"charges            3                       4", "12.34 EUR                0.05 EUR", "VIOLATION: charges: 3 and 4", `"nothing happens" is BROKEN`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}

func TestAnAccountKnowsWhatIsHeldAndHowOftenItWasTaken(t *testing.T) {
	a := newAccount()
	a.take("a", 10, time.Unix(1, 0))
	a.take("b", 20, time.Unix(2, 0))
	a.take("b", 20, time.Unix(3, 0))
	a.giveBack("a", 10, time.Unix(4, 0))
	if a.taken != 3 || a.most != 2 || a.held != 40 || len(a.charges) != 1 || a.charges["b"] != 40 || a.curve[3] != (point{time.Unix(4, 0), 1}) {
		t.Errorf("%+v", a)
	}
}

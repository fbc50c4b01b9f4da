package chaos

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheSameSeedIsTheSamePlanAndAnotherSeedAnother(t *testing.T) {
	for _, topology := range []string{Embedded, Cluster} {
		kinds, err := ParseFaults("all", topology)
		must(t, err)
		first, again, other := NewPlan(7, topology, kinds, 50_000, 1_000), NewPlan(7, topology, kinds, 50_000, 1_000), NewPlan(8, topology, kinds, 50_000, 1_000)
		if !reflect.DeepEqual(first, again) {
			t.Errorf("%s: two plans of one seed:\n%v\n%v", topology, first, again)
		}
		if reflect.DeepEqual(first, other) {
			t.Errorf("%s: two seeds have one plan", topology)
		}
		var a, b bytes.Buffer
		must(t, first.Text(&a), again.Text(&b))
		if a.String() != b.String() || strings.Count(a.String(), "\n") != 49 {
			t.Errorf("%s: printed:\n%s", topology, a.String())
		}
	}
}

func TestAPlanDoesEachKindEquallyOftenAndNeverTwoToOneTarget(t *testing.T) {
	for _, topology := range []string{Embedded, Cluster} {
		kinds, err := ParseFaults("all", topology)
		must(t, err)
		done, twins := map[Kind]int{}, 0
		for _, s := range NewPlan(1, topology, kinds, 401_000, 1_000) {
			for _, f := range s.Faults {
				done[f.Kind]++
				if members := names(topology, ""); !slices.Contains(append(members, "all", "broker", "provider"), f.Target) {
					t.Errorf("%v has no such target", f)
				}
				if f.Kind == Pause && f.For <= 10*time.Second {
					t.Errorf("%v is over before the session is", f)
				}
			}
			if len(s.Faults) == 2 {
				if twins++; s.Faults[0].Target == s.Faults[1].Target {
					t.Errorf("%v: both to one", s)
				}
			}
		}
		var counts []int
		for _, k := range kinds {
			counts = append(counts, done[k])
		}
		if slices.Max(counts)-slices.Min(counts) > 1 || slices.Min(counts) < 20 || twins < 20 {
			t.Errorf("%s: %v, %d steps with two", topology, done, twins)
		}
	}
}

func TestAPlanWithoutRoomForAFaultIsEmpty(t *testing.T) {
	if p := NewPlan(1, Embedded, []Kind{Kill}, 100, 1_000); len(p) != 0 {
		t.Error(p)
	}
	if p := NewPlan(1, Embedded, nil, 100_000, 1_000); len(p) != 0 {
		t.Error(p)
	}
}

func TestFaultsAreReadFromAList(t *testing.T) {
	for list, want := range map[string][]Kind{"kill": {Kill}, "kill, pause,kill": {Kill, Pause}} {
		if got, err := ParseFaults(list, Embedded); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	if all, err := ParseFaults("all", Cluster); err != nil || !slices.Equal(all, Kinds) {
		t.Errorf("all: %v, %v", all, err)
	}
	if all, err := ParseFaults("all", Embedded); err != nil || slices.Contains(all, Cut) || slices.Contains(all, KillBroker) || !slices.Contains(all, DiskFull) {
		t.Errorf("all: %v, %v", all, err)
	}
	for list, want := range map[string]string{
		"":          `--faults: "": want all, or some of kill, kill-twice, kill-all`,
		"kill,fire": `--faults: "fire": want all, or some of`,
		"cut":       "--faults: cut: not on topology embedded: all roles share one process",
	} {
		if _, err := ParseFaults(list, Embedded); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", list, err, want)
		}
	}
}

func TestAFaultIsOverWhenWhatWasOpenAndOneThatCameLaterAreDecided(t *testing.T) {
	w := newWatch(func(outcome string) bool { return outcome == "CONFIRMED" })
	w.place("a")
	w.place("b")
	x := w.since()
	w.place("c")
	over := func() bool {
		select {
		case <-x.over:
			return true
		default:
			return false
		}
	}
	for _, step := range []struct {
		key, outcome string
		over         bool
	}{{"a", "CONFIRMED", false}, {"c", "REJECTED", false}, {"nobody", "CONFIRMED", false}, {"b", "REJECTED", false}} {
		if w.end(step.key, step.outcome); over() != step.over {
			t.Errorf("after %s %s it is over: %v", step.key, step.outcome, over())
		}
	}
	w.place("d")
	if w.end("d", "CONFIRMED"); !over() {
		t.Error("all is decided, and it is not over")
	}
	if first, decided, before := w.state(x); first <= 0 || !decided || before != 0 {
		t.Errorf("recovery %v, decided %v, %d of before", first, decided, before)
	}
}

func TestTheReportCountsWhatWasDone(t *testing.T) {
	r := run{report: Report{Seed: 3, Commit: "abc", Topology: Embedded}}
	for i := range 3 {
		r.report.done(&r.mu, Fault{Kind: Kill})
		r.report.recovered(&r.mu, Step{Faults: []Fault{{Kind: Kill}}}, time.Duration(i+1)*time.Second, time.Duration(2*i+2)*time.Second)
	}
	r.report.done(&r.mu, Fault{Kind: Pause})
	r.report.recovered(&r.mu, Step{Faults: []Fault{{Kind: Pause}}}, 9*time.Second, 9*time.Second)
	r.report.skipped(&r.mu, Fault{Kind: DiskFull}, "no root")
	r.report.Violations = []string{"I4 is broken"}
	if got, want := r.report.Recovery[Kill], (Recovery{Faults: 3, FirstP50: 2000, FirstMax: 3000, WholeP50: 4000, WholeMax: 6000}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := r.report.All, (Recovery{Faults: 4, FirstP50: 2000, FirstMax: 9000, WholeP50: 4000, WholeMax: 9000}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	var b bytes.Buffer
	must(t, r.report.Table(&b))
	for _, want := range []string{"seed 3, commit abc", "kill     3             2000 ms  3000 ms", "skipped 1 × disk-full: no root", "VIOLATION: I4 is broken", "4 faults, 0 orders, 1 violations"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}

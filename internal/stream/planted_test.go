//go:build planted

package stream_test

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"oms/internal/planted"
)

// The processes that a test starts have its bug.
func init() { planted.Choose(planted.Bug(os.Getenv("OMS_PLANTED"))) }

// catchers is the test that catches each bug. Those that kill at random moments need more of them than usual.
var catchers = map[planted.Bug]struct{ test, kills string }{
	planted.StateBeforeCommit:   {"TestAStopDeadAtAnyPointLosesAndDoublesNothing", ""},
	planted.StateAhead:          {"TestAfterKillsOfTheEngineEveryInputHasHadOneStep", "60"},
	planted.DeadlinesNotIndexed: {"TestEachDeadlineComesOnceWhenItIsDue", ""},
	planted.DeadlineAskedOnce:   {"TestADeadlineWhoseRecordCameToNothingIsAskedForAgain", ""},
}

var why = regexp.MustCompile(`(?m)^ +\w+_test\.go:\d+: .*$`)

func TestPlantedBugsAreCaught(t *testing.T) {
	if os.Getenv("OMS_PLANTED") != "" {
		t.Skip("this process has a bug of its own")
	}
	for _, b := range planted.Engine {
		t.Run(string(b), func(t *testing.T) {
			c := catchers[b]
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+c.test+"$", "-test.timeout", "5m")
			cmd.Env = append(os.Environ(), "OMS_PLANTED="+string(b))
			if c.kills != "" {
				cmd.Env = append(cmd.Env, "OMS_KILLS="+c.kills)
			}
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("%s passes with it:\n%s", c.test, out)
			}
			said := why.Find(out)
			if said == nil {
				t.Fatalf("%s ended with %v, and no test has said why:\n%s", c.test, err, out)
			}
			t.Logf("%-22s caught by %s:%s", b, c.test, said)
		})
	}
}

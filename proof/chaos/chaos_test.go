package chaos

import (
	"os"
	"path/filepath"
	"testing"
)

// The command's own run, as short as it can be and still meet every kind that does not wait for a session to end.
func TestAShopOnTheEmbeddedBrokerStandsWhatAPlanDoesToIt(t *testing.T) {
	dir := t.TempDir()
	faults := []Kind{Kill, Restart, ProviderDead, ProviderWrong, ProviderTwice, StateLost, StateOld, BitFlip, DiskFull}
	report, err := Run(t.Context(), Config{Binary: binary, Topology: Embedded, Seed: 1, Orders: 4_000, Rate: 400, Every: 380, Faults: faults, Dir: dir, Record: filepath.Join(dir, "client.jsonl"), Progress: t.Output(), Log: logFile(t)})
	must(t, err)
	for _, v := range report.Violations {
		t.Error(v)
	}
	done := 0
	for _, n := range report.Faults {
		done += n
	}
	if done < len(faults)-1 || report.Load.Documents < 4_000 || report.All.Faults < done-2 || os.Getuid() == 0 && len(report.Skipped) > 0 {
		t.Errorf("%d faults, %d recoveries, %d documents, skipped %v", done, report.All.Faults, report.Load.Documents, report.Skipped)
	}
	must(t, report.Table(t.Output()))
}

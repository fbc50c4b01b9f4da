package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/pprof/profile"

	"oms/internal/web"
)

// The labels that tell for whom a sample was spent: ours, and the one that Pebble puts on its flushes and compactions.
const (
	labelPart   = "part"
	labelPebble = "pebble"
	unlabelled  = "runtime" // garbage collection in the background, and what timers start
)

// watchShares profiles the server for the time of a measurement when that is asked for. The answer is to be called at its end, and waits for the profile.
func (r *run) watchShares(ctx context.Context, seconds int) (shares func() (map[string]float64, error)) {
	if r.Profiles == "" || r.Server == "" {
		return func() (map[string]float64, error) { return nil, nil }
	}
	var by map[string]float64
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		by, err = r.profile(ctx, min(max(1, seconds), web.ProfileMost))
	}()
	return func() (map[string]float64, error) {
		<-done
		return by, err
	}
}

// profile asks for a profile of the processor, keeps it, and answers the share of each part, in per cent.
func (r *run) profile(ctx context.Context, seconds int) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+patience)
	defer cancel()
	raw, err := r.get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", seconds))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.Profiles, 0o755); err != nil {
		return nil, err
	}
	name := r.name
	for n := 2; ; n++ { // a ladder has several
		if _, err := os.Stat(filepath.Join(r.Profiles, name+".pprof")); err != nil {
			break
		}
		name = fmt.Sprintf("%s-%d", r.name, n)
	}
	if err := os.WriteFile(filepath.Join(r.Profiles, name+".pprof"), raw, 0o644); err != nil {
		return nil, err
	}
	p, err := profile.ParseData(raw)
	if err != nil {
		return nil, fmt.Errorf("the profile: %w", err)
	}
	return shares(p), nil
}

func shares(p *profile.Profile) map[string]float64 {
	by, all := map[string]float64{}, 0.0
	for _, s := range p.Sample {
		part := unlabelled
		switch {
		case len(s.Label[labelPart]) > 0:
			part = s.Label[labelPart][0]
		case len(s.Label[labelPebble]) > 0:
			part = labelPebble
		}
		spent := float64(s.Value[len(s.Value)-1]) // nanoseconds
		by[part] += spent
		all += spent
	}
	for part := range by {
		by[part] *= 100 / all
	}
	return by
}

package stream_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"oms/internal/kafka/kafkatest"
	"oms/internal/stream"
)

func TestMembersThatComeAndGoLoseAndDoubleNothing(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r := newRig(t, b)
		base := t.TempDir()
		join := func(name string) *instance {
			return r.start(filepath.Join(base, name), count(r), func(c *stream.Config) { c.Instance = name })
		}
		members := map[string]*instance{"a": join("a")}
		for round, change := range []string{"+b", "-a", "+c", "+a", "-b", "-c"} {
			r.send(200, 40)
			name := change[1:]
			if change[0] == '+' {
				members[name] = join(name)
			} else {
				members[name].halt()
				delete(members, name)
			}
			r.send(200, 40)
			if round%2 == 1 {
				r.awaitPassed()
			}
		}
		r.awaitPassed(members["a"])
		members["a"].halt()
		r.verify()
	})
}

func TestOfTwoWithOneNameOneIsFenced(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Broker) {
		r := newRig(t, b)
		base := t.TempDir()
		var twins []*instance
		for n := range 2 {
			i := r.start(filepath.Join(base, fmt.Sprint(n)), count(r), nil)
			twins = append(twins, i)
			alive, ended := context.WithCancel(t.Context())
			go func() { <-i.done; ended() }() // the second one may be fenced before it is ever ready
			if err := i.engine.WaitReady(alive); err != nil && n == 0 {
				t.Fatal(err)
			}
			r.send(200, 40)
		}
		for ended := 0; ended == 0; {
			r.send(40, 40)
			for _, i := range twins {
				select {
				case <-i.done:
					ended++
					if !errors.Is(i.err, stream.ErrFenced) && !strings.Contains(fmt.Sprint(i.err), stream.ErrFenced.Error()) {
						t.Fatalf("the fenced one ended with %v", i.err)
					}
				default:
				}
			}
		}
		for _, i := range twins {
			select {
			case <-i.done:
			default:
				r.awaitPassed(i)
				i.halt()
			}
		}
		r.verify()
	})
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"oms/topics"
)

// TopicsCmd shows and makes the topics.
type TopicsCmd struct {
	List  TopicsListCmd  `cmd:"" help:"Print every topic: key, retention, meaning."`
	Apply TopicsApplyCmd `cmd:"" help:"Create the topics that a cluster lacks."`
}

// TopicsListCmd prints the page of topics.
type TopicsListCmd struct {
	Output string `short:"o" help:"table or json." enum:"table,json" default:"table"`
}

// Run prints it.
func (c TopicsListCmd) Run(r *run) error {
	keep := map[topics.Policy]string{topics.KeepForever: "for ever", topics.KeepHour: "1 hour", topics.Compact: "last value per key"}
	if c.Output == "json" {
		type row struct {
			Topic string `json:"topic"`
			Key   string `json:"key"`
			Kept  string `json:"kept"`
			Doc   string `json:"doc"`
		}
		var all []row
		for _, t := range topics.All {
			all = append(all, row{t.Name, t.Key, keep[t.Policy], t.Doc})
		}
		return json.NewEncoder(r.out).Encode(all)
	}
	for _, t := range topics.All {
		fmt.Fprintf(r.out, "%-24s key %-12s kept %-20s %s\n", t.Name, t.Key, keep[t.Policy], t.Doc)
	}
	return nil
}

// TopicsApplyCmd creates topics.
type TopicsApplyCmd struct {
	Kafka  string `help:"The Kafka cluster." placeholder:"HOST:PORT"`
	DryRun bool   `help:"Only print what would be created."`
}

// Run creates what is missing; a topic that is there with another partition count or policy is an error.
func (c TopicsApplyCmd) Run(r *run) error {
	conf, err := r.config(brokers(c.Kafka))
	if err != nil {
		return err
	}
	if len(conf.Kafka.Brokers) == 0 {
		return errors.New("--kafka: want the address of the cluster (or setting kafka.brokers)")
	}
	s, err := conf.Kafka.settings()
	if err != nil {
		return err
	}
	plan, err := planTopics(r.ctx, s, conf.Kafka, c.DryRun)
	for _, change := range plan {
		fmt.Fprintf(r.out, "%-24s %s\n", change.Topic, change.Action)
	}
	if err == nil && len(plan) == 0 {
		fmt.Fprintln(r.out, "nothing to do")
	}
	return err
}

// brokers is the flag --kafka as a setting; empty: not given.
func brokers(flag string) map[string]any {
	if flag == "" {
		return map[string]any{}
	}
	return map[string]any{"kafka.brokers": strings.Split(flag, ",")}
}

// SandboxCmd runs the provider of play money alone.
type SandboxCmd struct {
	Listen string `help:"Address of the sandbox." placeholder:"HOST:PORT"`
	Data   string `help:"Directory of its ledger." placeholder:"DIR"`
}

// Run serves until it is told to stop.
func (c SandboxCmd) Run(r *run) error {
	conf, err := r.config(map[string]any{"payments.sandbox.listen": c.Listen, "data": c.Data})
	if err != nil {
		return err
	}
	s, err := startSandbox(r, conf)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "ready sandbox=%s data=%s\n", s.URL(), conf.Data)
	<-r.ctx.Done()
	return s.Close()
}

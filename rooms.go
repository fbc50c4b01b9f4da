package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"oms/gateways"
	"oms/gateways/payment"
	"oms/ingest"
	"oms/internal/seal"
	"oms/internal/web"
	"oms/schemas"
	"oms/views"
	"oms/views/clickhouse/desk"
)

// openGateways starts the payment dispatcher with every provider that is configured.
func (a *app) openGateways() error {
	if !a.has(roleGateways) {
		return nil
	}
	urls := map[string]string{"sandbox": a.conf.Payments.Sandbox.URL}
	dials := map[string]payment.Dial{}
	if a.sandbox != nil {
		dials["sandbox"] = a.sandbox.Dial
	}
	providers := map[string]payment.Provider{}
	for name, build := range payment.Register {
		if urls[name] == "" {
			continue
		}
		p, err := build(urls[name], dials[name])
		if err != nil {
			return fmt.Errorf("payments.%s.url: %w", name, err)
		}
		providers[name] = p
	}
	if len(providers) == 0 {
		return fmt.Errorf("payments.sandbox.url: empty: the role gateways needs a provider to ask (--sandbox URL)")
	}
	c := gateways.Config{Kafka: a.cluster, Providers: providers, Log: a.log, Metrics: a.metrics}
	if a.embedded == nil { // which does not know such members
		c.Instance = a.conf.Instance
	}
	d, err := gateways.New(c)
	if err != nil {
		return err
	}
	a.parts = append(a.parts, part{"payment gateway", d.Run, d.Ready})
	return nil
}

// drain is how long requests under way may take after a stop was asked for.
const drain = 3 * time.Second

// auth is who requests run as, until real authentication can be configured.
var auth = web.None{Tenant: schemas.DefaultTenant}

// checkHTTP refuses a bad address before anything is made on the disk or in the cluster.
func (a *app) checkHTTP() error { return web.CheckListen(a.conf.HTTP, auth) }

// openHTTP starts the server with the rooms of the roles. Commands are answered from the views, so role ingest brings them along.
func (a *app) openHTTP() error {
	server := web.New(web.Config{Authenticator: auth, Public: append(slices.Clone(web.HealthPaths), "/", "/openapi.json", "/docs"), Log: a.log})
	web.Health(server, a.ready, a.details, a.metrics)
	web.Profile(server)
	stopping := func() {}
	if a.has(roleIngest, roleViews) {
		v, err := a.openRooms()
		if err != nil {
			return err
		}
		v.Routes(server)
		if a.commands != nil {
			a.commands.Routes(server)
		}
		stopping = v.Stopping
		a.log.Warn("auth: none: whoever reaches this loopback address is staff of the shop", "http", a.conf.HTTP)
	}
	if a.analytics != nil {
		desk.New(desk.Config{Conn: a.analytics.conn, Behind: a.analytics.behind, Log: a.log, Metrics: a.metrics}).Routes(server)
	}
	bound := make(chan struct{})
	a.parts = append(a.parts, part{"http", func(ctx context.Context) error {
		defer context.AfterFunc(ctx, stopping)()
		return web.Listen(ctx, server, a.conf.HTTP, drain, func(address string) {
			a.address = address
			close(bound)
		})
	}, func() bool {
		select {
		case <-bound:
			return true
		default:
			return false
		}
	}})
	return nil
}

// syncKeys: a key must outlive what is sealed under it. A cluster keeps its log through a power loss here; the embedded broker does as it is set.
func (a *app) syncKeys() bool { return a.embedded == nil || a.conf.Kafka.Fsync }

// openRooms opens the views, and ingest with the role.
func (a *app) openRooms() (*views.Views, error) {
	dir := cmp.Or(a.conf.Keys, filepath.Join(a.conf.Data, "keys"))
	secret, err := seal.Secret(filepath.Join(dir, "secret"))
	if err != nil {
		return nil, err
	}
	keys, err := seal.Open(seal.Config{Dir: dir, Sync: a.syncKeys()})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, keys.Close)
	v, err := views.New(views.Config{Kafka: a.cluster, Dir: filepath.Join(a.conf.Data, "views"), Unseal: keys, Cursors: web.NewCursors(secret), Log: a.log, Metrics: a.metrics})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, v.Close)
	a.parts = append(a.parts, part{"views", v.Run, v.Ready})
	if !a.has(roleIngest) {
		return v, nil
	}
	labelled("ingest", func() {
		a.commands, err = ingest.New(ingest.Config{Kafka: a.cluster, Views: v, Seal: keys, Secret: secret, Settings: a.conf.stamped(), Log: a.log})
	})
	if err != nil {
		return nil, err
	}
	a.parts = append(a.parts, part{"ingest", a.commands.Run, a.commands.Ready})
	return v, nil
}

// stamped is what ingest writes on each order.
func (c Config) stamped() ingest.Settings {
	s := ingest.Settings{DecisionTimeout: c.Orders.DecisionTimeout, CancelTimeout: c.Orders.CancelTimeout, MaxTotalMinor: c.Orders.MaxTotalMinor,
		Provider: c.Payments.Provider, Routes: map[string]string{}, PaymentTries: c.Payments.Tries, PaymentTimeout: c.Payments.Timeout}
	for _, r := range c.Payments.Routes {
		method, provider, _ := strings.Cut(r, "=")
		s.Routes[method] = provider
	}
	return s
}

func (a *app) httpURL() string { return "http://" + a.address }

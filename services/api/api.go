// Package api is the api service: it takes the requests of apps and browsers,
// issues and checks challenges, and publishes what workers deliver.
//
//	request -> challenge -> event -> worker -> provider
//
// This file is its wiring and table of contents. A request enters at an edge
// (internal/httpapi, oidc, callback, pages), passes the one pipeline
// (internal/pipeline), reaches rules that know neither HTTP nor SQL (tenant,
// apikey, user, factor, challenge, guard, delivery, token), and rests in the
// store (internal/sqlstore) or the ephemeral store (pkg/ephemeral). Events
// leave through pkg/bus; internal/relay brings back what became of them.
package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/run"
	"countersign.dev/pkg/telemetry"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/backchannel"
	"countersign.dev/services/api/internal/callback"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/consent"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/hashing"
	"countersign.dev/services/api/internal/httpapi"
	"countersign.dev/services/api/internal/mailserver"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/pages"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/relay"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/template"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
	"countersign.dev/services/api/internal/user"
	"countersign.dev/services/api/internal/verification"
)

// Parts are what the one binary shares between the services of one process.
// What is nil the service opens from its configuration.
type Parts struct {
	Ephemeral ephemeral.Store
	Bus       *bus.Bus
	Telemetry *telemetry.Telemetry
	Log       *slog.Logger
	// Inbox serves the page /inbox, which shows every code: dev only.
	Inbox bool
	// Demo answers at /demo and below, beside the routes of the tables: dev only.
	Demo http.Handler
}

// Service is a wired api service.
type Service struct {
	cfg         Config
	log         *slog.Logger
	store       *sqlstore.Store
	short       ephemeral.Store
	bus         *bus.Bus
	telemetry   *telemetry.Telemetry
	metrics     *metrics
	pipeline    *pipeline.Pipeline
	tables      [][]pipeline.Route
	relay       *relay.Relay
	outgoing    *relay.Outgoing // wakes for what rules have put into the outbox
	grants      *grant.Service
	sessions    *session.Service
	consents    *consent.Service
	backchannel *backchannel.Service
	reminders   *password.Reminders
	turns       *hashing.Pool
	filter      *filterFile  // nil without one
	demo        http.Handler // nil but in dev
	handler     http.Handler
	tls         *tls.Config // nil serves plain HTTP
	listener    net.Listener
	opsPort     net.Listener   // nil when somebody else has one
	opened      []func() error // closes what this service opened itself
	ownBus      bool
	admin       *Admin
}

// New opens everything the service needs and binds its address, so that a
// busy port or an unreachable database is an error here and not a log line
// later. Redis and NATS may be down: what needs them answers 503 until they
// are back.
func New(ctx context.Context, cfg Config, parts Parts) (*Service, error) {
	s := &Service{cfg: cfg, log: parts.Log, short: parts.Ephemeral, bus: parts.Bus, telemetry: parts.Telemetry, demo: parts.Demo}
	if err := s.build(ctx, parts.Inbox); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Service) build(ctx context.Context, inbox bool) (err error) {
	keys, err := readKeys(s.cfg)
	if err != nil {
		return err
	}
	if err := s.open(ctx, keys); err != nil {
		return err
	}
	if err := s.wire(ctx, keys, inbox); err != nil {
		return err
	}
	if s.handler, err = s.route(); err != nil {
		return err
	}
	if s.tls, err = serverTLS(s.cfg, s.log); err != nil {
		return err
	}
	s.listener, err = s.listen("ADDR", s.cfg.Addr)
	return err
}

// wire builds the rules from the ground up and collects the edges' tables.
func (s *Service) wire(ctx context.Context, keys keyrings, inbox bool) error {
	now := time.Now
	tenants := &tenant.Service{Store: s.store, Resolver: newDNS(s.cfg.DNSServer), Now: now}
	connections := &tenant.Connections{Store: s.store, Now: now}
	apiKeys := &apikey.Service{Store: s.store, Now: now}
	users := &user.Service{Store: s.store, Now: now}
	deliveries := &delivery.Service{Store: s.store, Keys: keys.delivery, Index: keys.index, Now: now}
	composer := &outbox.Composer{Keys: keys.delivery, Host: s.cfg.host(), Now: now}
	hasher, err := s.hasher()
	if err != nil {
		return err
	}
	watch := &guard.Guard{
		Store: s.store, Codes: s.short, Policy: s.cfg.guessPolicy(), Turns: s.turns, Tagger: hasher, Outbox: composer, Now: now,
		Observe: s.metrics.compared, Alarm: s.sprayed,
	}
	challenges := &challenge.Service{
		Store: s.store, Codes: s.short, Claims: &claim.Book{Store: s.short, Now: now}, Publisher: s.bus, Guard: watch,
		Keys: keys.delivery, Index: keys.index, Policy: s.cfg.codePolicy(), Bounds: s.cfg.bounds(), Host: s.cfg.host(), Now: now, Log: s.log,
		Stopped: s.metrics.sendStopped, Alarm: func(a challenge.Alarm) { s.metrics.alarm(string(a)) },
	}
	s.outgoing = &relay.Outgoing{
		Outbox: s.store, Bus: s.bus, Claims: &claim.Book{Store: s.short, Now: now}, Now: now, Log: s.log,
		Servers: s.store, Keys: keys.delivery, Failed: s.metrics.outboxFailed, Backlog: s.metrics.outboxOpen,
	}
	templates := &template.Service{Store: s.store, Outbox: composer, Relay: s.outgoing, Now: now}
	news := &notice.Service{Outbox: composer, Store: s.store, Relay: s.outgoing, Now: now, Templates: templates}
	factors := &factor.Service{
		Store: s.store, Challenges: challenges, Guard: watch, Gate: s.short, Hasher: hasher, Notices: news, Now: now, Drifted: s.metrics.drifted,
	}
	tokens := &token.Service{Store: s.store, Keys: keys.database, Issuer: s.cfg.BaseURL, Now: now}
	if err := tokens.Prepare(ctx); err != nil {
		return fmt.Errorf("prepare signing keys: %w", err)
	}

	s.wireGrants(keys, composer)
	apps := &app.Service{Store: s.store, Outbox: composer, Relay: s.outgoing, Now: now}
	s.admin = &Admin{tenants: tenants, keys: apiKeys, tokens: tokens, store: s.store}
	s.relay = &relay.Relay{Bus: s.bus, Deliveries: deliveries, Log: s.log, Observe: s.metrics.outcome}
	s.wireBackchannel(tokens)
	s.wirePipeline(keys, tenants, tokens, factors)
	with, err := s.wireLogins(keys, users, factors, news, hasher)
	if err != nil {
		return err
	}
	with.mails, s.reminders = s.mailcodes(keys, watch, factors, news), with.reminders
	if err := s.wireBreaches(with.passwords); err != nil {
		return err
	}
	s.tables = [][]pipeline.Route{
		(&httpapi.API{
			Tenants: tenants, Connections: connections, Keys: apiKeys, Apps: apps, Consents: s.consents, Sessions: s.sessions, Users: users, Factors: factors, Deliveries: deliveries, Activity: s.store, Previews: s.previews(keys),
			Templates: templates, BaseURL: s.cfg.BaseURL,
			MailServers: &mailserver.Connections{Store: s.store, Outbox: composer, Relay: s.outgoing, Now: now},
			Logins:      with.logins, Notices: news, LinkChallenges: with.challenges, Passwords: with.passwords, PasswordConnections: with.connections,
		}).Routes(),
		s.tokenPaths(watch, tokens),
		(&callback.Twilio{Deliveries: deliveries, AuthToken: s.cfg.TwilioAuthToken, BaseURL: s.cfg.BaseURL}).Routes(),
	}
	s.tables = append(append(s.tables, s.wireFlows(keys, tenants, tokens, factors, news, with)...), s.logouts(tenants, tokens).Routes())
	s.tables = append(s.tables, s.wireVerification(proving{keys, tenants, users, factors, watch, news, with}))
	docs, err := s.docs()
	if err != nil {
		return err
	}
	s.tables = append(s.tables, docs, pages.Static{}.Routes(), (&pages.Logos{Logos: tenants}).Routes())
	if inbox {
		s.tables = append(s.tables, (&pages.Inbox{Messages: deliveries, BaseURL: s.cfg.BaseURL}).Routes())
	}
	return nil
}

// wirePipeline builds what checks every request, with who may call.
func (s *Service) wirePipeline(keys keyrings, tenants *tenant.Service, tokens *token.Service, factors *factor.Service) {
	s.pipeline = &pipeline.Pipeline{
		Tokens: tokens, Keys: s.store, Organizations: tenants, Limits: s.short, Answers: s.short, Sealer: keys.database, Log: s.log,
		Forms: guard.Forms{Index: keys.index}, BaseURL: s.cfg.BaseURL,
		Origins: s.store, Surfaces: []pipeline.Surface{{Holds: pipeline.OfService, WriteFault: verification.WriteFault}},
		People: pipeline.People{Tokens: tokens, Grants: s.grants, Sessions: s.sessions, Factors: factors, Now: time.Now},
	}
}

// route builds the router from the tables, inside the house of pkg/web.
func (s *Service) route() (http.Handler, error) {
	proxies, err := s.cfg.proxies()
	if err != nil {
		return nil, err
	}
	mux := chi.NewRouter()
	s.pipeline.Mount(mux, s.tables...)
	if s.demo != nil {
		mux.Handle("/demo", s.demo)
		mux.Handle("/demo/*", s.demo)
	}
	return web.House(web.Config{
		Log: s.log, TrustedProxies: proxies, HSTS: strings.HasPrefix(s.cfg.BaseURL, "https:"), DocsURL: s.cfg.BaseURL, Observe: s.metrics.request,
		Allow: func(r *http.Request) string { return pipeline.Allowed(mux, r) },
	})(mux), nil
}

// Add hands the service's parts to a group, from the ground up: the group
// stops them in reverse, so the listener goes first.
func (s *Service) Add(g *run.Group) {
	if s.ownBus {
		g.Add("bus", s.bus.Run)
	}
	if s.opsPort != nil {
		g.Add("operations", func(ctx context.Context) error {
			return web.Serve(ctx, s.opsPort, s.telemetry.Ops(), web.ServerConfig{}, s.log)
		})
		g.OnStopping(s.telemetry.SetDraining)
	}
	g.Add("relay", s.relay.Outcomes)
	g.Add("outbox", s.outgoing.Run)
	g.Add("sweeper", s.relay.Sweeps)
	g.Add("grants", func(ctx context.Context) error { return s.sweep(ctx, "grants", s.grants.Sweep) })
	g.Add("sessions", func(ctx context.Context) error { return s.sweep(ctx, "sessions", s.sessions.Sweep) })
	g.Add("logouts", s.tellLogouts)
	g.Add("reminders", func(ctx context.Context) error { return s.sweep(ctx, "reminders", s.reminders.Sweep) })
	if s.filter != nil {
		g.Add("breach filter", s.filter.follow)
	}
	g.Add("http", func(ctx context.Context) error {
		return web.Serve(ctx, s.listener, s.handler, web.ServerConfig{TLS: s.tls}, s.log)
	})
}

// Addr is where the service listens.
func (s *Service) Addr() string { return s.listener.Addr().String() }

// Admin is what the command line may do without a request.
func (s *Service) Admin() *Admin { return s.admin }

// Routes is the table of contents: every route of every edge.
func (s *Service) Routes() []pipeline.Route { return slices.Concat(s.tables...) }

// Close gives back what the service opened. Call it after its group has run.
func (s *Service) Close() error {
	var errs []error
	for _, closePart := range slices.Backward(s.opened) {
		errs = append(errs, closePart())
	}
	return errors.Join(errs...)
}

// Package sms is the worker that sends text messages.
//
//	request -> challenge -> event -> WORKER -> provider
//
// This file is its wiring and table of contents: it takes the events of
// channel sms from pkg/bus, and hands each to internal/worker, which asks
// pkg/claim whether it may send, renders with internal/text and calls a
// provider (internal/provider/...). What became of it goes back over the bus.
//
// One worker serves both environments with two consumers. Nothing of the
// sandbox ever reaches a provider: its messages come back with their results
// and are read in the sandbox inbox.
package sms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/run"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/telemetry"
	"countersign.dev/pkg/web"
	"countersign.dev/services/sms/internal/provider/inbox"
	"countersign.dev/services/sms/internal/provider/twilio"
	"countersign.dev/services/sms/internal/worker"
)

// Version is the version of the whole project; release builds set it with
// -ldflags "-X countersign.dev/services/sms.Version=...".
var Version = "dev"

// Parts are what the one binary shares between the services of one process.
// What is nil the worker opens from its configuration.
type Parts struct {
	Ephemeral ephemeral.Store
	Bus       *bus.Bus
	Telemetry *telemetry.Telemetry
	Log       *slog.Logger // nil drops the lines
	Now       func() time.Time
}

// Service is a wired sms worker.
type Service struct {
	cfg       Config
	log       *slog.Logger
	now       func() time.Time
	short     ephemeral.Store
	bus       *bus.Bus
	ownBus    bool
	telemetry *telemetry.Telemetry
	listener  net.Listener // of the operations port, nil when somebody else has one
	consumers []consumer
	opened    []func() error // to be closed in reverse
}

// consumer is one environment and who handles its messages.
type consumer struct {
	env     string
	workers int
	*worker.Worker
}

// sandboxWorkers are enough for messages that go nowhere.
const sandboxWorkers = 4

// New wires the worker and binds its operations port. It fails on a
// configuration that cannot work; Redis, NATS and the provider may be down,
// the work then waits for them.
func New(_ context.Context, cfg Config, parts Parts) (_ *Service, err error) {
	cfg = cfg.withDefaults()
	s := &Service{cfg: cfg, log: parts.Log, now: parts.Now, short: parts.Ephemeral, bus: parts.Bus, telemetry: parts.Telemetry}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	keys, err := seal.Parse(key("DELIVERY_KEYS"), cfg.DeliveryKeys)
	if err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, s.wire(keys)
}

// wire builds a worker for each environment.
func (s *Service) wire(keys *seal.Keyring) error {
	counts := newMetrics(s.telemetry)
	base := worker.Worker{
		Claims: &claim.Book{Store: s.short, Now: s.now}, Reports: s.bus, Keys: keys, Now: s.now, Log: s.log, Observe: counts,
	}
	sandbox := base
	sandbox.Name, sandbox.Provider, sandbox.Repeatable = inbox.Name, inbox.Provider{Keys: keys}, true
	s.consumers = append(s.consumers, consumer{event.EnvSandbox, sandboxWorkers, &sandbox})

	standard := base
	switch s.cfg.Provider {
	case providerNone:
		s.log.Warn("text messages of the default environment are not sent by this process",
			slog.String("because", key("SMS_PROVIDER")+" is none"))
		return nil
	case providerInbox:
		standard.Name, standard.Provider, standard.Repeatable = inbox.Name, inbox.Provider{Keys: keys}, true
	case providerTwilio:
		account, err := twilio.New(s.cfg.account())
		if err != nil {
			return err
		}
		s.opened = append(s.opened, func() error { account.Close(); return nil })
		standard.Name, standard.Provider, standard.Finder = twilio.Name, s.guarded(account), account
	default:
		return fmt.Errorf("%s: no such provider", key("SMS_PROVIDER"))
	}
	s.consumers = append(s.consumers, consumer{event.EnvDefault, s.cfg.Workers, &standard})
	return nil
}

// guarded puts a breaker in front of a provider and shows its state.
func (s *Service) guarded(next worker.Provider) worker.Provider {
	breaker := &worker.Breaker{Next: next, Now: s.now, Changed: func(reason string) {
		if reason != "" {
			s.log.Error("text messages are held back: the provider is out", slog.String("reason", reason))
			return
		}
		s.log.Info("text messages go out again")
	}}
	s.telemetry.Check("sms_provider", false, breaker.Check)
	return breaker
}

// Add hands the worker's parts to a group, from the ground up: the group
// stops them in reverse.
func (s *Service) Add(g *run.Group) {
	if s.ownBus {
		g.Add("bus", s.bus.Run)
	}
	if s.listener != nil {
		g.Add("operations", func(ctx context.Context) error {
			return web.Serve(ctx, s.listener, s.telemetry.Ops(), web.ServerConfig{}, s.log)
		})
		g.OnStopping(s.telemetry.SetDraining)
	}
	for _, c := range s.consumers {
		g.Add("sms "+c.env, func(ctx context.Context) error {
			return s.bus.Serve(ctx, bus.Work{
				Channel: event.ChannelSMS, Class: "code", Env: c.env, Workers: c.workers,
				Handle: func(ctx context.Context, r event.Requested, _ bus.Try) error { return c.Handle(ctx, r) },
			})
		})
	}
}

// Run works until ctx ends and gives back what was opened.
func (s *Service) Run(ctx context.Context) error {
	g := &run.Group{Log: s.log, Notice: s.cfg.DrainNotice}
	s.Add(g)
	return errors.Join(g.Run(ctx), s.Close())
}

// OpsAddr is where metrics and readiness are served, empty when another
// service of this process does.
func (s *Service) OpsAddr() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Close gives back what New opened. Call it after the group has run.
func (s *Service) Close() error {
	var errs []error
	for _, closePart := range slices.Backward(s.opened) {
		errs = append(errs, closePart())
	}
	s.opened = nil
	return errors.Join(errs...)
}

// Package service is the shell of a worker service: its connections, its
// consumers, its metrics and its life.
//
// The root package of a worker (services/sms, services/email) says what its
// [Trade] is, reads its own configuration and adds its consumers; each hands
// the events of one class and environment from pkg/bus to a pkg/courier worker.
// Nothing of the sandbox ever reaches a provider: its messages come back with
// their results and are read in the sandbox inbox.
//
// The package knows no channel and no provider.
package service

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/courier/inbox"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/run"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/telemetry"
	"countersign.dev/pkg/web"
)

// Trade is what makes one worker service differ from another.
type Trade struct {
	Name    string // of the process: sms
	Version string
	Channel string // event.ChannelSMS
	// Line starts its log lines, and What is what it sends, in words: text
	// messages.
	Line, What string
	Compose    courier.Compose
	Series     Series
}

// Service is a wired worker.
type Service struct {
	trade     Trade
	cfg       Config
	log       *slog.Logger
	now       func() time.Time
	short     ephemeral.Store
	bus       *bus.Bus
	ownBus    bool
	telemetry *telemetry.Telemetry
	keys      *seal.Keyring
	counts    *metrics
	listener  net.Listener // of the operations port, nil when somebody else has one
	consumers []consumer
	opened    []func() error // to be closed in reverse
}

// Consumer is one class of messages in one environment.
type Consumer struct {
	Class, Env string
	Workers    int // messages at once
	Policy     courier.Policy
	// Lanes is a channel beside the trade's whose organizations have a lane
	// each, with so many workers; its class is a name only. Empty: the trade's.
	Lanes string
}

// Sender is who delivers the messages of a consumer.
type Sender struct {
	Name     string
	Provider courier.Provider
	Finder   courier.Finder // nil when the provider keeps no list
}

type consumer struct {
	Consumer
	*courier.Worker
}

// New opens the connections and binds the operations port. It fails on a
// configuration that cannot work; Redis and NATS may be down, the work then
// waits for them. What it opened is closed again when it fails.
func New(trade Trade, cfg Config, parts Parts) (_ *Service, err error) {
	s := &Service{
		trade: trade, cfg: cfg.WithDefaults(), log: parts.Log, now: parts.Now,
		short: parts.Ephemeral, bus: parts.Bus, telemetry: parts.Telemetry,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.keys, err = seal.Parse(key("DELIVERY_KEYS"), cfg.DeliveryKeys); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.counts = newMetrics(s.telemetry, trade.Series)
	return s, nil
}

// Send adds a consumer whose messages go out.
func (s *Service) Send(c Consumer, by Sender) {
	w := s.worker(c)
	w.Name, w.Provider, w.Finder = by.Name, by.Provider, by.Finder
	s.consumers = append(s.consumers, consumer{c, w})
}

// Keep adds a consumer whose messages go to the inbox.
func (s *Service) Keep(c Consumer) {
	w := s.worker(c)
	w.Name, w.Provider, w.Repeatable = inbox.Name, inbox.Provider{Keys: s.keys}, true
	s.consumers = append(s.consumers, consumer{c, w})
}

func (s *Service) worker(c Consumer) *courier.Worker {
	return &courier.Worker{
		Claims: &claim.Book{Store: s.short, Now: s.now}, Compose: s.trade.Compose, Reports: s.bus, Keys: s.keys, Now: s.now,
		Log: s.log, Observe: s.counts, Policy: c.Policy, Line: s.trade.Line,
	}
}

// Unsent says in the log that another process has to send what goes out.
func (s *Service) Unsent(because string) {
	s.log.Warn(s.trade.What+" of the default environment are not sent by this process", //nolint:sloglint // the trade's own line
		slog.String("because", because))
}

// Guarded puts a breaker in front of a provider and shows its state.
func (s *Service) Guarded(next courier.Provider) courier.Provider {
	breaker := &courier.Breaker{Next: next, Now: s.now, Changed: func(reason string) {
		if reason != "" {
			s.log.Error(s.trade.What+" are held back: the provider is out", slog.String("reason", reason)) //nolint:sloglint // the trade's own line
			return
		}
		s.log.Info(s.trade.What + " go out again") //nolint:sloglint // the trade's own line
	}}
	s.telemetry.Check(s.trade.Name+"_provider", false, breaker.Check)
	return breaker
}

// Log is where the worker's lines go.
func (s *Service) Log() *slog.Logger { return s.log }

// Gauge registers a metric whose value is asked for at each scrape.
func (s *Service) Gauge(name, help string, value func() float64) {
	s.telemetry.Gauge(name, help, value)
}

// Closing adds something that was opened.
func (s *Service) Closing(closePart func() error) { s.opened = append(s.opened, closePart) }

// Serves lists the consumers as class-environment.
func (s *Service) Serves() []string {
	var out []string
	for _, c := range s.consumers {
		out = append(out, c.Class+"-"+c.Env)
	}
	return out
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
		g.Add(strings.Join([]string{s.trade.Name, c.Class, c.Env}, " "), func(ctx context.Context) error {
			handle := func(ctx context.Context, r event.Requested, _ bus.Try) error { return c.Handle(ctx, r) }
			if c.Lanes != "" {
				return s.bus.ServeLanes(ctx, bus.Lanes{Channel: c.Lanes, Env: c.Env, Workers: c.Workers, Handle: handle})
			}
			return s.bus.Serve(ctx, bus.Work{Channel: s.trade.Channel, Class: c.Class, Env: c.Env, Workers: c.Workers, Handle: handle})
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

// Close gives back what was opened. Call it after the group has run.
func (s *Service) Close() error {
	var errs []error
	for _, closePart := range slices.Backward(s.opened) {
		errs = append(errs, closePart())
	}
	s.opened = nil
	return errors.Join(errs...)
}

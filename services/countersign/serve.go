package countersign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/logs"
	"countersign.dev/pkg/run"
	"countersign.dev/pkg/telemetry"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api"
	"countersign.dev/services/email"
	"countersign.dev/services/sms"
)

// check is what every command that serves takes beside its configuration.
type check struct {
	CheckConfig bool `help:"Check the configuration, print it without its secrets, and exit."`
}

// runner is a service that is open and can be run.
type runner interface {
	Add(g *run.Group)
	Close() error
}

type apiCommand struct{ check }

func (c apiCommand) Run(ctx context.Context, p *process) error {
	return alone(ctx, p, c.check, program[api.Config]{name: "api", known: others("api"),
		open: func(cfg api.Config, log *slog.Logger) (runner, error) { return api.New(ctx, cfg, api.Parts{Log: log}) },
		life: func(cfg api.Config) life { return life{cfg.Log, cfg.DrainNotice} },
	})
}

type smsCommand struct{ check }

func (c smsCommand) Run(ctx context.Context, p *process) error {
	return alone(ctx, p, c.check, program[sms.Config]{name: "sms", known: others("sms"),
		open: func(cfg sms.Config, log *slog.Logger) (runner, error) { return sms.New(ctx, cfg, sms.Parts{Log: log}) },
		life: func(cfg sms.Config) life { return life{cfg.Log, cfg.DrainNotice} },
	})
}

type emailCommand struct{ check }

func (c emailCommand) Run(ctx context.Context, p *process) error {
	return alone(ctx, p, c.check, program[email.Config]{name: "email", known: others("email"),
		open: func(cfg email.Config, log *slog.Logger) (runner, error) {
			return email.New(ctx, cfg, email.Parts{Log: log})
		},
		life: func(cfg email.Config) life { return life{cfg.Log, cfg.DrainNotice} },
	})
}

// others are the variables of the services beside this one, which often share
// an environment with it.
func others(name string) []conf.Key {
	var keys []conf.Key
	for service, own := range map[string][]conf.Key{
		"api": conf.Describe[api.Config](), "sms": conf.Describe[sms.Config](), "email": conf.Describe[email.Config](),
	} {
		if service != name {
			keys = append(keys, own...)
		}
	}
	return keys
}

// program is a service in a process of its own.
type program[C serviceConfig] struct {
	name  string
	known []conf.Key // variables that are no mistake though it does not read them
	open  func(cfg C, log *slog.Logger) (runner, error)
	life  func(cfg C) life
}

// life is what every service's configuration says about its process.
type life struct {
	log    logs.Config
	notice time.Duration
}

// alone runs one service in this process until it is told to stop.
func alone[C serviceConfig](ctx context.Context, p *process, c check, of program[C]) error {
	own, err := conf.Load[standalone[C]](p.environ, of.known)
	if err != nil || c.CheckConfig {
		return errors.Join(err, p.print(err == nil, own))
	}
	its := of.life(own.Config)
	log := logs.New(p.stderr, its.log)
	s, err := of.open(own.Config, log)
	if err != nil {
		return err
	}
	g := &run.Group{Log: log, Notice: its.notice}
	s.Add(g)
	log.InfoContext(ctx, "up", "service", of.name, "version", api.Version)
	return errors.Join(g.Run(ctx), s.Close())
}

// standalone is the configuration of a service in a process of its own, which
// needs what the one binary brings along.
type standalone[C serviceConfig] struct{ Config C }

type serviceConfig interface {
	Validate() error
	Standalone() error
}

// Validate names every mistake that the types do not show.
func (s standalone[C]) Validate() error {
	return errors.Join(s.Config.Validate(), s.Config.Standalone())
}

// print answers --check-config.
func (p *process) print(ok bool, cfg any) error {
	if !ok {
		return nil
	}
	return conf.Print(p.stdout, cfg)
}

// serveConfig is the configuration of all services in one process. Variables
// that two of them name mean the same.
type serveConfig struct {
	API   api.Config
	SMS   sms.Config
	Email email.Config
	// DataDir is where the embedded NATS server keeps its store.
	DataDir string `env:"DATA_DIR" envDefault:"data" doc:"folder of the embedded NATS server, which runs when COUNTERSIGN_NATS_URL is empty"`
}

// Validate names every mistake that the types do not show.
func (c serveConfig) Validate() error {
	return errors.Join(c.API.Validate(), c.SMS.Validate(), c.Email.Validate())
}

type serveCommand struct{ check }

func (c serveCommand) Run(ctx context.Context, p *process) error {
	cfg, err := conf.Load[serveConfig](p.environ)
	if err != nil || c.CheckConfig {
		return errors.Join(err, p.print(err == nil, cfg))
	}
	log := logs.New(p.stderr, cfg.API.Log)
	parts := &shared{telemetry: telemetry.New("countersign", api.Version), log: log}
	defer parts.close()
	if err := parts.open(cfg); err != nil {
		return err
	}
	return parts.serve(ctx, cfg)
}

// shared is what all services of one process use.
type shared struct {
	telemetry *telemetry.Telemetry
	log       *slog.Logger
	short     ephemeral.Store
	bus       *bus.Bus
	closers   []func()
}

// open connects to Redis and NATS, or embeds what is not configured.
func (s *shared) open(cfg serveConfig) error {
	if cfg.API.RedisURL.IsZero() {
		s.short = ephemeral.NewMemory(time.Now)
	} else {
		redis, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: cfg.API.RedisURL, CAFile: cfg.API.RedisCAFile})
		if err != nil {
			return conf.Wrong("COUNTERSIGN_REDIS_URL", "%v", err)
		}
		s.short = redis
		s.telemetry.Check("redis_policy", true, redis.Suitable)
		s.closers = append(s.closers, func() { _ = redis.Close() })
	}
	config := bus.Config{
		URL: cfg.API.NATSURL, CAFile: cfg.API.NATSCAFile, CredsFile: cfg.API.NATSCreds, Name: "countersign", Log: s.log,
		Limits: bus.Limits{Replicas: cfg.API.NATSReplicas}, Observe: s.telemetry.Bus(),
	}
	if config.URL == "" {
		nats, err := embeddedNATS(cfg.DataDir)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, func() { nats.Shutdown(); nats.WaitForShutdown() })
		config.Conn = nats
	}
	var err error
	if s.bus, err = bus.Connect(config); err != nil {
		return fmt.Errorf("COUNTERSIGN_NATS_URL: %w", err)
	}
	s.closers = append(s.closers, s.bus.Close)
	return nil
}

func (s *shared) serve(ctx context.Context, cfg serveConfig) (err error) {
	var services []runner // from the ground up
	defer func() {
		for _, opened := range slices.Backward(services) {
			err = errors.Join(err, opened.Close())
		}
	}()
	texts, err := sms.New(ctx, cfg.SMS, sms.Parts{Ephemeral: s.short, Bus: s.bus, Telemetry: s.telemetry, Log: s.log})
	if err != nil {
		return err
	}
	services = append(services, texts)
	mails, err := email.New(ctx, cfg.Email, email.Parts{Ephemeral: s.short, Bus: s.bus, Telemetry: s.telemetry, Log: s.log})
	if err != nil {
		return err
	}
	services = append(services, mails)
	front, err := api.New(ctx, cfg.API, api.Parts{Ephemeral: s.short, Bus: s.bus, Telemetry: s.telemetry, Log: s.log})
	if err != nil {
		return err
	}
	services = append(services, front)
	g := &run.Group{Log: s.log, Notice: cfg.API.DrainNotice}
	g.OnStopping(s.telemetry.SetDraining)
	g.Add("bus", s.bus.Run)
	g.Add("operations", operations(cfg.API.OpsAddr, s.telemetry, s.log))
	for _, opened := range services {
		opened.Add(g)
	}
	s.log.InfoContext(ctx, "countersign is up", "addr", front.Addr(), "version", api.Version)
	return g.Run(ctx)
}

func (s *shared) close() {
	for _, closePart := range slices.Backward(s.closers) {
		closePart()
	}
}

// operations serves metrics, health and readiness.
func operations(addr string, t *telemetry.Telemetry, log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		listener, err := web.Listen(addr)
		if err != nil {
			return err
		}
		return web.Serve(ctx, listener, t.Ops(), web.ServerConfig{}, log)
	}
}

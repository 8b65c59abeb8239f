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
	"countersign.dev/services/sms"
)

// check is what every command that serves takes beside its configuration.
type check struct {
	CheckConfig bool `help:"Check the configuration, print it without its secrets, and exit."`
}

// service is what runs in a process of its own.
type service interface {
	Add(g *run.Group)
	Close() error
}

type apiCommand struct{ check }

func (c apiCommand) Run(ctx context.Context, p *process) error {
	own, err := conf.Load[standalone[api.Config]](p.environ, conf.Describe[sms.Config]())
	if err != nil || c.CheckConfig {
		return errors.Join(err, p.print(err == nil, own))
	}
	cfg := own.Config
	log := logs.New(p.stderr, cfg.Log)
	front, err := api.New(ctx, cfg, api.Parts{Log: log})
	if err != nil {
		return err
	}
	return p.alone(ctx, "api", front, &run.Group{Log: log, Notice: cfg.DrainNotice})
}

type smsCommand struct{ check }

func (c smsCommand) Run(ctx context.Context, p *process) error {
	own, err := conf.Load[standalone[sms.Config]](p.environ, conf.Describe[api.Config]())
	if err != nil || c.CheckConfig {
		return errors.Join(err, p.print(err == nil, own))
	}
	cfg := own.Config
	log := logs.New(p.stderr, cfg.Log)
	worker, err := sms.New(ctx, cfg, sms.Parts{Log: log})
	if err != nil {
		return err
	}
	return p.alone(ctx, "sms", worker, &run.Group{Log: log, Notice: cfg.DrainNotice})
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

// alone runs one service in this process until it is told to stop.
func (p *process) alone(ctx context.Context, name string, s service, g *run.Group) error {
	s.Add(g)
	g.Log.InfoContext(ctx, "up", "service", name, "version", api.Version)
	return errors.Join(g.Run(ctx), s.Close())
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
	API api.Config
	SMS sms.Config
	// DataDir is where the embedded NATS server keeps its store.
	DataDir string `env:"DATA_DIR" envDefault:"data" doc:"folder of the embedded NATS server, which runs when COUNTERSIGN_NATS_URL is empty"`
}

// Validate names every mistake that the types do not show.
func (c serveConfig) Validate() error { return errors.Join(c.API.Validate(), c.SMS.Validate()) }

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

func (s *shared) serve(ctx context.Context, cfg serveConfig) error {
	worker, err := sms.New(ctx, cfg.SMS, sms.Parts{Ephemeral: s.short, Bus: s.bus, Telemetry: s.telemetry, Log: s.log})
	if err != nil {
		return err
	}
	front, err := api.New(ctx, cfg.API, api.Parts{Ephemeral: s.short, Bus: s.bus, Telemetry: s.telemetry, Log: s.log})
	if err != nil {
		return errors.Join(err, worker.Close())
	}
	g := &run.Group{Log: s.log, Notice: cfg.API.DrainNotice}
	g.OnStopping(s.telemetry.SetDraining)
	g.Add("bus", s.bus.Run)
	g.Add("operations", operations(cfg.API.OpsAddr, s.telemetry, s.log))
	worker.Add(g)
	front.Add(g)
	s.log.InfoContext(ctx, "countersign is up", "addr", front.Addr(), "version", api.Version)
	return errors.Join(g.Run(ctx), front.Close(), worker.Close())
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

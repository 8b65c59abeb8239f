package service

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/telemetry"
	"countersign.dev/pkg/web"
)

// Parts are what the one binary shares between the services of one process.
// What is nil the worker opens from its configuration.
type Parts struct {
	Ephemeral ephemeral.Store
	Bus       *bus.Bus
	Telemetry *telemetry.Telemetry
	Log       *slog.Logger // nil drops the lines
	Now       func() time.Time
}

// open connects to what the one binary did not hand over, and registers what
// readiness depends on.
func (s *Service) open() error {
	if s.telemetry == nil {
		if err := s.operations(); err != nil {
			return err
		}
	}
	if s.short == nil {
		if err := s.openRedis(); err != nil {
			return err
		}
	}
	if s.bus == nil {
		return s.connectBus()
	}
	return nil
}

// operations binds the port first, so that one that is taken stops the start.
func (s *Service) operations() error {
	listener, err := web.Listen(s.cfg.OpsAddr)
	if err != nil {
		return fmt.Errorf("%s: %w", key("OPS_ADDR"), err)
	}
	s.listener, s.telemetry = listener, telemetry.New(s.trade.Name, s.trade.Version)
	s.Closing(func() error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

func (s *Service) openRedis() error {
	redis, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: s.cfg.RedisURL, CAFile: s.cfg.RedisCAFile})
	if err != nil {
		return fmt.Errorf("%s: %w", key("REDIS_URL"), err)
	}
	s.Closing(redis.Close)
	s.short = redis
	s.telemetry.Check("redis", false, redis.Ping)
	s.telemetry.Check("redis_policy", true, redis.Suitable)
	return nil
}

func (s *Service) connectBus() error {
	conn, err := bus.Connect(bus.Config{
		URL: s.cfg.NATSURL, CAFile: s.cfg.NATSCAFile, CredsFile: s.cfg.NATSCreds, Name: s.trade.Name, Log: s.log,
		Limits: bus.Limits{Replicas: s.cfg.NATSReplicas}, Observe: s.telemetry.Bus(),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", key("NATS_URL"), err)
	}
	s.Closing(func() error { conn.Close(); return nil })
	s.bus, s.ownBus = conn, true
	s.telemetry.Check("nats", false, conn.Reachable)
	s.telemetry.Check("nats_streams", true, conn.Suitable)
	return nil
}

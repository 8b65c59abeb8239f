package api

import (
	"context"
	"errors"
	"fmt"
	"net"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/telemetry"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/sqlstore"
)

var errMigrations = errors.New("the database misses migrations; run: countersign migrate")

// keyrings are the keys of the configuration, read.
type keyrings struct {
	database *seal.Keyring // secrets at rest
	delivery *seal.Keyring // messages on the bus, shared with the workers
	index    *seal.Index
}

func readKeys(cfg Config) (k keyrings, err error) {
	var errs [3]error
	k.database, errs[0] = seal.Parse("COUNTERSIGN_SEAL_KEYS", cfg.SealKeys)
	k.delivery, errs[1] = seal.Parse("COUNTERSIGN_DELIVERY_KEYS", cfg.DeliveryKeys)
	k.index, errs[2] = seal.ParseIndex("COUNTERSIGN_INDEX_KEY", cfg.IndexKey)
	return k, errors.Join(errs[:]...)
}

// open connects to what the one binary did not hand over, and registers what
// readiness depends on.
func (s *Service) open(ctx context.Context, keys keyrings) (err error) {
	if s.telemetry == nil {
		s.telemetry = telemetry.New("api", Version)
		if s.opsPort, err = s.listen("OPS_ADDR", s.cfg.OpsAddr); err != nil {
			return err
		}
	}
	s.metrics = newMetrics(s.telemetry.Registry())
	if s.store, err = openStore(ctx, s.cfg, keys.database, keys.index); err != nil {
		return err
	}
	s.opened = append(s.opened, s.store.Close)
	pending, err := s.store.Pending(ctx)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if pending {
		return errMigrations
	}
	if s.short == nil {
		redis, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: s.cfg.RedisURL, CAFile: s.cfg.RedisCAFile})
		if err != nil {
			return fmt.Errorf("COUNTERSIGN_REDIS_URL: %w", err)
		}
		s.opened = append(s.opened, redis.Close)
		s.short = redis
		s.telemetry.Check("redis_policy", true, redis.Suitable)
	}
	if s.bus == nil {
		if err := s.connectBus(); err != nil {
			return err
		}
	}
	s.telemetry.Check("database", true, s.store.Ping)
	s.telemetry.Check("redis", false, s.short.Ping)
	s.telemetry.Check("nats", false, s.bus.Reachable)
	s.telemetry.Check("nats_streams", true, s.bus.Suitable)
	return nil
}

func (s *Service) connectBus() (err error) {
	s.bus, err = bus.Connect(bus.Config{
		URL: s.cfg.NATSURL, CAFile: s.cfg.NATSCAFile, CredsFile: s.cfg.NATSCreds, Name: "api", Log: s.log,
		Limits: bus.Limits{Replicas: s.cfg.NATSReplicas}, Observe: s.telemetry.Bus(),
	})
	if err != nil {
		return fmt.Errorf("COUNTERSIGN_NATS_URL: %w", err)
	}
	s.ownBus = true
	s.opened = append(s.opened, func() error { s.bus.Close(); return nil })
	return nil
}

func openStore(ctx context.Context, cfg Config, keys *seal.Keyring, index *seal.Index) (*sqlstore.Store, error) {
	store, err := sqlstore.Open(ctx, sqlstore.Config{DSN: cfg.DatabaseURL.Reveal(), Keys: keys, Index: index})
	if err != nil {
		return nil, fmt.Errorf("COUNTERSIGN_DATABASE_URL: %w", err)
	}
	return store, nil
}

// listen binds an address, so that a port that is taken stops the start.
func (s *Service) listen(name, addr string) (net.Listener, error) {
	listener, err := web.Listen(addr)
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w", conf.Prefix, name, err)
	}
	s.opened = append(s.opened, func() error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return listener, nil
}

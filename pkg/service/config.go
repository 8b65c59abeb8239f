package service

import (
	"cmp"
	"errors"
	"time"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/logs"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
)

// Config is the part of a configuration that every worker has. A worker's own
// Config embeds it.
type Config struct {
	OpsAddr string `env:"OPS_ADDR" envDefault:"127.0.0.1:9090" doc:"address of metrics, health and readiness; keep it away from the internet"`

	RedisURL     secret.Text `env:"REDIS_URL" doc:"rediss://..., several addresses with commas for a cluster"`
	RedisCAFile  string      `env:"REDIS_CA_FILE" doc:"certificates that sign Redis's, PEM; the system's when empty"`
	NATSURL      string      `env:"NATS_URL" doc:"tls://..., several with commas for a cluster"`
	NATSCAFile   string      `env:"NATS_CA_FILE" doc:"certificates that sign NATS's, PEM; the system's when empty"`
	NATSCreds    string      `env:"NATS_CREDS_FILE" doc:"NATS credentials file of this service's account"`
	NATSReplicas int         `env:"NATS_REPLICAS" envDefault:"1" doc:"copies of each stream: 1, or 3 in a cluster"`

	DeliveryKeys secret.Text `env:"DELIVERY_KEYS,required" doc:"keys for messages on the bus, shared with the api: base64 of 32 random bytes each, commas between; the first seals, all open"`

	Log         logs.Config   `envPrefix:"LOG_"`
	DrainNotice time.Duration `env:"DRAIN_NOTICE" envDefault:"5s" doc:"how long to go on after a stop is asked for, so that load balancers notice"`
	InsecureDev bool          `env:"INSECURE_DEV" doc:"allows plain text to loopback addresses; refused with any other"`

	// Dev is set by the dev command in code, never from outside: only there
	// may the inbox stand in for a provider in the default environment.
	Dev bool `env:"-"`
}

// Validate names every mistake that the types do not show.
func (c Config) Validate() error {
	var mistakes []error
	if !c.RedisURL.IsZero() {
		mistakes = append(mistakes, conf.PlainText(key("REDIS_URL"), c.RedisURL.Reveal(), c.InsecureDev))
	}
	if c.NATSURL != "" {
		mistakes = append(mistakes, conf.PlainText(key("NATS_URL"), c.NATSURL, c.InsecureDev))
	}
	if _, err := seal.Parse(key("DELIVERY_KEYS"), c.DeliveryKeys); err != nil && !c.DeliveryKeys.IsZero() {
		mistakes = append(mistakes, conf.Wrong(key("DELIVERY_KEYS"), "is not a list of keys: %v", err))
	}
	if c.OpsAddr != "" { // the one binary has an operations port of its own
		mistakes = append(mistakes, conf.Address(key("OPS_ADDR"), c.OpsAddr))
	}
	if c.NATSReplicas < 1 || c.NATSReplicas > 5 {
		mistakes = append(mistakes, conf.Wrong(key("NATS_REPLICAS"), "is 1 to 5"))
	}
	if c.InsecureDev && !conf.Loopback(c.OpsAddr) {
		mistakes = append(mistakes, conf.Wrong(conf.InsecureDevKey, "is refused when %s is not a loopback address", key("OPS_ADDR")))
	}
	return errors.Join(mistakes...)
}

// WithDefaults fills what a configuration made in code left out. One that was
// read has the defaults of its tags.
func (c Config) WithDefaults() Config {
	c.OpsAddr = cmp.Or(c.OpsAddr, "127.0.0.1:9090")
	c.NATSReplicas = cmp.Or(c.NATSReplicas, 1)
	return c
}

// Standalone names what a process of its own needs and the one binary brings
// itself.
func (c Config) Standalone() error {
	var mistakes []error
	if c.RedisURL.IsZero() {
		mistakes = append(mistakes, missing("REDIS_URL"))
	}
	if c.NATSURL == "" {
		mistakes = append(mistakes, missing("NATS_URL"))
	}
	return errors.Join(mistakes...)
}

func missing(name string) error {
	return conf.Wrong(key(name), "is missing: set it, or name a file that holds it in %s_FILE", key(name))
}

func key(name string) string { return conf.Prefix + name }

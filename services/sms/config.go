package sms

import (
	"cmp"
	"errors"
	"net/url"
	"time"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/logs"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/sms/internal/provider/inbox"
	"countersign.dev/services/sms/internal/provider/twilio"
)

// Config is the sms worker's configuration. Every field is an environment
// variable with the prefix COUNTERSIGN_; each may be given as X_FILE instead.
type Config struct {
	OpsAddr string `env:"OPS_ADDR" envDefault:"127.0.0.1:9090" doc:"address of metrics, health and readiness; keep it away from the internet"`

	RedisURL     secret.Text `env:"REDIS_URL" doc:"rediss://..., several addresses with commas for a cluster"`
	RedisCAFile  string      `env:"REDIS_CA_FILE" doc:"certificates that sign Redis's, PEM; the system's when empty"`
	NATSURL      string      `env:"NATS_URL" doc:"tls://..., several with commas for a cluster"`
	NATSCAFile   string      `env:"NATS_CA_FILE" doc:"certificates that sign NATS's, PEM; the system's when empty"`
	NATSCreds    string      `env:"NATS_CREDS_FILE" doc:"NATS credentials file of this service's account"`
	NATSReplicas int         `env:"NATS_REPLICAS" envDefault:"1" doc:"copies of each stream: 1, or 3 in a cluster"`

	DeliveryKeys secret.Text `env:"DELIVERY_KEYS,required" doc:"keys for messages on the bus, shared with the api: base64 of 32 random bytes each, commas between; the first seals, all open"`

	// Provider sends the messages of the default environment. Those of the
	// sandbox go to the inbox, whatever it says.
	Provider string `env:"SMS_PROVIDER,required" doc:"who sends text messages of the default environment: twilio, or none to leave them to other workers"`
	Workers  int    `env:"SMS_WORKERS" envDefault:"16" doc:"messages of the default environment sent at once, 1 to 256"`
	Twilio   Twilio `envPrefix:"TWILIO_"`
	// BaseURL is the api's, for Twilio's reports.
	BaseURL string `env:"BASE_URL" doc:"public URL of the api; Twilio reports the fate of messages to paths under it, and to nowhere when it is empty"`

	Log         logs.Config   `envPrefix:"LOG_"`
	DrainNotice time.Duration `env:"DRAIN_NOTICE" envDefault:"5s" doc:"how long to go on after a stop is asked for, so that load balancers notice"`
	InsecureDev bool          `env:"INSECURE_DEV" doc:"allows plain text to loopback addresses; refused with any other"`

	// Dev is set by the dev command in code, never from outside: only there
	// may the inbox stand in for a provider in the default environment.
	Dev bool `env:"-"`
}

// Twilio is an account at Twilio.
type Twilio struct {
	AccountSID          string      `env:"ACCOUNT_SID" doc:"Twilio account that sends, AC..."`
	AuthToken           secret.Text `env:"AUTH_TOKEN" doc:"Twilio's auth token: sends messages and checks the signature of status callbacks"`
	From                string      `env:"FROM" doc:"sender of text messages: a number in E.164 form, a short code or a name; or set a messaging service"`
	MessagingServiceSID string      `env:"MESSAGING_SERVICE_SID" doc:"Twilio messaging service that chooses the sender, MG...; instead of a sender"`
	BaseURL             string      `env:"BASE_URL" envDefault:"https://api.twilio.com" doc:"Twilio's API; another one for a fake or a proxy"`
	CAFile              string      `env:"CA_FILE" doc:"certificates that sign Twilio's, PEM; the system's when empty"`
}

// The providers of the default environment.
const (
	providerTwilio = twilio.Name
	providerInbox  = inbox.Name
	providerNone   = "none"
)

// Validate names every mistake that the types do not show.
func (c Config) Validate() error {
	mistakes := []error{c.validateConnections(), c.validateProvider()}
	if _, err := seal.Parse(key("DELIVERY_KEYS"), c.DeliveryKeys); err != nil && !c.DeliveryKeys.IsZero() {
		mistakes = append(mistakes, conf.Wrong(key("DELIVERY_KEYS"), "is not a list of keys: %v", err))
	}
	if c.OpsAddr != "" { // the one binary has an operations port of its own
		mistakes = append(mistakes, conf.Address(key("OPS_ADDR"), c.OpsAddr))
	}
	if c.Workers < 1 || c.Workers > 256 {
		mistakes = append(mistakes, conf.Wrong(key("SMS_WORKERS"), "is 1 to 256"))
	}
	if c.NATSReplicas < 1 || c.NATSReplicas > 5 {
		mistakes = append(mistakes, conf.Wrong(key("NATS_REPLICAS"), "is 1 to 5"))
	}
	if c.InsecureDev && !conf.Loopback(c.OpsAddr) {
		mistakes = append(mistakes, conf.Wrong(conf.InsecureDevKey, "is refused when %s is not a loopback address", key("OPS_ADDR")))
	}
	return errors.Join(mistakes...)
}

// withDefaults fills what a configuration made in code left out. One that was
// read has the defaults of its tags.
func (c Config) withDefaults() Config {
	c.OpsAddr = cmp.Or(c.OpsAddr, "127.0.0.1:9090")
	c.NATSReplicas = cmp.Or(c.NATSReplicas, 1)
	c.Workers = cmp.Or(c.Workers, 16)
	c.Twilio.BaseURL = cmp.Or(c.Twilio.BaseURL, twilio.DefaultBaseURL)
	return c
}

// Standalone names what a process of its own needs and the one binary brings
// itself.
func (c Config) Standalone() error {
	var mistakes []error
	if c.RedisURL.IsZero() {
		mistakes = append(mistakes, conf.Wrong(key("REDIS_URL"), "is missing: set it, or name a file that holds it in %s", key("REDIS_URL_FILE")))
	}
	if c.NATSURL == "" {
		mistakes = append(mistakes, conf.Wrong(key("NATS_URL"), "is missing: set it, or name a file that holds it in %s", key("NATS_URL_FILE")))
	}
	return errors.Join(mistakes...)
}

func key(name string) string { return conf.Prefix + name }

func (c Config) validateConnections() error {
	var mistakes []error
	if !c.RedisURL.IsZero() {
		mistakes = append(mistakes, conf.PlainText(key("REDIS_URL"), c.RedisURL.Reveal(), c.InsecureDev))
	}
	if c.NATSURL != "" {
		mistakes = append(mistakes, conf.PlainText(key("NATS_URL"), c.NATSURL, c.InsecureDev))
	}
	return errors.Join(mistakes...)
}

func (c Config) validateProvider() error {
	switch c.Provider {
	case "", providerNone: // an empty one is told by its tag
		return nil
	case providerInbox:
		if !c.Dev {
			return conf.Wrong(key("SMS_PROVIDER"), "the inbox shows every code and sends none: it is for the sandbox and the dev command only")
		}
		return nil
	case providerTwilio:
		return c.validateTwilio()
	}
	return conf.Wrong(key("SMS_PROVIDER"), "is twilio or none")
}

// settings says where the fields of a twilio.Config come from.
var settings = map[string]string{
	"AccountSID":          "TWILIO_ACCOUNT_SID",
	"AuthToken":           "TWILIO_AUTH_TOKEN",
	"From":                "TWILIO_FROM",
	"MessagingServiceSID": "TWILIO_MESSAGING_SERVICE_SID",
	"BaseURL":             "TWILIO_BASE_URL",
	"CallbackURL":         "BASE_URL",
}

func (c Config) validateTwilio() error {
	var mistakes []error
	account := c.account()
	account.CallbackURL = c.BaseURL
	for _, mistake := range account.Check() {
		mistakes = append(mistakes, conf.Wrong(key(settings[mistake.Field]), "%s", mistake.Text))
	}
	mistakes = append(mistakes, c.encrypted("TWILIO_BASE_URL", c.Twilio.BaseURL), c.encrypted("BASE_URL", c.BaseURL))
	return errors.Join(mistakes...)
}

func (c Config) encrypted(name, text string) error {
	u, err := url.Parse(text)
	plain := err == nil && u.Scheme == "http" // what does not parse is told elsewhere
	if plain && (!c.InsecureDev || !conf.Loopback(u.Host)) {
		return conf.Wrong(key(name), "must be https; plain http needs %s=true and a loopback host", conf.InsecureDevKey)
	}
	return nil
}

// account is the Twilio account with where it reports to.
func (c Config) account() twilio.Config {
	return twilio.Config{
		AccountSID: c.Twilio.AccountSID, AuthToken: c.Twilio.AuthToken, From: c.Twilio.From,
		MessagingServiceSID: c.Twilio.MessagingServiceSID, BaseURL: c.Twilio.BaseURL, CAFile: c.Twilio.CAFile,
		CallbackURL: c.callbackURL(),
	}
}

// callbackURL leaves out an api that Twilio cannot reach: it would refuse the
// whole message. Only a fake on this machine can report to this machine.
func (c Config) callbackURL() string {
	if local(c.BaseURL) && !local(c.Twilio.BaseURL) {
		return ""
	}
	return c.BaseURL
}

func local(text string) bool {
	u, err := url.Parse(text)
	return err == nil && conf.Loopback(u.Host)
}

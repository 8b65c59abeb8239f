package api

import (
	"errors"
	"math"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/logs"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/password"
)

// Config is the api service's configuration. Every field is an environment
// variable with the prefix COUNTERSIGN_; each may be given as X_FILE instead.
type Config struct {
	Addr    string `env:"ADDR" envDefault:"127.0.0.1:8080" doc:"address of the API and the pages"`
	OpsAddr string `env:"OPS_ADDR" envDefault:"127.0.0.1:9090" doc:"address of metrics, health and readiness; keep it away from the internet"`
	BaseURL string `env:"BASE_URL,required" doc:"public URL of this service, as clients and providers reach it; links, issuers and callbacks are made from it alone"`

	TLSCertFile string `env:"TLS_CERT_FILE" doc:"certificate chain to serve https with, PEM; read again when it is renewed. Without it a proxy in front ends TLS"`
	TLSKeyFile  string `env:"TLS_KEY_FILE" doc:"key of that certificate, PEM"`

	DatabaseURL  secret.Text `env:"DATABASE_URL,required" doc:"postgres://... or sqlite:PATH"`
	RedisURL     secret.Text `env:"REDIS_URL" doc:"rediss://..., several addresses with commas for a cluster"`
	RedisCAFile  string      `env:"REDIS_CA_FILE" doc:"certificates that sign Redis's, PEM; the system's when empty"`
	NATSURL      string      `env:"NATS_URL" doc:"tls://..., several with commas for a cluster"`
	NATSCAFile   string      `env:"NATS_CA_FILE" doc:"certificates that sign NATS's, PEM; the system's when empty"`
	NATSCreds    string      `env:"NATS_CREDS_FILE" doc:"NATS credentials file of this service's account"`
	NATSReplicas int         `env:"NATS_REPLICAS" envDefault:"1" doc:"copies of each stream: 1, or 3 in a cluster"`

	DNSServer string `env:"DNS_SERVER" doc:"address and port of the DNS server that is asked for proofs of e-mail domains, such as 10.0.0.53:53; those of the machine when empty"`

	SealKeys     secret.Text `env:"SEAL_KEYS,required" doc:"keys for secrets in the database: base64 of 32 random bytes each, commas between; the first seals, all open"`
	DeliveryKeys secret.Text `env:"DELIVERY_KEYS,required" doc:"keys for messages on the bus, shared with the workers; the same form"`
	IndexKey     secret.Text `env:"INDEX_KEY,required" doc:"key for looking up sealed values: base64 of 32 random bytes; never change it"`

	PasswordPeppers secret.Text `env:"PASSWORD_PEPPERS" doc:"keys that passwords are mixed with before they are hashed: base64 of 32 random bytes each, commas between; the first is used, all are tried. None when empty; a pepper in use must never be lost"`
	BlocklistFile   string      `env:"PASSWORD_BLOCKLIST_FILE" doc:"passwords that nobody may choose, beside those that are refused anyway: one a line in UTF-8, 16 MiB at most, read at the start; case does not count"`
	Argon2Memory    int         `env:"ARGON2_MEMORY_KIB" envDefault:"19456" doc:"memory of one password hash in KiB, at least 19456"`
	Argon2Passes    int         `env:"ARGON2_TIME" envDefault:"2" doc:"passes of one password hash, at least 2"`
	Argon2Threads   int         `env:"ARGON2_THREADS" envDefault:"1" doc:"lanes of one password hash, at least 1"`

	BreachURL        string `env:"BREACH_URL" doc:"range API that is asked whether a new password was in a breach, such as https://api.pwnedpasswords.com; it learns five digits of a hash. Nobody is asked when empty"`
	BreachCAFile     string `env:"BREACH_CA_FILE" doc:"certificates that sign the range API's, PEM; the system's when empty"`
	BreachFilterFile string `env:"BREACH_FILTER_FILE" doc:"filter of breached passwords on this machine, made by countersign breach build; read again when it is replaced. It is asked before the range API"`

	TwilioAuthToken secret.Text `env:"TWILIO_AUTH_TOKEN" doc:"checks the signature of Twilio's status callbacks; without it none is believed"`

	Guesses      int           `env:"GUESSES" envDefault:"5" doc:"wrong codes per user and 15 minutes, 1 to 10"`
	GuessCap     int           `env:"GUESS_CAP" envDefault:"100" doc:"wrong codes in a row before a factor is shut, at most 100"`
	SMSCodeLife  time.Duration `env:"SMS_CODE_LIFE" envDefault:"5m" doc:"how long a code is good, 30s to 10m"`
	SMSCodeTries int           `env:"SMS_CODE_TRIES" envDefault:"5" doc:"guesses per code, 1 to 10"`

	SMSPerSource  int `env:"SMS_PER_SOURCE" envDefault:"5" doc:"different numbers that one client address (IPv4, or a /64 of IPv6) may ask for in an hour, where the caller sends client_ip; at least 1"`
	SMSPerBlock   int `env:"SMS_PER_BLOCK" envDefault:"10" doc:"codes per hour to the thousand numbers that differ in the last three digits, not counting numbers that answered one within 90 days; at least 1"`
	SMSPerPrefix  int `env:"SMS_PER_PREFIX" envDefault:"50" doc:"codes per hour to new numbers of one prefix (country code and three digits) from which on fewer than 20 % answers close the prefix for an hour; at least 1"`
	SMSPriceCents int `env:"SMS_PRICE_CENTS" envDefault:"8" doc:"what a text message costs, in hundredths of your currency; for the estimate in alarms"`

	TrustedProxies []string      `env:"TRUSTED_PROXIES" doc:"networks whose X-Forwarded-For is believed, such as 10.0.0.0/8; none when empty"`
	Log            logs.Config   `envPrefix:"LOG_"`
	DrainNotice    time.Duration `env:"DRAIN_NOTICE" envDefault:"5s" doc:"how long to go on serving after a stop is asked for, so that load balancers notice"`
	InsecureDev    bool          `env:"INSECURE_DEV" doc:"for a machine on which apps are made: allows plain text to loopback addresses, and is refused with any other; apps of the sandbox may hear of logouts on this machine and in private networks"`
}

// Standalone names what a process of its own needs and the one binary brings
// itself.
func (c Config) Standalone() error {
	var mistakes []error
	if c.RedisURL.IsZero() {
		mistakes = append(mistakes, conf.Wrong("COUNTERSIGN_REDIS_URL", "is missing; the api shares its short-lived state with the workers there"))
	}
	if c.NATSURL == "" {
		mistakes = append(mistakes, conf.Wrong("COUNTERSIGN_NATS_URL", "is missing; the workers get their work there"))
	}
	return errors.Join(mistakes...)
}

// Validate names every mistake that the types do not show.
func (c Config) Validate() error {
	mistakes := []error{
		conf.Address("COUNTERSIGN_ADDR", c.Addr),
		conf.Address("COUNTERSIGN_OPS_ADDR", c.OpsAddr),
		c.validateBaseURL(),
		c.validateTLS(),
		c.validateParts(),
		c.validateKeys(),
		c.validateDNS(),
		c.validateBreach(),
		c.argon2().Validate(),
		c.guessPolicy().Validate(),
		c.codePolicy().Validate(),
		c.bounds().Validate(),
	}
	if c.InsecureDev && !conf.Loopback(c.Addr) {
		mistakes = append(mistakes, conf.Wrong("COUNTERSIGN_INSECURE_DEV", "is refused when COUNTERSIGN_ADDR is not a loopback address"))
	}
	if _, err := c.proxies(); err != nil {
		mistakes = append(mistakes, err)
	}
	return errors.Join(mistakes...)
}

func (c Config) validateBaseURL() error {
	u, err := url.Parse(c.BaseURL)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(c.BaseURL, "/"):
		return conf.Wrong("COUNTERSIGN_BASE_URL", "must be a URL such as https://login.example.com, with no slash at its end")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && c.InsecureDev && conf.Loopback(u.Host):
		return nil
	}
	return conf.Wrong("COUNTERSIGN_BASE_URL", "must be https; plain http needs COUNTERSIGN_INSECURE_DEV=true and a loopback host")
}

func (c Config) validateTLS() error {
	if (c.TLSCertFile == "") == (c.TLSKeyFile == "") {
		return nil
	}
	missing := "COUNTERSIGN_TLS_KEY_FILE"
	if c.TLSCertFile == "" {
		missing = "COUNTERSIGN_TLS_CERT_FILE"
	}
	return conf.Wrong(missing, "is missing: certificate and key are set together")
}

// validateKeys leaves out what is not there: that is told by its tag.
func (c Config) validateKeys() error {
	mistakes := []error{}
	wrong := func(name string, err error) {
		if err != nil {
			mistakes = append(mistakes, conf.Wrong(name, "is not a key: %v", err))
		}
	}
	for name, keys := range map[string]secret.Text{"COUNTERSIGN_SEAL_KEYS": c.SealKeys, "COUNTERSIGN_DELIVERY_KEYS": c.DeliveryKeys} {
		if !keys.IsZero() {
			_, err := seal.Parse(name, keys)
			wrong(name, err)
		}
	}
	if !c.IndexKey.IsZero() {
		_, err := seal.ParseIndex("COUNTERSIGN_INDEX_KEY", c.IndexKey)
		wrong("COUNTERSIGN_INDEX_KEY", err)
	}
	_, err := password.ParsePeppers("COUNTERSIGN_PASSWORD_PEPPERS", c.PasswordPeppers)
	wrong("COUNTERSIGN_PASSWORD_PEPPERS", err)
	return errors.Join(mistakes...)
}

func (c Config) validateParts() error {
	mistakes := []error{}
	if c.NATSReplicas < 1 || c.NATSReplicas > 5 {
		mistakes = append(mistakes, conf.Wrong("COUNTERSIGN_NATS_REPLICAS", "must be 1 to 5"))
	}
	if database := c.DatabaseURL.Reveal(); !strings.HasPrefix(database, "sqlite:") {
		mistakes = append(mistakes, conf.PlainText("COUNTERSIGN_DATABASE_URL", database, c.InsecureDev))
	}
	if c.RedisURL.Reveal() != "" {
		mistakes = append(mistakes, conf.PlainText("COUNTERSIGN_REDIS_URL", c.RedisURL.Reveal(), c.InsecureDev))
	}
	if c.NATSURL != "" {
		mistakes = append(mistakes, conf.PlainText("COUNTERSIGN_NATS_URL", c.NATSURL, c.InsecureDev))
	}
	return errors.Join(mistakes...)
}

// argon2 is what a password hash costs; a configuration made in code leaves it
// to the defaults.
func (c Config) argon2() password.Parameters {
	if c.Argon2Memory == 0 && c.Argon2Passes == 0 && c.Argon2Threads == 0 {
		return password.DefaultParameters()
	}
	bounded := func(n, most int) int { return min(max(n, 0), most) }
	return password.Parameters{
		Memory: uint32(bounded(c.Argon2Memory, math.MaxInt32)), Passes: uint32(bounded(c.Argon2Passes, math.MaxInt32)), //nolint:gosec // bounded
		Threads: uint8(bounded(c.Argon2Threads, math.MaxUint8)), //nolint:gosec // bounded
	}
}

func (c Config) guessPolicy() guard.Policy {
	policy := guard.DefaultPolicy()
	policy.Guesses, policy.Cap = c.Guesses, c.GuessCap
	return policy
}

func (c Config) codePolicy() challenge.Policy {
	return challenge.Policy{Life: c.SMSCodeLife, Tries: c.SMSCodeTries}
}

func (c Config) bounds() challenge.Bounds {
	return challenge.Bounds{PerSource: c.SMSPerSource, PerBlock: c.SMSPerBlock, PerPrefix: c.SMSPerPrefix, PriceCents: c.SMSPriceCents}
}

func (c Config) proxies() ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range c.TrustedProxies {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return nil, conf.Wrong("COUNTERSIGN_TRUSTED_PROXIES", "must be networks such as 10.0.0.0/8, with commas between")
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}

// host is what texts name as the place to type the code.
func (c Config) host() string {
	u, err := url.Parse(c.BaseURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

package sms

import (
	"strings"
	"testing"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/seal"
)

// environ is a configuration that works, with changes; an empty value removes.
func environ(changes ...string) []string {
	values := map[string]string{
		"DELIVERY_KEYS":      seal.NewKey().Reveal(),
		"REDIS_URL":          "rediss://redis.example.com",
		"NATS_URL":           "tls://nats.example.com:4222",
		"SMS_PROVIDER":       "twilio",
		"TWILIO_ACCOUNT_SID": "AC0123456789abcdef0123456789abcdef",
		"TWILIO_AUTH_TOKEN":  "canarytoken",
		"TWILIO_FROM":        "+15005550006",
		"BASE_URL":           "https://login.example.com",
	}
	for i := 0; i < len(changes); i += 2 {
		values[changes[i]] = changes[i+1]
	}
	var out []string
	for name, value := range values {
		out = append(out, conf.Prefix+name+"="+value)
	}
	return out
}

func TestConfigurationThatWorks(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string][]string{
		"Twilio with a number":  {},
		"Twilio with a service": {"TWILIO_FROM", "", "TWILIO_MESSAGING_SERVICE_SID", "MG0123456789abcdef0123456789abcdef"},
		"no provider":           {"SMS_PROVIDER", "none", "TWILIO_AUTH_TOKEN", "", "TWILIO_ACCOUNT_SID", "", "BASE_URL", ""},
		"a fake on this machine": {
			"INSECURE_DEV", "true", "TWILIO_BASE_URL", "http://127.0.0.1:9911", "BASE_URL", "http://localhost:8080",
			"NATS_URL", "nats://127.0.0.1:4222", "REDIS_URL", "redis://[::1]:6379",
		},
		"a fake behind TLS": {"TWILIO_BASE_URL", "https://fake-twilio:9911", "TWILIO_CA_FILE", "/run/ca.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := conf.Load[Config](environ(changes...))
			if err != nil {
				t.Fatal(err)
			}
			if cfg.Workers != 16 || cfg.OpsAddr != "127.0.0.1:9090" || cfg.NATSReplicas != 1 {
				t.Errorf("defaults: %+v", cfg)
			}
		})
	}
}

func TestEveryMistakeIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		changes []string
		want    []string
	}{
		"nothing about the provider": {[]string{"SMS_PROVIDER", ""}, []string{"COUNTERSIGN_SMS_PROVIDER: is missing"}},
		"a provider nobody knows":    {[]string{"SMS_PROVIDER", "carrier-pigeon"}, []string{"COUNTERSIGN_SMS_PROVIDER: is twilio or none"}},
		"the inbox as provider":      {[]string{"SMS_PROVIDER", "inbox"}, []string{"COUNTERSIGN_SMS_PROVIDER: the inbox shows every code"}},
		"an attempt to be dev":       {[]string{"SMS_PROVIDER", "inbox", "DEV", "true"}, []string{"COUNTERSIGN_SMS_PROVIDER: the inbox", "COUNTERSIGN_DEV: is not a setting"}},
		"Twilio without an account":  {[]string{"TWILIO_ACCOUNT_SID", "", "TWILIO_AUTH_TOKEN", ""}, []string{"COUNTERSIGN_TWILIO_ACCOUNT_SID", "COUNTERSIGN_TWILIO_AUTH_TOKEN"}},
		"Twilio without a sender":    {[]string{"TWILIO_FROM", ""}, []string{"COUNTERSIGN_TWILIO_FROM: set either"}},
		"plain http to Twilio":       {[]string{"TWILIO_BASE_URL", "http://api.twilio.com"}, []string{"COUNTERSIGN_TWILIO_BASE_URL: must be https"}},
		"plain http to this machine": {[]string{"TWILIO_BASE_URL", "http://127.0.0.1:1"}, []string{"COUNTERSIGN_TWILIO_BASE_URL: must be https"}},
		"plain http to a fake elsewhere": {
			[]string{"TWILIO_BASE_URL", "http://10.0.0.1", "INSECURE_DEV", "true"}, []string{"COUNTERSIGN_TWILIO_BASE_URL: must be https"}},
		"reports in plain text": {[]string{"BASE_URL", "http://login.example.com"}, []string{"COUNTERSIGN_BASE_URL: must be https"}},
		"no workers":            {[]string{"SMS_WORKERS", "0"}, []string{"COUNTERSIGN_SMS_WORKERS: is 1 to 256"}},
		"a key that is none":    {[]string{"DELIVERY_KEYS", "canary"}, []string{"COUNTERSIGN_DELIVERY_KEYS: "}},
		"no keys":               {[]string{"DELIVERY_KEYS", ""}, []string{"COUNTERSIGN_DELIVERY_KEYS: is missing"}},
		"NATS in plain text":    {[]string{"NATS_URL", "nats://nats:4222"}, []string{"COUNTERSIGN_NATS_URL: the connection is not encrypted"}},
		"development in the open": {
			[]string{"INSECURE_DEV", "true", "OPS_ADDR", "0.0.0.0:9090"}, []string{"COUNTERSIGN_INSECURE_DEV: is refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := conf.Load[Config](environ(c.changes...))
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in %v", part, err)
				}
			}
			if lines := strings.Count(err.Error(), "\n"); lines != len(c.want) {
				t.Errorf("%d mistakes: %v", lines, err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
}

func TestProcessOfItsOwnNeedsRedisAndNATS(t *testing.T) {
	t.Parallel()
	cfg, err := conf.Load[Config](environ("REDIS_URL", "", "NATS_URL", ""))
	if err != nil {
		t.Fatal(err)
	}
	err = cfg.Standalone()
	if err == nil || !strings.Contains(err.Error(), "COUNTERSIGN_REDIS_URL: is missing") || !strings.Contains(err.Error(), "COUNTERSIGN_NATS_URL: is missing") {
		t.Errorf("got %v", err)
	}
}

// The real Twilio refuses a message whose callback it cannot reach.
func TestTwilioReportsOnlyWhereItCanReach(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ base, twilio, want string }{
		"the public api":                  {"https://login.example.com", "https://api.twilio.com", "https://login.example.com"},
		"an api on this machine":          {"http://localhost:8080", "https://api.twilio.com", ""},
		"both on this machine":            {"http://localhost:8080", "http://127.0.0.1:9911", "http://localhost:8080"},
		"a fake here, and the public api": {"https://login.example.com", "http://127.0.0.1:9911", "https://login.example.com"},
		"no api":                          {"", "https://api.twilio.com", ""},
	} {
		cfg := Config{BaseURL: c.base, Twilio: Twilio{BaseURL: c.twilio}}
		if got := cfg.account().CallbackURL; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

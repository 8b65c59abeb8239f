package email

import (
	"strings"
	"testing"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/seal"
)

// environ is a configuration that works, with changes; an empty value removes.
func environ(changes ...string) []string {
	values := map[string]string{
		"DELIVERY_KEYS":  seal.NewKey().Reveal(),
		"REDIS_URL":      "rediss://redis.example.com",
		"NATS_URL":       "tls://nats.example.com:4222",
		"EMAIL_PROVIDER": "smtp",
		"SMTP_HOST":      "smtp.example.com",
		"SMTP_FROM":      "no-reply@example.com",
		"SMTP_USER":      "countersign",
		"SMTP_PASSWORD":  "canarypassword",
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
		"STARTTLS":               {},
		"implicit TLS":           {"SMTP_TLS", "implicit", "SMTP_PORT", "465"},
		"nobody signs in":        {"SMTP_USER", "", "SMTP_PASSWORD", ""},
		"no provider":            {"EMAIL_PROVIDER", "none", "SMTP_HOST", "", "SMTP_FROM", "", "SMTP_USER", "", "SMTP_PASSWORD", ""},
		"many connections":       {"SMTP_CONNECTIONS", "64", "SMTP_RATE", "500", "SMTP_HELLO", "relay.example.com", "SMTP_FROM_NAME", "Acme"},
		"a fake on this machine": {"INSECURE_DEV", "true", "SMTP_HOST", "127.0.0.1", "SMTP_PORT", "2525", "SMTP_TLS", "none", "SMTP_USER", "", "SMTP_PASSWORD", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := conf.Load[Config](environ(changes...))
			if err != nil {
				t.Fatal(err)
			}
			if cfg.SMTP.Connections < 4 || cfg.OpsAddr != "127.0.0.1:9090" || cfg.NATSReplicas != 1 {
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
		"nothing about the provider":     {[]string{"EMAIL_PROVIDER", ""}, []string{"COUNTERSIGN_EMAIL_PROVIDER: is missing"}},
		"a provider nobody knows":        {[]string{"EMAIL_PROVIDER", "carrier-pigeon"}, []string{"COUNTERSIGN_EMAIL_PROVIDER: is smtp or none"}},
		"the inbox as provider":          {[]string{"EMAIL_PROVIDER", "inbox"}, []string{"COUNTERSIGN_EMAIL_PROVIDER: the inbox shows every code and link"}},
		"no mail server and no sender":   {[]string{"SMTP_HOST", "", "SMTP_FROM", ""}, []string{"COUNTERSIGN_SMTP_HOST: ", "COUNTERSIGN_SMTP_FROM: "}},
		"a user without a password":      {[]string{"SMTP_PASSWORD", ""}, []string{"COUNTERSIGN_SMTP_PASSWORD: "}},
		"plain text":                     {[]string{"SMTP_TLS", "none"}, []string{"COUNTERSIGN_SMTP_TLS: "}},
		"plain text to this machine":     {[]string{"SMTP_TLS", "none", "SMTP_HOST", "127.0.0.1"}, []string{"COUNTERSIGN_SMTP_TLS: "}},
		"plain text to a fake elsewhere": {[]string{"SMTP_TLS", "none", "SMTP_HOST", "10.0.0.1", "INSECURE_DEV", "true", "REDIS_URL", "", "NATS_URL", ""}, []string{"COUNTERSIGN_SMTP_TLS: "}},
		"too many connections":           {[]string{"SMTP_CONNECTIONS", "65"}, []string{"COUNTERSIGN_SMTP_CONNECTIONS: is 1 to 64"}},
		"a sender of two lines":          {[]string{"SMTP_FROM", "a@example.com\r\nBcc: b@example.com"}, []string{"COUNTERSIGN_SMTP_FROM: "}},
		"a key that is none":             {[]string{"DELIVERY_KEYS", "canary"}, []string{"COUNTERSIGN_DELIVERY_KEYS: "}},
		"NATS in plain text":             {[]string{"NATS_URL", "nats://nats:4222"}, []string{"COUNTERSIGN_NATS_URL: the connection is not encrypted"}},
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

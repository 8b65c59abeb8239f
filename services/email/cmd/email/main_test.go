package main

import (
	"bytes"
	"strings"
	"testing"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/seal"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	good := []string{
		"COUNTERSIGN_DELIVERY_KEYS=" + seal.NewKey().Reveal(), "COUNTERSIGN_EMAIL_PROVIDER=none",
		"COUNTERSIGN_REDIS_URL=rediss://:canary@redis.example.com", "COUNTERSIGN_NATS_URL=tls://nats.example.com",
		"COUNTERSIGN_SMTP_PASSWORD=canary",
	}
	for name, c := range map[string]struct {
		args    []string
		environ []string
		code    int
		out     string
		problem string
	}{
		"version":                   {[]string{"--version"}, nil, 0, "countersign email dev", ""},
		"help":                      {[]string{"--help"}, nil, 0, "", "check-config"},
		"a good configuration":      {[]string{"--check-config"}, good, 0, "EMAIL_PROVIDER", ""},
		"no configuration":          {[]string{"--check-config"}, nil, conf.ExitCode, "", "COUNTERSIGN_EMAIL_PROVIDER: is missing"},
		"no configuration at start": {nil, nil, conf.ExitCode, "", "COUNTERSIGN_DELIVERY_KEYS: is missing"},
		"no Redis":                  {nil, good[:2], conf.ExitCode, "", "COUNTERSIGN_REDIS_URL: is missing"},
		"an unknown flag":           {[]string{"--password=x"}, good, 2, "", "not defined"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, problems bytes.Buffer
			if got := start(t.Context(), c.args, c.environ, &out, &problems); got != c.code {
				t.Errorf("exit code %d, want %d: %s", got, c.code, &problems)
			}
			if !strings.Contains(out.String(), c.out) || !strings.Contains(problems.String(), c.problem) {
				t.Errorf("out %q, problems %q", &out, &problems)
			}
			if strings.Contains(out.String()+problems.String(), "canary") {
				t.Errorf("a secret is in %q, %q", &out, &problems)
			}
		})
	}
}

package api_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api"
)

// The budget survives whatever somebody can trigger who does not have the
// code: of six wrong guesses with something in between, the sixth is refused.
// Covers R-002 for SMS codes.
func TestTheBudgetSurvives(t *testing.T) {
	t.Parallel()
	p, redis := distributedOn(t)
	h := start(t, p)
	key := h.key("acme", "sandbox", api.AllScopes)
	p.noCourier = true
	restarted := open(t, p)
	var code string
	fresh := func(h *house, user string) {
		h.t.Helper()
		code = h.code(h.call("POST", h.challenge(user)).want(201))
	}
	ways := []struct {
		name string
		do   func(user string)
	}{
		{"a new challenge", func(user string) { fresh(h, user) }},
		{"a new enrolment", func(user string) {
			h.call("POST", h.enrollment(user), "method=sms", "force_enroll=true").want(201)
		}},
		{"a fresh access token", func(string) { h.token = h.signIn(key) }},
		{"another process", func(string) { restarted.token, restarted.org, restarted.courier = h.token, h.org, h.courier }},
		{"an empty Redis", func(user string) { redis.Kill(); redis.Start(); fresh(retrying{h}.house(), user) }},
		{"a new number", func(user string) {
			h.call("PUT", "/api/v2/org/"+h.org+"/users/"+user, "phone_number=+4915100000001").want(200)
		}},
	}
	for i, way := range ways {
		user := h.enrolled(fmt.Sprintf("user%d@acme.test", i), numbered(i))
		fresh(h, user)
		guess := func(h *house) *reply { return h.call("POST", h.challenge("validation/"+user), "code="+other(code)) }
		for range 4 {
			guess(h).want(200).wantSuccess(false)
		}
		way.do(user)
		again := h
		if way.name == "another process" {
			again = restarted
		}
		// The fifth is the last one that may be compared; a code can also
		// have died of its own tries, which costs no guess.
		guess(again).want(200).wantSuccess(false)
		fresh(h, user)
		if r := guess(again); r.status != http.StatusTooManyRequests {
			t.Errorf("after %s the sixth wrong guess answers %d %s", way.name, r.status, r.raw)
		}
	}
}

// retrying waits for a Redis that is coming back.
type retrying struct{ h *house }

func (r retrying) house() *house {
	until(r.h.t, func() bool {
		return r.h.call("POST", r.h.challenge("validation/nobody@acme.test"), "code=123456").status == http.StatusNotFound
	})
	return r.h
}

// The same address in two organizations is two users with two budgets, and
// one user has one budget under every name.
// Covers R-004 for what the API takes: id, address in any case.
func TestBudgetsAreKeyedByUser(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	user := h.enrolled("eva@acme.test", numbered(1))
	code := h.code(h.call("POST", h.challenge(user)).want(201))
	for _, name := range []string{user, "eva@acme.test", "EVA@acme.test", "Eva@ACME.TEST", user} {
		h.call("POST", h.challenge("validation/"+name), "code="+other(code)).want(200).wantSuccess(false)
	}
	for _, name := range []string{user, "eva@acme.test", "eVa%40acme.test"} {
		h.call("POST", h.challenge("validation/"+name), "code="+code).wantFault(429, "too_many_attempts")
	}
	second := *h
	second.org = h.call("POST", "/api/v2/organizations", "name=Second").want(201).text("domain")
	second.call("PUT", "/api/v2/org/second/totp-connection", "active=true").want(200)
	twin := second.enrolled("eva@acme.test", numbered(1))
	code = second.code(second.call("POST", second.challenge(twin)).want(201))
	second.call("POST", second.challenge("validation/eva@acme.test"), "code="+code).want(200).wantSuccess(true)
}

// Limits are on without being asked for, and cannot be configured away.
//
func TestLimitsCannotBeSwitchedOff(t *testing.T) {
	t.Parallel()
	valid := func() api.Config {
		return api.Config{
			Addr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", BaseURL: "https://login.example.com", DatabaseURL: secret.New("sqlite:" + filepath.Join(t.TempDir(), "x.db")),
			NATSReplicas: 1, Guesses: 5, GuessCap: 100, SMSCodeLife: 300e9, SMSCodeTries: 5,
			SMSPerSource: 5, SMSPerBlock: 10, SMSPerPrefix: 50, SMSPriceCents: 8,
		}
	}
	if err := valid().Validate(); err != nil {
		t.Fatalf("the valid configuration is refused: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*api.Config)
		names  string
	}{
		"no guesses":           {func(c *api.Config) { c.Guesses = 0 }, "COUNTERSIGN_GUESSES"},
		"unlimited guesses":    {func(c *api.Config) { c.Guesses = -1 }, "COUNTERSIGN_GUESSES"},
		"eleven guesses":       {func(c *api.Config) { c.Guesses = 11 }, "COUNTERSIGN_GUESSES"},
		"a cap of 101":         {func(c *api.Config) { c.GuessCap = 101 }, "COUNTERSIGN_GUESS_CAP"},
		"no cap":               {func(c *api.Config) { c.GuessCap = 0 }, "COUNTERSIGN_GUESS_CAP"},
		"a code of 11 minutes": {func(c *api.Config) { c.SMSCodeLife = 660e9 }, "COUNTERSIGN_SMS_CODE_LIFE"},
		"a code of no life":    {func(c *api.Config) { c.SMSCodeLife = 0 }, "COUNTERSIGN_SMS_CODE_LIFE"},
		"no tries":             {func(c *api.Config) { c.SMSCodeTries = 0 }, "COUNTERSIGN_SMS_CODE_TRIES"},
		"numbers of a source":  {func(c *api.Config) { c.SMSPerSource = 0 }, "COUNTERSIGN_SMS_PER_SOURCE"},
		"codes to a block":     {func(c *api.Config) { c.SMSPerBlock = 0 }, "COUNTERSIGN_SMS_PER_BLOCK"},
		"codes to a prefix":    {func(c *api.Config) { c.SMSPerPrefix = -1 }, "COUNTERSIGN_SMS_PER_PREFIX"},
		"eleven tries":         {func(c *api.Config) { c.SMSCodeTries = 11 }, "COUNTERSIGN_SMS_CODE_TRIES"},
	} {
		cfg := valid()
		c.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.names) || !strings.Contains(err.Error(), "R-016") {
			t.Errorf("%s: %v, want a refusal that names %s and R-016", name, err, c.names)
		}
	}
}

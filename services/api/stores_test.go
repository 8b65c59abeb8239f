package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/rig"
	"countersign.dev/services/api/internal/pipeline"
)

// behindProxies stands on Postgres and Redis, each behind a proxy.
func behindProxies(t *testing.T) (p *parts, postgres, redis *tcpProxy) {
	t.Helper()
	p = distributed(t)
	dsn, err := url.Parse(p.database)
	if err != nil {
		t.Fatal(err)
	}
	p.prepare(t) // migrates past the proxy
	postgres = newTCPProxy(t, dsn.Host)
	dsn.Host = postgres.Addr
	p.database = dsn.String()
	redis = newTCPProxy(t, rig.Redis(t).Addr)
	p.short = onRedis("redis://" + redis.Addr)
	return p, postgres, redis
}

// While a store of counts is down or slow nothing is compared: not the right
// code, not the right secret.
//
// Covers R-015 for 503.
func TestNoCountNoComparison(t *testing.T) {
	t.Parallel()
	p, postgres, redis := behindProxies(t)
	h := start(t, p)
	user := h.enrolled("eva@acme.test", numbered(1))
	code := h.code(h.call("POST", h.challenge(user)).want(201))
	enrolling := h.newUser("bob@acme.test", numbered(2))
	first := h.code(h.call("POST", h.enrollment(enrolling), "method=sms").want(201))
	key := h.key("acme", "sandbox")
	const comparisons = "countersign_comparisons_total"
	compared := h.metric(comparisons)

	calls := []struct {
		name string
		do   func() *reply
	}{
		{"the right code", func() *reply { return h.call("POST", h.challenge("validation/"+user), "code="+code) }},
		{"the code of nobody", func() *reply { return h.call("POST", h.challenge("validation/nobody@acme.test"), "code="+code) }},
		{"the first code", func() *reply { return h.call("PUT", h.enrollment("validation/"+enrolling), "code="+first) }},
		{"the right secret of a key", func() *reply { return h.tokenFor(key.ClientID, key.ClientSecret.Reveal()) }},
		{"the secret of no key", func() *reply { return h.tokenFor("7f3b0a44-0000-4000-8000-000000000000", "x") }},
		{"a wrong secret of that key", func() *reply { return h.tokenFor(key.ClientID, "x") }},
	}
	timed := 0
	for _, route := range h.service.Routes() {
		if !strings.Contains(route.Path, "/validation/") && !strings.HasSuffix(route.Path, "/oauth/token") {
			continue
		}
		timed++
		most := pipeline.WithinCheck
		if strings.Contains(route.Path, "/totp-enrollment/") {
			most = pipeline.WithinHash // its check has a bound of its own, and recovery codes are hashed after that
		}
		if route.Within <= 0 || route.Within > most {
			t.Errorf("%s has %v to answer, want less than 2 s", title(route), route.Within)
		}
	}
	if timed < 4 {
		t.Errorf("%d routes have their time looked at", timed)
	}
	for name, f := range map[string]struct {
		store   *tcpProxy
		down    bool
		latency time.Duration
		code    string
	}{
		"Redis is down":    {redis, true, 0, "state_unavailable"},
		"Redis is slow":    {redis, false, 10 * time.Second, "state_unavailable"},
		"Postgres is down": {postgres, true, 0, "database_unavailable"},
		"Postgres is slow": {postgres, false, 10 * time.Second, "database_unavailable"},
	} {
		f.store.set(f.down, f.latency)
		bodies := make([]string, len(calls))
		parallel(t, len(calls), func(i int) {
			begun, what := time.Now(), name+", "+calls[i].name
			r := calls[i].do().wantFault(503, f.code)
			if took := time.Since(begun); took > slack {
				t.Errorf("%s: the refusal took %v", what, took)
			}
			if after, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || after < 1 {
				t.Errorf("%s: Retry-After is %q", what, r.header.Get("Retry-After"))
			}
			bodies[i] = mask(r)
		})
		if slices.Sort(bodies); bodies[0] != bodies[len(bodies)-1] {
			t.Errorf("%s: the refusals differ: %q", name, slices.Compact(bodies))
		}
		f.store.set(true, 0) // what is still on its way must not arrive
		f.store.set(false, 0)
		until(t, func() bool {
			return h.call("POST", h.challenge("validation/nobody@acme.test"), "code=123456").status == http.StatusNotFound
		})
	}
	if n := h.metric(comparisons); n != compared {
		t.Errorf("%v codes were compared", n-compared)
	}
	// Nothing was used up, and no guess was taken.
	for range 4 {
		h.call("POST", h.challenge("validation/"+user), "code="+other(code)).want(200).wantSuccess(false)
	}
	h.call("POST", h.challenge("validation/"+user), "code="+code).want(200).wantSuccess(true)
	h.call("PUT", h.enrollment("validation/"+enrolling), "code="+first).want(200).wantSuccess(true)
	h.tokenFor(key.ClientID, key.ClientSecret.Reveal()).want(200)
	if n := h.metric(comparisons); n != compared+6 {
		t.Errorf("%v codes were compared, want 6: this test sees nothing", n-compared)
	}
}

// tokenFor asks for a token of a key.
func (h *house) tokenFor(id, value string) *reply {
	h.t.Helper()
	return h.as("").call("POST", "/oauth/token", "grant_type=client_credentials", "client_id="+id, "client_secret="+value)
}

// What can be limited for a client that exists and for one that does not is
// refused in the same words.
// Covers R-015 for 429, in the API's own form.
func TestRefusalsLookAlike(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	key := h.key("acme", "sandbox")
	const nobody = "7f3b0a44-0000-4000-8000-000000000000"
	limited := func(id string) *reply {
		for range 40 {
			if r := h.tokenFor(id, "wrong"); r.status == http.StatusTooManyRequests {
				return r.wantFault(429, "too_many_attempts")
			}
		}
		t.Fatalf("%s met no limit", id)
		return nil
	}
	alike := func(what string, a, b *reply) {
		t.Helper()
		headers := func(r *reply) string {
			header := r.header.Clone()
			for _, own := range []string{"X-Request-Id", "Date"} {
				header.Del(own)
			}
			if after, err := strconv.Atoi(header.Get("Retry-After")); r.status == 429 && (err != nil || after < 1) {
				t.Errorf("%s: Retry-After is %q", what, header.Get("Retry-After"))
			}
			header.Del("Retry-After") // counts down
			return fmt.Sprint(r.status, header)
		}
		if mask(a) != mask(b) || headers(a) != headers(b) {
			t.Errorf("%s: one answer is %s %s, the other %s %s", what, headers(a), a.raw, headers(b), b.raw)
		}
	}
	alike("a wrong secret", h.tokenFor(key.ClientID, "wrong"), h.tokenFor(nobody, "wrong"))
	alike("too many secrets", limited(key.ClientID), limited(nobody))

	// Malformed codes count by source; users that do not exist get no further
	// than users that do.
	path := func(user string) string { return h.challenge("validation/" + user) }
	user := h.enrolled("eva@acme.test", numbered(1))
	first := h.call("POST", path(user), "code=x")
	for range 100 {
		if first.status != http.StatusTooManyRequests {
			first = h.call("POST", path(user), "code=x")
		}
	}
	first.wantFault(429, "too_many_malformed")
	alike("too many malformed codes", first, h.call("POST", path(h.user), "code=x"))
	for _, r := range []*reply{first, limited(nobody)} {
		if strings.Contains(r.raw, user) || strings.Contains(r.raw, nobody) {
			t.Errorf("the refusal names whom it is about: %s", r.raw)
		}
	}
}

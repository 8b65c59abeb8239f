package api_test

import (
	"context"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/services/api"
)

// While the bus is down a challenge is refused in time, and nothing of it is
// sent when the bus is back.
// Covers R-067 for challenges.
func TestNoBusNoChallengeAndNothingLater(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	short := &hurry{Store: p.short(t)}
	p.short = func(*testing.T) ephemeral.Store { return short }
	h := start(t, p)
	user := h.enrolled("eva@acme.test", "+4915187654321")
	h.nats.Stop()
	begun := time.Now()
	refused := h.call("POST", h.challenge(user)).wantFault(503, "delivery_unavailable")
	if took := time.Since(begun); took > slack {
		t.Errorf("the refusal took %v", took)
	}
	// How late a timer fires is the machine's business; for when it is set is
	// ours. That a route keeps its time is the pipeline's test.
	if most := short.most(); most > 2500*time.Millisecond {
		t.Errorf("the call had %v, want at most 2.5 s", most)
	}
	if refused.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	deliveries := h.call("GET", "/api/v2/org/"+h.org+"/deliveries").want(200)
	newest := deliveries.body["data"].([]any)[0].(map[string]any)
	if newest["state"] != "failed" || newest["reason"] != "not_published" {
		t.Errorf("the delivery is %v for %v, want failed for not_published", newest["state"], newest["reason"])
	}
	h.call("POST", h.challenge("validation/"+user), "code=123456").want(200).wantSuccess(false) // no code is live

	h.nats.Start()
	var challenge *reply
	until(t, func() bool { // the refused send left no resend gap behind
		challenge = h.call("POST", h.challenge(user))
		return challenge.status == http.StatusCreated
	})
	code := h.code(challenge)
	if n := len(h.courier.mail); n != 0 {
		t.Errorf("%d more messages were sent after the bus came back", n)
	}
	h.call("POST", h.challenge("validation/"+user), "code="+code).want(200).wantSuccess(true)
}

// slack is what a refusal may take where the machine has much else to do. It
// finds what hangs; that the time of a call is short is checked without a
// clock that runs.
const slack = 30 * time.Second

// hurry is a store that keeps how much time a caller had at most.
type hurry struct {
	ephemeral.Store

	mu      sync.Mutex
	longest time.Duration
}

// Arm implements ephemeral.Store.
func (h *hurry) Arm(ctx context.Context, key string, code ephemeral.Code, ttl time.Duration) (*ephemeral.Code, error) {
	left := time.Duration(math.MaxInt64)
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	h.mu.Lock()
	h.longest = max(h.longest, left)
	h.mu.Unlock()
	return h.Store.Arm(ctx, key, code, ttl)
}

// most is the most time that a caller had; for ever, when there was none.
func (h *hurry) most() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.longest == 0 {
		return math.MaxInt64
	}
	return h.longest
}

// Without the short-lived store nothing is compared, not even the right code.
// Covers R-012 for Redis that is down.
func TestNoRedisNothingCompared(t *testing.T) {
	t.Parallel()
	p, redis := distributedOn(t)
	h := start(t, p)
	user := h.enrolled("eva@acme.test", "+4915187654321")
	code := h.code(h.call("POST", h.challenge(user)).want(201))
	redis.Kill()
	for name, call := range map[string]func() *reply{
		"the right code": func() *reply { return h.call("POST", h.challenge("validation/"+user), "code="+code) },
		"a new code":     func() *reply { return h.call("POST", h.challenge(user)) },
	} {
		begun := time.Now()
		if r := call().wantFault(503, "state_unavailable"); r.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
		if took := time.Since(begun); took > slack {
			t.Errorf("%s: the refusal took %v", name, took)
		}
	}
	// What needs no short-lived state goes on.
	h.call("GET", "/api/v2/org/"+h.org+"/users/"+user).want(200)
	redis.Start()
	// The flushed store handed out no success and no fresh budget; the user
	// asks again.
	until(t, func() bool {
		return h.call("POST", h.challenge("validation/"+user), "code="+code).status == http.StatusOK
	})
	fresh := h.code(h.call("POST", h.challenge(user)).want(201))
	h.call("POST", h.challenge("validation/"+user), "code="+fresh).want(200).wantSuccess(true)
}

// until polls what nothing can signal: a connection that comes back by itself.
func until(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal("it did not come back")
		case <-tick.C:
		}
	}
}

// Bad input gets the contract's clear answer, always JSON, always with the
// request id, and changes nothing.
func TestBadInput(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	users := "/api/v2/org/" + h.org + "/users"
	const form, json = "application/x-www-form-urlencoded", "application/json"
	for name, c := range map[string]struct {
		method, path, contentType, body string
		status                          int
		code                            string
	}{
		"an unknown path":                 {"GET", "/nowhere", "", "", 404, "not_found"},
		"an unknown path below the API":   {"POST", "/api/v2/nowhere", json, "{}", 404, "not_found"},
		"a path with escapes in it":       {"GET", "/api/v2/org/%2e%2e/users", "", "", 404, "not_found"},
		"a wrong method":                  {"PATCH", users, form, "", 405, "method_not_allowed"},
		"TRACE":                           {"TRACE", users, "", "", 405, "method_not_allowed"},
		"a body of 1 MiB":                 {"POST", users, form, "email=" + strings.Repeat("a", 1<<20), 413, "body_too_large"},
		"a JSON body of 1 MiB":            {"POST", users, json, `{"email":"` + strings.Repeat("a", 1<<20) + `"}`, 413, "body_too_large"},
		"plain text":                      {"POST", users, "text/plain", "email=a@b.test", 415, "unsupported_media_type"},
		"XML":                             {"POST", users, "application/xml", "<email/>", 415, "unsupported_media_type"},
		"no content type and no JSON":     {"POST", users, "", "email=a@b.test", 415, "unsupported_media_type"},
		"broken JSON":                     {"POST", users, json, `{"email":`, 400, "malformed_body"},
		"JSON that is no object":          {"POST", users, json, `["a@b.test"]`, 400, "malformed_body"},
		"JSON with something behind it":   {"POST", users, json, `{"email":"a@b.test"}{}`, 400, "malformed_body"},
		"a JSON name given twice":         {"POST", users, json, `{"email":"a@b.test","email":"b@b.test"}`, 400, "duplicate_parameter"},
		"JSON nested 17 deep":             {"POST", users, json, strings.Repeat(`{"a":`, 18) + "1" + strings.Repeat("}", 18), 400, "malformed_body"},
		"a form name given twice":         {"POST", users, form, "email=a@b.test&email=b@b.test", 400, "duplicate_parameter"},
		"in the query and in the body":    {"POST", users + "?email=a@b.test", form, "email=a@b.test", 400, "duplicate_parameter"},
		"a broken escape":                 {"POST", users, form, "email=%zz", 400, "malformed_body"},
		"a bracket that does not close":   {"POST", users, form, "profile[email=a@b.test", 400, "malformed_body"},
		"multipart without a boundary":    {"POST", users, "multipart/form-data", "x", 400, "malformed_body"},
		"multipart cut off":               {"POST", users, "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\na@b", 400, "malformed_body"},
		"no e-mail":                       {"POST", users, form, "profile[given_name]=Ana", 422, "missing_parameter"},
		"an empty body":                   {"POST", users, "", "", 422, "missing_parameter"},
		"an e-mail that is none":          {"POST", users, form, "email=ana", 422, "invalid_parameter"},
		"an e-mail that is taken":         {"POST", users, form, "email=ANA@acme.test", 422, "unprocessable_entity"},
		"two e-mails that contradict":     {"POST", users, form, "email=a@b.test&profile[email]=c@b.test", 422, "invalid_parameter"},
		"an e-mail that is a number":      {"POST", users, json, `{"email":1}`, 422, "invalid_parameter"},
		"a national number":               {"POST", users, form, "email=x@acme.test&phone_number=0151123", 422, "invalid_parameter"},
		"a name that is too long":         {"POST", "/api/v2/organizations", form, "name=" + strings.Repeat("a", 65), 422, "invalid_parameter"},
		"a color that is none":            {"POST", "/api/v2/organizations", form, "name=Fine&color=red", 422, "invalid_parameter"},
		"a locale that is none":           {"POST", "/api/v2/organizations", form, "name=Fine&locale=deutsch!", 422, "invalid_parameter"},
		"a domain of 300 characters":      {"POST", "/api/v2/organizations", form, "name=Fine&email_domains[]=" + strings.Repeat("a", 300), 422, "invalid_parameter"},
		"a name with no letters":          {"POST", "/api/v2/organizations", form, "name=...", 422, "invalid_parameter"},
		"a name that is taken":            {"POST", "/api/v2/organizations", form, "name=ACME test ltd", 422, "unprocessable_entity"},
		"an unknown organization":         {"GET", "/api/v2/org/nobody/users", "", "", 404, "not_found"},
		"an unknown user":                 {"GET", users + "/7f3b0a44-0000-4000-8000-000000000000", "", "", 404, "not_found"},
		"a user id that is none":          {"GET", users + "/..%2f..", "", "", 404, "not_found"},
		"an unknown e-mail":               {"GET", users + "/nobody@acme.test", "", "", 404, "not_found"},
		"a delivery mode that is none":    {"PUT", "/api/v2/org/" + h.org + "/totp-connection", form, "delivery=pigeon", 422, "invalid_parameter"},
		"a country that is none":          {"PUT", "/api/v2/org/" + h.org + "/totp-connection", form, "countries[]=Germany", 422, "invalid_parameter"},
		"a budget of nothing":             {"PUT", "/api/v2/org/" + h.org + "/totp-connection", form, "sms_per_day=0", 422, "invalid_parameter"},
		"active that is neither":          {"PUT", "/api/v2/org/" + h.org + "/totp-connection", form, "active=maybe", 422, "invalid_parameter"},
		"an unknown parameter of our own": {"GET", "/api/v2/org/" + h.org + "/inbox?form=+49", "", "", 400, "unknown_parameter"},
		"a scope that is none":            {"POST", "/api/v2/api-keys", form, "scopes=everything", 422, "invalid_parameter"},
	} {
		before := h.call("GET", users).want(200).raw
		r := h.raw(c.method, c.path, c.contentType, strings.NewReader(c.body))
		if inner, _ := r.body["error"].(map[string]any); r.status != c.status || inner["type"] != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, r.status, r.raw, c.status, c.code)
			continue
		}
		r.wantFault(c.status, c.code)
		if c.status == http.StatusMethodNotAllowed && c.method != "TRACE" && r.header.Get("Allow") != "GET, POST" {
			t.Errorf("%s: Allow is %q", name, r.header.Get("Allow"))
		}
		if after := h.call("GET", users).want(200).raw; after != before {
			t.Errorf("%s: the users changed from %s to %s", name, before, after)
		}
	}
}

func TestWhoMayNot(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	users := "/api/v2/org/" + h.org + "/users"
	ours := h.key("acme", "sandbox", api.AllScopes)
	revoked := h.as(h.signIn(ours))
	if err := h.admin.RevokeKey(t.Context(), ours.ClientID); err != nil {
		t.Fatal(err)
	}
	foreign := h.as(h.signIn(h.key("rival", "sandbox", api.AllScopes)))
	reader := h.as(h.signIn(h.key("acme", "sandbox", "users:read")))
	live := h.as(h.signIn(h.key("acme", "default", api.AllScopes)))

	h.as("").call("GET", users).wantFault(401, "unauthorized")
	h.as("nonsense").call("GET", users).wantFault(401, "unauthorized")
	h.as(h.token+"x").call("GET", users).wantFault(401, "unauthorized")
	h.as(strings.Repeat("a", 9000)).call("GET", users).wantFault(401, "unauthorized")
	revoked.call("GET", users).wantFault(401, "unauthorized")
	if r := foreign.call("GET", users).wantFault(404, "not_found"); r.status == 404 {
		never := foreign.call("GET", "/api/v2/org/never-was/users")
		if mask(r) != mask(never) {
			t.Errorf("another's organization answers %s, one that never was %s", r.raw, never.raw)
		}
	}
	live.call("GET", users+"/"+h.user).wantFault(404, "not_found") // the other environment
	reader.call("GET", users).want(200)
	reader.call("POST", users, "email=x@acme.test").wantFault(403, "insufficient_scope")
	reader.call("POST", "/api/v2/api-keys").wantFault(403, "insufficient_scope")
}

// mask takes out of an answer what differs each time.
func mask(r *reply) string {
	return strings.ReplaceAll(r.raw, r.header.Get("X-Request-Id"), "")
}

package api_test

import (
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/rig/rangeapi"
	"countersign.dev/services/api"
)

// leaked is strong enough, and in a breach.
const leaked = "2vK79^41aokzi6lc8-leaked"

// asksRange lets a house ask a fake of the range API.
func (p *parts) asksRange(t *testing.T, passwords ...string) *rangeapi.Server {
	t.Helper()
	known := map[string]int{}
	for _, plain := range passwords {
		known[plain] = 3
	}
	fake := rangeapi.New(known)
	server := httptest.NewServer(fake)
	t.Cleanup(func() { fake.Close(); server.Close() })
	p.cfg = func(c *api.Config) { c.BreachURL = server.URL }
	return fake
}

// A password that is in a breach is refused, and its code stays good for
// another one. The range API learns five digits of a hash, and nothing of the
// user.
//
// Covers R-057 for what the range API learns, over the whole way.
func TestABreachedPasswordIsRefused(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	fake := p.asksRange(t, leaked)
	h := start(t, p)
	h.passwords()
	code := h.codeFor("ana@acme.test")
	h.setPassword(code, leaked).wantFault(422, "password_breached")
	h.setPassword(code, plain).want(200)
	if calls := fake.Calls(); len(calls) != 2 {
		t.Errorf("asked %d times", len(calls))
	}
	for _, call := range fake.Calls() {
		digits, ok := strings.CutPrefix(call.URL, "/range/")
		if !ok || len(digits) != 5 || strings.Trim(digits, "0123456789ABCDEF") != "" || call.Header.Get("Add-Padding") != "true" || call.Body != 0 {
			t.Errorf("asked %q with %v", call.URL, call.Header)
		}
		for name, values := range call.Header {
			if name != "Add-Padding" && name != "User-Agent" || strings.Contains(strings.Join(values, ""), "acme") {
				t.Errorf("it also learns %s: %v", name, values)
			}
		}
	}
	if found, clean := h.metric(`countersign_breach_questions_total{result="found",source="range"}`), h.metric(`countersign_breach_questions_total{result="clean",source="range"}`); found != 1 || clean != 1 {
		t.Errorf("counted %v found, %v clean", found, clean)
	}
}

// While the range API hangs, a password is accepted: the fake sees its caller
// leave long before it answers. The next login asks again; what is found then
// must change, and the login gives nothing but the code to change it with.
//
// Covers R-057 for an outage.
func TestAnOutageOfTheRangeAPIIsMadeUpFor(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	fake := p.asksRange(t, leaked)
	answers := make(chan string, 8)
	fake.Asked = func(call rangeapi.Call) { answers <- call.Answer }
	h := start(t, p)
	h.passwords()
	code := h.codeFor("ana@acme.test")
	fake.Fail(rangeapi.Fault{StallMS: 600_000})
	h.setPassword(code, leaked).want(200)
	if answer := <-answers; answer != "abandoned" {
		t.Errorf("the fake has %s", answer)
	}

	login := h.challengePassword("ana@acme.test", leaked).want(200)
	renew, _ := login.body["renew_password"].(map[string]any)
	again, _ := renew["password_code"].(string)
	if again == "" || login.body["code"] != nil {
		t.Fatalf("the login after it: %s", login.raw)
	}
	if answer := <-answers; answer != "200" {
		t.Errorf("the fake has %s", answer)
	}
	h.setPassword(again, plain).want(200)
	h.challengePassword("ana@acme.test", plain).want(200)
}

// A filter does the same without anybody outside, and is there at the start or
// the start fails.
//
// Covers R-057 for the filter.
func TestAFilterRefusesBreachedPasswords(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	path := filepath.Join(t.TempDir(), "filter")
	api.WriteFilter(t, path, leaked)
	p.cfg = func(c *api.Config) { c.BreachFilterFile = path }
	h := start(t, p)
	h.passwords()
	code := h.codeFor("ana@acme.test")
	h.setPassword(code, leaked).wantFault(422, "password_breached")
	h.setPassword(code, plain).want(200)
	if keys := h.metric("countersign_breach_filter_keys"); keys != 1 {
		t.Errorf("%v keys", keys)
	}
}

func TestAFilterThatCannotBeUsedStopsTheStart(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	var cfg api.Config
	p.cfg = func(c *api.Config) { cfg = *c }
	open(t, p)
	for _, path := range []string{"breach_test.go", "/nowhere/filter", t.TempDir()} {
		cfg.BreachFilterFile = path
		_, err := api.New(t.Context(), cfg, api.Parts{Ephemeral: p.short(t), Bus: bustest.Bus(t, p.nats, func(*bus.Config) {}), Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.HasPrefix(err.Error(), "COUNTERSIGN_BREACH_FILTER_FILE: ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

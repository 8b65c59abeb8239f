package api_test

import (
	"net/http"
	"testing"

	"countersign.dev/services/api"
)

// Pages of an app's origin hear that a path of the verification flow is not
// there, or takes another method; pages of other origins, and paths elsewhere,
// stay as they were.
// Covers R-157 for paths of the verification flow that are not there.
func TestPagesHearOfPathsThatAreNotThere(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	const app = "https://app.acme.test"
	h.shop(func(in *api.NewApp) { origins := []string{app}; in.Origins = &origins })
	for name, c := range map[string]struct {
		method, path, origin string
		status               int
		allowed              bool
	}{
		"a service that is not there":    {"POST", "/device-srv/devices", app, 404, true},
		"asked before it is called":      {"OPTIONS", "/device-srv/devices", app, 204, true},
		"another method":                 {"DELETE", "/token-srv/token", app, 405, true},
		"a page, which is for nobody":    {"DELETE", "/authz-srv/authz", app, 405, false},
		"another origin":                 {"POST", "/device-srv/devices", app + ".evil.test", 404, false},
		"another origin, before it does": {"OPTIONS", "/device-srv/devices", "https://evil.test", 204, false},
		"a path elsewhere":               {"GET", "/nothing", app, 404, false},
		"asked before that is called":    {"OPTIONS", "/nothing", app, 404, false},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, h.base+c.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", c.origin)
		r := h.plainly(req)
		got := r.header.Values("Access-Control-Allow-Origin")
		if r.status != c.status || c.allowed != (len(got) == 1 && got[0] == c.origin) || !c.allowed && len(got) > 0 {
			t.Errorf("%s: %d %q, want %d and allowed: %v", name, r.status, got, c.status, c.allowed)
		}
		if r.status >= http.StatusBadRequest {
			r.wantError()
		}
	}
}

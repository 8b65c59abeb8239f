package api_test

import (
	"net/http"
	"strings"
	"testing"

	"countersign.dev/services/api/internal/pipeline"
)

// The table says of every route what the pipeline and the other tests of it
// rely on.
func TestEveryRouteIsDeclaredInFull(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.inbox = true
	routes := open(t, p).service.Routes()
	if len(routes) == 0 {
		t.Fatal("the table is empty")
	}
	seen := map[string]bool{}
	rates := map[string]pipeline.Rate{}
	for _, route := range routes {
		for _, mistake := range mistakes(t, route) {
			t.Errorf("%s %s", title(route), mistake)
		}
		// Two patterns that differ in the names of their parameters are one
		// to the router.
		pattern := route.Method + " " + inBraces.ReplaceAllLiteralString(route.Path, "{}")
		if seen[pattern] {
			t.Errorf("%s is declared twice", title(route))
		}
		seen[pattern] = true
		if known, ok := rates[route.Rate.Class]; ok && known != route.Rate {
			t.Errorf("%s counts in the class %s with another rate", title(route), route.Rate.Class)
		}
		rates[route.Rate.Class] = route.Rate
	}
}

func mistakes(t *testing.T, route pipeline.Route) (found []string) {
	t.Helper()
	must := func(ok bool, what string) {
		if !ok {
			found = append(found, what)
		}
	}
	place := strings.Contains(route.Path, "{org}")
	secondFactor := strings.Contains(route.Path, "/totp-challenge/") || strings.Contains(route.Path, "/totp-enrollment/")
	must(route.Summary != "", "has no summary")
	must(route.Handler != nil, "has no handler")
	must(route.Rate.Class != "" && route.Rate.Rate.Burst > 0 && route.Rate.Rate.Per > 0, "has no rate")
	must(!secondFactor || route.Rate.Essential, "checks or sends codes and goes on without its limiter")
	must(route.MaxBody >= 0 && bodyLimit(route) <= pipeline.DefaultBody, "reads a larger body than 64 KiB")
	switch route.Credential {
	case pipeline.APIKey:
		must(route.Scope != "", "takes an API key and asks for no scope")
		must(route.Reach != pipeline.Nobody, "takes an API key and says that it touches nobody's data")
	case pipeline.None:
		must(route.Scope == "", "asks for a scope and takes no credential that could have one")
		must(route.Reach == pipeline.Nobody, "touches a tenant's data and takes no credential")
	default:
		must(false, "takes a credential that nobody knows")
	}
	switch route.Reach {
	case pipeline.Organization, pipeline.Remembered:
		must(place, "touches an organization that its path does not name")
	case pipeline.Account, pipeline.Nobody:
		must(!place, "names an organization in its path that nobody looks at")
	default:
		must(false, "has a reach that nobody knows")
	}
	creates := route.Method == http.MethodPost && route.Success == http.StatusCreated
	must(route.Idempotent == creates, "takes an Idempotency-Key and creates nothing, or the other way round")
	for _, status := range route.Faults {
		must(status >= 400 && http.StatusText(status) != "", "declares a fault that is none")
	}
	for _, name := range inPath(t, route) {
		must(len(objects[name]) > 0, "has a parameter in its path that nobody knows: "+name)
	}
	return found
}

// A request made of the samples succeeds on every route: what the other tests
// find refused is refused for the reason that they look for.
func TestTheSampleOfEveryRouteSucceeds(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.inbox = true
	h, l := open(t, p), newLedger()
	for _, route := range h.service.Routes() {
		for _, form := range []string{"a form", "JSON"} {
			if form == "JSON" && route.Method == http.MethodGet {
				continue
			}
			s := h.realm(l, "acme", "sandbox", "").shot(route)
			s.json = form == "JSON"
			r := h.fire(s)
			if r.status != success(route) || r.body["success"] == false && strings.Contains(route.Path, "/validation/") {
				t.Errorf("%s as %s: status %d, want %d: %s", title(route), form, r.status, success(route), r.raw)
			}
		}
	}
}

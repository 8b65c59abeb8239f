package api_test

import (
	"net/http"
	"reflect"
	"slices"
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
	case pipeline.Optional:
		must(route.Scope == "" && route.Reach == pipeline.Nobody, "asks for what only a credential has, and takes requests without one")
	case pipeline.UserToken:
		must(route.Reach == pipeline.Nobody, "reaches what an API key names, and takes none")
		must(!route.Page && !route.Form, "is a page, whose browser sends no token")
	case pipeline.Browser:
		must(route.Scope == "" && route.Reach == pipeline.Nobody, "asks for what only an API key has, and takes none")
		must(route.Page && !route.CORS, "takes a browser's session and is no page, or one that other origins may call")
		must(strings.Contains(route.Path, "{"+pipeline.RealmParameter+"}"), "takes a browser's session and does not say of which realm")
	default:
		must(false, "takes a credential that nobody knows")
	}
	must(!route.Fresh || route.Credential == pipeline.Browser, "asks for a fresh proof, and takes no session")
	must(route.Page || route.Cookie == "" && !route.Sessions, "reads cookies of a browser and is no page")
	must(!route.Page || !route.CORS, "is a page that other origins may call")
	switch route.Reach {
	case pipeline.Organization, pipeline.Remembered:
		must(place, "touches an organization that its path does not name")
	case pipeline.Named:
		must(!place, "names an organization in its path that nobody looks at")
		for _, name := range []string{"org_domain", "user_email"} {
			must(declaresText(route, name), "is named by "+name+" and does not declare it as one text of that name alone")
		}
		must(route.TellsOrg == "" || slices.ContainsFunc(inInput(route), func(p parameter) bool { return p.name == route.TellsOrg && !p.list }),
			"lets a parameter tell the organization that it does not declare")
	case pipeline.Account, pipeline.Nobody:
		must(!place, "names an organization in its path that nobody looks at")
	default:
		must(false, "has a reach that nobody knows")
	}
	must(route.TellsOrg == "" || route.Reach == pipeline.Named, "says what tells the organization and is not named by its input")
	must(!route.Form || route.Page && route.Cookie != "" && route.Method == http.MethodPost && route.BodyOnly && route.Strict,
		"takes a form that is not bound to a page and its cookie")
	posted := slices.Contains([]string{"/authz-srv/authz", "/oauth2/authorize"}, route.Path) // by apps, which have no page of ours (OpenID Connect Core 3.1.2.1); begins nothing
	must(route.Form || !route.Page || posted || route.Method == http.MethodGet, "changes something for a page, and does not ask for its form")
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

// declaresText reports whether the input has a parameter of this name and no
// other, which the pipeline would not read.
func declaresText(route pipeline.Route, name string) bool {
	in, _ := route.Handler.Types()
	for field := range in.Fields() {
		kind := field.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if field.Tag.Get("in") == name {
			return kind.Kind() == reflect.String
		}
	}
	return false
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
			if form == "JSON" && (route.Method == http.MethodGet || formsAlone(route)) {
				continue
			}
			for _, variant := range variantsOf(route) {
				s := h.realm(l, "acme", "sandbox", "").variant(route, variant)
				s.json = form == "JSON"
				r := h.fire(s)
				right := r.body["success"] != false || !strings.Contains(route.Path, "/validation/")
				want := success(route)
				if !s.json && formsLeave(route) {
					want = http.StatusFound
				}
				if r.status != want || !right || r.body["valid?"] == false {
					t.Errorf("%s %s as %s: status %d, want %d: %s", title(route), variant, form, r.status, want, r.raw)
				}
			}
		}
	}
}

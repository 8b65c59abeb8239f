package api_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/pipeline"
)

// What a browser has that signs in to an app, for the tests of the route table.

// startPaths are where apps send browsers.
var startPaths = []string{"/authz-srv/authz", "/oauth2/authorize", "/a/{account}/", "/"}

// signInReference is the kind of object that a parameter of these routes names.
func signInReference(route pipeline.Route, p parameter) string {
	switch {
	case p.name == "requestId" && strings.HasPrefix(route.Path, "/login/"):
		return "second flow"
	case p.name == "requestId":
		return "flow"
	case p.name == "email" && route.Path == "/login":
		return "email"
	case p.name == "password" && route.Path == "/login":
		return "password"
	}
	return ""
}

// cookieKind is what a route's cookie holds.
func cookieKind(route pipeline.Route) string {
	if strings.HasSuffix(route.Cookie, "cs_browser") {
		return "browser"
	}
	if strings.HasSuffix(route.Cookie, "cs_sessions") {
		return "sessions"
	}
	if strings.HasSuffix(route.Cookie, "cs_password") {
		return "password code"
	}
	if strings.HasSuffix(route.Cookie, "cs_shown") {
		return "shown code"
	}
	return "link"
}

// addFlow sends the realm's browser from the app to the sign-in page.
func (r *realm) addFlow() {
	r.t.Helper()
	r.ids["flow"] = r.newFlow()
}

func (r *realm) newFlow() string {
	r.t.Helper()
	route := r.route("GET /authz-srv/authz")
	s := &shot{route: route, header: http.Header{}, base: r.public, cookie: route.Cookie + "=" + r.id("browser"), form: wanted(api.App{ID: r.id("app")})}
	s.form.Set("redirect_uri", backURL)
	started := r.fire(s).want(success(route))
	r.learn(started)
	return r.note("flow", leadsTo(started).Get("requestId"))
}

// addSecondFlow brings one to its second factor.
func (r *realm) addSecondFlow() {
	r.t.Helper()
	r.id("request") // without a factor there is no second half
	flow, route := r.newFlow(), r.route("POST /login")
	s := &shot{
		route: route, header: http.Header{}, base: r.public, cookie: route.Cookie + "=" + r.id("browser"),
		form: url.Values{
			pipeline.TokenParameter: {r.formToken(r.id("browser"))}, "requestId": {flow}, "email": {r.id("email")}, "password": {r.id("password")},
		},
	}
	r.fire(s).want(success(route))
	r.ids["second flow"] = flow
}

// beginFlows gives both sides a flow that lives, for a route that takes one:
// what another browser shows is dead from then on.
func (s situation) beginFlows(route pipeline.Route) {
	if !slices.ContainsFunc(inInput(route), func(p parameter) bool { return reference(route, p) == "flow" }) {
		return
	}
	for _, r := range []*realm{s.own, s.owner} {
		if r != nil {
			r.ids["flow"] = r.newFlow()
		}
	}
}

// ofFlow reports whether nothing but a flow is another's. It is shown by the
// caller's own browser then, whose cookie says nothing about it.
func ofFlow(cell []foreign) bool {
	return len(cell) == 1 && strings.HasSuffix(cell[0].kind, "flow")
}

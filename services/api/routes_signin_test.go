package api_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/pipeline"
)

// What a browser has that signs in to an app, for the tests of the route table.

// startPaths are where apps send browsers.
var startPaths = []string{"/authz-srv/authz", "/oauth2/authorize", "/a/{account}/", "/"}

// signInReference is the kind of object that a parameter of these routes names.
func signInReference(route pipeline.Route, p parameter) string {
	switch {
	case p.name == "requestId" && route.Path == "/login/recovery-codes.txt":
		return "saving flow"
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

// addConsent lets the realm's user allow its app something.
func (r *realm) addConsent() {
	r.t.Helper()
	if err := r.service.GiveConsent(r.t.Context(), r.account, r.org, r.env, r.id("user"), r.id("app")); err != nil {
		r.t.Fatal(err)
	}
	r.ids["consent"] = "given"
}

// addSavingFlow brings one of somebody who has no factor yet to its recovery
// codes.
func (r *realm) addSavingFlow() {
	r.t.Helper()
	email, password := r.word("email")+"@"+r.ids["domain"], r.word("password")
	r.id("connection")
	r.call("POST", "/api/v2/org/"+r.org+"/users", "email="+email).want(201)
	r.learn(r.call("POST", "/api/v2/password", "plain_text="+password, "password_code="+r.passwordCodeOf(email)).want(200))
	flow := r.newFlow()
	r.sendForm("POST /login", flow, url.Values{"email": {email}, "password": {password}})
	page := r.signInPageOf(flow)
	key := shownKey.FindStringSubmatch(page.raw)
	if key == nil {
		r.t.Fatalf("the page shows no key: %s", page.raw)
	}
	r.note("app secret", key[1])
	r.sendForm("POST /login/confirm", flow, url.Values{"code": {r.note("code", codeOf(r.t, key[1], time.Now()))}})
	for _, code := range shownCode.FindAllString(r.signInPageOf(flow).raw, -1) {
		r.note("recovery code", code)
	}
	r.ids["saving flow"] = flow
}

// sendForm sends a form of the sign-in page from the realm's browser.
func (r *realm) sendForm(name, flow string, form url.Values) {
	r.t.Helper()
	route := r.route(name)
	form.Set(pipeline.TokenParameter, r.formToken(r.id("browser")))
	form.Set("requestId", flow)
	r.fire(&shot{route: route, header: http.Header{}, base: r.public, cookie: route.Cookie + "=" + r.id("browser"), form: form}).want(success(route))
}

func (r *realm) signInPageOf(flow string) *reply {
	r.t.Helper()
	route := r.route("GET /login")
	return r.fire(&shot{
		route: route, header: http.Header{}, base: r.public, cookie: route.Cookie + "=" + r.id("browser"), form: url.Values{"requestId": {flow}},
	}).want(http.StatusOK)
}

// beginFlows gives both sides a flow that lives, for a route that takes one:
// what another browser shows is dead from then on.
func (s situation) beginFlows(route pipeline.Route) {
	for kind, begin := range map[string]func(*realm){"flow": (*realm).addFlow, "saving flow": (*realm).addSavingFlow} {
		if !slices.ContainsFunc(inInput(route), func(p parameter) bool { return reference(route, p) == kind }) {
			continue
		}
		for _, r := range []*realm{s.own, s.owner} {
			if r != nil {
				begin(r)
			}
		}
	}
}

// ofFlow reports whether nothing but a flow is another's. It is shown by the
// caller's own browser then, whose cookie says nothing about it.
func ofFlow(cell []foreign) bool {
	return len(cell) == 1 && strings.HasSuffix(cell[0].kind, "flow")
}

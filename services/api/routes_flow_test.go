package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/pipeline"
)

// What the steps of the verification flow need is made here: for the tests of
// the route table each step is asked for where the steps before it are done.

// inEnvelopes reports whether a route is one of the verification flow.
func inEnvelopes(route pipeline.Route) bool { return route.Envelope }

// formsAlone reports whether a route takes what a browser's form sends, and
// nothing else.
func formsAlone(route pipeline.Route) bool {
	return inEnvelopes(route) && success(route) == http.StatusFound
}

// stepping is a user of the realm who steps through logins: one without a
// second factor, or one with a phone and recovery codes.
type stepping struct{ id, email, password, recovery string }

// stepper is the realm's user of that kind.
func (r *realm) stepper(kind string) stepping {
	r.t.Helper()
	if known, ok := r.steppers[kind]; ok {
		return known
	}
	r.id("connection")
	s := stepping{email: r.word("email") + "@" + r.ids["domain"], password: r.word("password")}
	s.id = r.call("POST", "/api/v2/org/"+r.org+"/users", "email="+s.email, "phone_number="+r.phone()).want(201).text("id")
	r.learn(r.call("POST", "/api/v2/password", "plain_text="+s.password, "password_code="+r.passwordCodeOf(s.email)).want(200))
	if slices.Contains([]string{"waiting", "recovering", "keeping"}, kind) {
		code := r.note("code", r.code(r.call("POST", r.enrollment(s.id), "method=sms").want(201)))
		confirmed := r.call("PUT", r.enrollment("validation/"+s.id), "code="+code).want(200).wantSuccess(true)
		r.learn(confirmed)
		s.recovery, _, _ = strings.Cut(confirmed.text("recovery_codes"), "\n")
	}
	if r.steppers == nil {
		r.steppers = map[string]stepping{}
	}
	r.steppers[kind] = s
	return s
}

// stepOn makes the users of all kinds, and a login that waits for an enrolment.
func (r *realm) stepOn() {
	r.t.Helper()
	for _, kind := range []string{"plain", "waiting", "recovering", "keeping"} {
		r.stepper(kind)
	}
	r.recoveredTrack()
}

// passwordCodeOf is a code that sets the password of an address.
func (r *realm) passwordCodeOf(email string) string {
	r.t.Helper()
	asked := r.call("POST", "/api/v2/password-request", "user_email="+email, "org_domain="+r.org, "redirect_uri="+backURL).want(201)
	r.learn(asked)
	link := asked.text("magic_link")
	click := r.click(link[strings.LastIndexByte(link, '/')+1:])
	clicked := r.fire(click).want(success(click.route))
	r.learn(clicked)
	return leadsTo(clicked).Get("password_code")
}

// step posts JSON, and returns what is in the envelope.
func (r *realm) step(path string, given map[string]string) map[string]any {
	r.t.Helper()
	body, err := json.Marshal(given)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.inEnvelope(path, "", string(body))
}

// inEnvelope posts JSON from an address of its own, where that is believed: one
// would have sent too much.
func (r *realm) inEnvelope(path, token, body string) map[string]any {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", asJSON)
	req.Header.Set("X-Forwarded-For", r.address())
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	answer := r.exchange(req).want(http.StatusOK)
	r.learn(answer)
	data, _ := answer.body["data"].(map[string]any)
	return data
}

// said is a text of an answer, or that of an exchange id.
func said(data map[string]any, name string) string {
	if inner, ok := data[name].(map[string]any); ok {
		data = inner
	}
	text, _ := data[name].(string)
	return text
}

// stepFields are the fields whose values lead on through a login.
var stepFields = []string{"requestId", "exchange_id", "status_id", "track_id", "resetRequestId", "exchangeId"}

// loginRequest is a request id for the realm's app.
func (r *realm) loginRequest() string {
	r.t.Helper()
	return said(r.step("/authz-srv/authrequest/authz/generate", r.wantedLogin()), "requestId")
}

// wantedLogin is what an app asks a request id with.
func (r *realm) wantedLogin() map[string]string {
	r.t.Helper()
	out := map[string]string{}
	for name, values := range wanted(api.App{ID: r.id("app")}) {
		out[name] = values[0]
	}
	out["redirect_uri"] = backURL
	return out
}

// begun is a login that has begun: what was said at each of its steps.
type begun struct {
	request         string
	started, proven map[string]any
	password        string
}

const (
	startPath = "/verification-srv/authentication/PASSWORD/initiation"
	provePath = "/verification-srv/authentication/PASSWORD/verification"
)

// startLogin starts a login with a password.
func (r *realm) startLogin(kind string) begun {
	r.t.Helper()
	s, request := r.stepper(kind), r.loginRequest()
	return begun{request: request, password: s.password, started: r.step(startPath, map[string]string{
		"request_id": request, "usage_type": "INITIAL_AUTHENTICATION", "email": s.email,
	})}
}

// proveLogin proves it.
func (r *realm) proveLogin(kind string) begun {
	r.t.Helper()
	b := r.startLogin(kind)
	b.proven = r.step(provePath, map[string]string{"exchange_id": said(b.started, "exchange_id"), "pass_code": b.password})
	return b
}

// recoveredTrack is a login in which a recovery code was used.
func (r *realm) recoveredTrack() string {
	r.t.Helper()
	if r.recovered == "" {
		b := r.proveLogin("recovering")
		started := r.step("/verification-srv/authentication/BACKUPCODE/initiation", map[string]string{
			"request_id": b.request, "usage_type": "MULTIFACTOR_AUTHENTICATION", "sub": said(b.proven, "sub"),
		})
		r.recovered = said(r.step("/verification-srv/authentication/BACKUPCODE/verification", map[string]string{
			"exchange_id": said(started, "exchange_id"), "pass_code": r.stepper("recovering").recovery,
		}), "track_id")
	}
	return r.recovered
}

// freshToken is an access token of a user who has just proven all there is.
func (r *realm) freshToken(s stepping) string {
	r.t.Helper()
	r.id("gateway app")
	n := r.gatewayApp.login()
	n.RedirectURI, n.UserID, n.AMR = backURL, s.id, []string{grant.Password, grant.SMS}
	_, grantID := r.gatewayApp.codeOf(n, 0)
	access, err := r.service.AccessOf(r.t.Context(), grantID)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.note("token", access.Reveal())
}

// startedApp is the enrolment of an app by a user who has no factor yet, with its
// first code.
func (r *realm) startedApp() (exchangeID, code string) {
	r.t.Helper()
	delete(r.steppers, "new") // what is confirmed once is there
	s := r.stepper("new")
	data := r.inEnvelope("/verification-actions-srv/setup/TOTP/initiation", r.freshToken(s), "{}")
	r.codes["app"] = said(data, "totp_secret")
	return said(data, "exchange_id"), r.appCode(0)
}

// unset is what a client sends for what is not set.
const unset = "undefined"

// scene is what a step is asked with: values for parameters of path and input.
// What is not here is sent as a client sends what is not set.
func (r *realm) scene(route pipeline.Route) (given map[string]string, token string) {
	r.t.Helper()
	if step, ok := resetsPassword(route); ok {
		return r.resetScene(step), ""
	}
	place := func(end string) bool {
		return strings.HasSuffix(strings.TrimSuffix(route.Path, "/{method}"), end) || strings.HasSuffix(route.Path, end)
	}
	switch {
	case place("/authz/generate"):
		return r.wantedLogin(), ""
	case strings.Contains(route.Path, "/trackinfo/") || strings.HasPrefix(route.Path, "/token-srv/prelogin/"):
		b := r.proveLogin("waiting")
		return map[string]string{"request_id": b.request, "track_id": said(b.proven, "track_id")}, ""
	case strings.Contains(route.Path, "{request_id}"):
		return map[string]string{"request_id": r.loginRequest()}, ""
	case place("/precheck/continue/{track_id}"):
		b := r.proveLogin("plain")
		return map[string]string{"track_id": said(b.proven, "track_id"), "requestId": b.request}, ""
	case strings.Contains(route.Path, "{track_id}"):
		return map[string]string{"track_id": r.recoveredTrack(), "method": "TOTP"}, ""
	case strings.Contains(route.Path, "{status_id}"):
		return map[string]string{"status_id": said(r.proveLogin("plain").proven, "status_id")}, ""
	case place("/login-srv/login"):
		s := r.stepper("plain")
		return map[string]string{"requestId": r.loginRequest(), "username": s.email, "password": s.password}, ""
	case place("/verification/login"):
		b := r.proveLogin("plain")
		return map[string]string{
			"requestId": b.request, "status_id": said(b.proven, "status_id"), "verificationType": "PASSWORD", "sub": said(b.proven, "sub"), "q": said(b.proven, "sub"),
		}, ""
	case place("/graph/user/setup"), strings.Contains(route.Path, "/public/configured/"):
		return map[string]string{"request_id": r.loginRequest(), "email": r.id("email"), "method": "PASSWORD"}, ""
	case route.Credential == pipeline.UserToken:
		return r.ownScene(route)
	case place("/enroll"), place("/setup/{method}/verification"):
		exchangeID, code := r.startedApp()
		return map[string]string{"exchange_id": exchangeID, "pass_code": code, "method": "TOTP"}, ""
	case strings.Contains(route.Path, "/cancel"):
		return map[string]string{"exchange_id": said(r.startLogin("plain").started, "exchange_id"), "method": "PASSWORD"}, ""
	case place("/authentication/{method}/verification"), place("/authenticate/authenticate"):
		b := r.startLogin("plain")
		return map[string]string{"exchange_id": said(b.started, "exchange_id"), "password": b.password, "request_id": b.request, "method": "PASSWORD"}, ""
	case place("/authentication/{method}/initiation"), place("/authenticate/initiate"):
		return map[string]string{"request_id": r.loginRequest(), "usage_type": "INITIAL_AUTHENTICATION", "email": r.id("email"), "method": "PASSWORD"}, ""
	}
	return map[string]string{}, ""
}

// ownScene is that of a call about what the user of an access token has.
func (r *realm) ownScene(route pipeline.Route) (given map[string]string, token string) {
	r.t.Helper()
	if strings.Contains(route.Path, "/initiat") {
		return map[string]string{"method": "TOTP", "device_name": r.word("device")}, r.freshToken(r.stepper("plain"))
	}
	s := r.stepper("keeping")
	listed := r.call("GET", "/api/v2/org/"+r.org+"/users/"+s.id+"/factors").want(200)
	medium := "none"
	if all, _ := listed.body["data"].([]any); len(all) > 0 {
		medium = all[0].(map[string]any)["id"].(string)
	}
	given = map[string]string{"method": "SMS", "medium": medium, "friendly_name": r.word("device")}
	if route.Method == http.MethodDelete {
		given["medium_id"] = medium
	}
	return given, r.freshToken(s)
}

// inScene fills a request of the flow.
func (r *realm) inScene(s *shot) {
	r.t.Helper()
	given, token := r.scene(s.route)
	s.token = token
	for _, name := range inPath(r.t, s.route) {
		s.ids[name] = given[name]
	}
	for _, p := range inInput(s.route) {
		if given[p.name] != "" {
			s.form.Set(p.form(), given[p.name])
		} else {
			s.form.Set(p.form(), unset)
		}
	}
}

// stepReference is the kind of object that a parameter of the flow names.
func stepReference(route pipeline.Route, p parameter) string {
	if _, ok := resetsPassword(route); ok {
		return "" // the steps are about a reset; TestResetsOfAPageTellNothing is about the address
	}
	switch {
	case p.name == "email":
		return "email"
	case p.name == "medium_id" && route.Credential == pipeline.UserToken:
		return "factor"
	}
	return ""
}

package clients_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign.dev/services/e2e/clients/browser"
	"countersign.dev/services/e2e/stage"
)

// Apps that show their own login page: a page on another origin goes through
// the verification flow with XMLHttpRequest in a real Chromium, in both
// generations of paths. It reads every answer, those that refuse it too; the
// page of an origin that no app has registered reads none.
//
// Covers R-157 (in a browser: the paths of the verification flow).
func TestAPageOfAnotherOriginSignsIn(t *testing.T) {
	t.Parallel()
	chromium := browser.Start(t)
	s := newScene(t)
	s.api.Call("PUT", s.api.Path("totp-connection"), "passwordless=true").Want(200)
	site, settle := loginSite(t)
	app := s.app(t, "Login page", site.URL+"/callback", "client_type=public", "origins[]="+site.URL)
	settle(s, app)
	for _, age := range []string{"newest", "older"} {
		t.Run("by an authenticator app, paths: "+age, func(t *testing.T) {
			p := newLoginPage(t, chromium.Profile(t), site.URL, age)
			p.signsIn(s.person(t))
			p.isRefused(s.person(t))
			p.complained()
		})
	}
	t.Run("by a text message", func(t *testing.T) {
		p := newLoginPage(t, chromium.Profile(t), site.URL, "newest")
		p.signsInByText(s)
		p.complained()
	})
	t.Run("from an origin that nobody has registered", func(t *testing.T) {
		other, settle := loginSite(t)
		settle(s, app)
		newLoginPage(t, chromium.Profile(t), other.URL, "newest").readsNothing(app)
	})
	t.Run("from an origin of another app", func(t *testing.T) {
		other, settle := loginSite(t)
		s.app(t, "Other page", other.URL+"/callback", "client_type=public", "origins[]="+other.URL)
		settle(s, app)
		newLoginPage(t, chromium.Profile(t), other.URL, "newest").readsNoOther()
	})
}

// start asks for a request id and starts a method for a user. It returns what
// the app knows afterwards, in the names of the next calls.
func (p *loginPage) start(method, email string) (started options) {
	p.t.Helper()
	requestID := p.ok("requestId").at("data", "requestId")
	listed := p.ok("list", p.age, options{"request_id": requestID, "email": email})
	medium := p.medium(listed, method)
	begun := p.ok("initiate", p.age, method, options{
		"request_id": requestID, "usage_type": "PASSWORDLESS_AUTHENTICATION", "medium_id": medium, "type": method, "processingType": "CODE",
	})
	sub := begun.at("data", "sub")
	if sub == "" || sub != begun.at("data", "q") || begun.at("data", "exchange_id", "expires_at") == "" {
		p.t.Fatalf("initiate: %+v", begun)
	}
	return options{
		"requestId": requestID, "sub": sub, "status_id": begun.at("data", "status_id"), "exchange_id": begun.at("data", "exchange_id", "exchange_id"),
	}
}

// medium is the one of a method in a list of methods.
func (p *loginPage) medium(listed reply, method string) string {
	p.t.Helper()
	data, _ := listed.Body["data"].(map[string]any)
	list, _ := data["configured_list"].([]any)
	for _, each := range list {
		one, _ := each.(map[string]any)
		if mediums, _ := one["mediums"].([]any); one["type"] == method && len(mediums) > 0 {
			return reply{Body: map[string]any{"first": mediums[0]}}.at("first", "id")
		}
	}
	p.t.Fatalf("%s is not in the list %+v", method, listed)
	return ""
}

// proof is the options of a call that proves what was started. The code goes
// by the one name or by the other.
func proof(started options, method, name, code string) options {
	return options{"exchange_id": started["exchange_id"], "requestId": started["requestId"], "sub": started["sub"], "type": method, name: code}
}

// arrives finishes a login, which brings the browser to the callback with a
// code, and exchanges that for tokens. It returns the code.
func (p *loginPage) arrives(started options, method string, id string) (code string) {
	p.t.Helper()
	browser.Script[any](p.tab, p.expression("finish", []any{options{
		"requestId": started["requestId"], "status_id": started["status_id"], "verificationType": method, "sub": started["sub"],
	}}))
	p.arrived("/callback")
	at, err := url.Parse(p.tab.Location())
	if err != nil {
		p.t.Fatal(err)
	}
	came, err := url.ParseQuery(at.Fragment)
	if code = came.Get("code"); err != nil || code == "" || at.RawQuery != "" || came.Has("state") {
		p.t.Fatalf("the browser came back to %s", at)
	}
	tokens := p.calls("exchange", code)
	if tokens.Status != http.StatusOK || tokens.at("id_token") == "" || !strings.EqualFold(tokens.at("token_type"), "bearer") {
		p.t.Fatalf("tokens: %+v", tokens)
	}
	who := p.calls("profile", tokens.at("access_token"))
	if who.Status != http.StatusOK || who.at("sub") != id || who.at("email") == "" {
		p.t.Errorf("userinfo: %+v, want the user %s", who, id)
	}
	return code
}

// signsIn goes the whole way with an authenticator app, and looks at what a page
// may know before, at a wrong code, and at a second use of each id.
func (p *loginPage) signsIn(ana *person) {
	p.t.Helper()
	started := p.start("TOTP", ana.email)
	if started["sub"] == ana.id {
		p.t.Error("the masked id is that of the user")
	}
	if got := p.ok("tenant", started["requestId"]).at("data", "tenant_name"); got != "Clients Ltd" {
		p.t.Errorf("the tenant is %q", got)
	}
	if got := p.ok("app", started["requestId"]).at("data", "client_name"); got != "Login page" {
		p.t.Errorf("the app is %q", got)
	}
	right := ana.app.code()
	p.refused(http.StatusBadRequest, "VER_0041", "verify", p.age, "TOTP", proof(started, "TOTP", "passcode", stage.Other(right)))
	p.refused(http.StatusBadRequest, "VER_0046", "verify", p.age, "TOTP", proof(started, "TOTP", "passcode", "undefined"))
	proven := p.ok("verify", p.age, "TOTP", proof(started, "TOTP", "pass_code", right))
	if next := proven.at("data", "exchange_id", "exchange_id"); next == "" || next == started["exchange_id"] ||
		proven.at("data", "status_id") != started["status_id"] || proven.at("data", "sub") != started["sub"] {
		p.t.Errorf("verify: %+v after %v", proven, started)
	}
	p.refused(http.StatusBadRequest, "VER_0032", "verify", p.age, "TOTP", proof(started, "TOTP", "pass_code", right))

	code := p.arrives(started, "TOTP", ana.id)
	p.finishesOnce(started)
	if again := p.calls("exchange", code); again.Status != http.StatusBadRequest || again.at("error") != "invalid_grant" {
		p.t.Errorf("the code once more: %+v", again)
	}
	if who := p.calls("profile", "no-token"); who.Status != http.StatusUnauthorized || who.at("error") == "" {
		p.t.Errorf("userinfo without a token: %+v", who)
	}
}

// finishesOnce finishes a login once more: the browser leaves the page for an
// answer that says why.
func (p *loginPage) finishesOnce(started options) {
	p.t.Helper()
	authority := browser.Script[string](p.tab, "login.authority()")
	p.failed++
	browser.Script[any](p.tab, p.expression("finish", []any{options{
		"requestId": started["requestId"], "status_id": started["status_id"], "verificationType": "undefined", "sub": started["sub"],
	}}))
	p.tab.AwaitAddress(authority + "/login-srv/verification/login")
	shown := reply{Body: browser.Script[map[string]any](p.tab, "JSON.parse(document.body.textContent)")}
	if shown.Body["success"] != false || shown.at("code") != "VER_0006" {
		p.t.Errorf("the login once more: %+v", shown)
	}
	p.open("/callback")
}

// isRefused tries what does not lead to a login. The page reads why.
func (p *loginPage) isRefused(ben *person) {
	p.t.Helper()
	started := p.start("TOTP", ben.email)
	p.ok("cancel", p.age, "totp", options{"exchange_id": started["exchange_id"], "reason": "USER"})
	p.refused(http.StatusBadRequest, "VER_0032", "verify", p.age, "TOTP", proof(started, "TOTP", "pass_code", ben.app.code()))
	p.refused(http.StatusBadRequest, "VER_0030", "verify", p.age, "FIDO2", proof(started, "FIDO2", "pass_code", "123456"))
	p.refused(http.StatusBadRequest, "VER_0006", "list", p.age, options{"request_id": "unknown", "email": ben.email})
	p.refused(http.StatusBadRequest, "VER_0003", "initiate", p.age, "TOTP", options{"request_id": started["requestId"], "usage_type": "OTHER", "email": ben.email})
	p.refused(http.StatusBadRequest, "PUB10002", "app", "unknown")
	for path, c := range map[string]struct {
		method, text, code string
		status             int
	}{
		"/verification-srv/nowhere":                      {"POST", "{}", "VER_0404", http.StatusNotFound},
		"/users-srv/register":                            {"POST", "{}", "VER_0404", http.StatusNotFound},
		"/verification-srv/public/graph/user/setup":      {"GET", "", "VER_0405", http.StatusMethodNotAllowed},
		"/verification-srv/authentication/TOTP/cancel":   {"PUT", "{}", "VER_0405", http.StatusMethodNotAllowed},
		"/authz-srv/authrequest/authz/generate":          {"POST", `{"client_id":`, "VER_0004", http.StatusBadRequest},
		"/verification-srv/v2/authenticate/initiate/SMS": {"POST", "", "VER_0005", http.StatusBadRequest},
	} {
		given := options{}
		if c.text != "" {
			given["text"] = c.text
		}
		p.refused(c.status, c.code, "call", c.method, path, given)
	}
	if r := p.calls("call", "GET", "/token-srv/prelogin/metadata/unknown0001", options{}); r.Status != http.StatusNoContent || r.Body != nil {
		p.t.Errorf("an unknown track id: %+v", r)
	}
}

// signsInByText logs in with a code that is sent to a phone.
func (p *loginPage) signsInByText(s *scene) {
	p.t.Helper()
	const phone, email = "+4915112345670", "cleo@clients.example"
	id := s.api.NewUser(email, phone)
	enrolment := s.api.Call("POST", s.api.Path("totp-enrollment/"+id), "method=sms").Want(201)
	sent, code := s.texted(p.t, phone, "")
	s.api.Call("PUT", s.api.Path("totp-enrollment/validation/"+id), "code="+code).Want(200).WantSuccess(true)
	if enrolment.Text("request_id") == "" {
		p.t.Error("the enrolment has no request id")
	}

	started := p.start("SMS", email)
	_, code = s.texted(p.t, phone, sent)
	p.refused(http.StatusBadRequest, "VER_0041", "verify", p.age, "SMS", proof(started, "SMS", "pass_code", stage.Other(code)))
	p.ok("verify", p.age, "sms", proof(started, "SMS", "pass_code", code))
	p.arrives(started, "SMS", id)
}

// texted waits for a text message to a phone that is another one than before,
// and returns its id and its code.
func (s *scene) texted(t *testing.T, phone, before string) (id, code string) {
	t.Helper()
	stage.Until(t, "a text message arrives", func() bool {
		for _, message := range s.api.Call("GET", s.api.Path("inbox"), "per_page=1", "to="+phone).Want(200).Items() {
			id, _ = message["id"].(string)
			text, _ := message["text"].(string)
			if id != "" && id != before {
				code = stage.Code(t, text)
			}
		}
		return code != ""
	})
	return id, code
}

// readsNothing makes the calls of a login from a page that may make none.
func (p *loginPage) readsNothing(app client) {
	p.t.Helper()
	calls := []struct {
		name string
		args []any
	}{
		{"requestId", nil}, {"tenant", []any{"unknown"}}, {"app", []any{"unknown"}},
		{"list", []any{p.age, options{"request_id": "unknown", "email": "ana@clients.example"}}},
		{"initiate", []any{p.age, "TOTP", options{"request_id": "unknown"}}},
		{"verify", []any{p.age, "TOTP", options{"exchange_id": "unknown"}}},
		{"cancel", []any{p.age, "TOTP", options{"exchange_id": "unknown"}}},
		{"exchange", []any{"unknown"}}, {"profile", []any{"no-token"}},
		{"call", []any{"POST", "/verification-srv/nowhere", options{"text": "{}"}}},
	}
	for _, c := range calls {
		if r := p.calls(c.name, c.args...); r.Status != 0 || r.Body != nil {
			p.t.Errorf("%s is readable: %+v", p.expression(c.name, c.args), r)
		}
	}
	simple := [][]any{ // which a browser makes without asking before
		{"GET", "/public-srv/tenantinfo/basic"}, {"GET", "/authz-srv/authrequest/unknown"},
		{"POST", "/token-srv/token", options{"grant_type": "authorization_code", "client_id": app.id, "code": "unknown"}},
	}
	for _, args := range simple {
		if status := browser.Script[int](p.tab, p.expression("simple", args)); status != 0 {
			p.t.Errorf("%v is readable: %d", args, status)
		}
	}
	p.kept(len(calls) + len(simple))
}

// readsNoOther is a page of one app that plays another one. What is nobody's it
// may read.
func (p *loginPage) readsNoOther() {
	p.t.Helper()
	if r := p.calls("requestId"); r.Status != 0 || r.Body != nil {
		p.t.Errorf("the page of an app got a request id for another one: %+v", r)
	}
	p.kept(1)
	p.refused(http.StatusBadRequest, "VER_0006", "list", p.age, options{"request_id": "unknown", "email": "ana@clients.example"})
	p.complained()
}
